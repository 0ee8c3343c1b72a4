# SPDX-License-Identifier: Apache-2.0
"""A listener that keeps what it is told."""

import queue
import time

from nova_qos.host import Change

Told = tuple[str | None, Change]


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self._told: queue.Queue[Told] = queue.Queue()

    def __call__(self, server_uuid: str | None, change: Change) -> None:
        self._told.put((server_uuid, change))

    def hears(self, wanted: Told, seconds: float) -> bool:
        """Whether that is told within the time."""
        give_up = time.monotonic() + seconds
        while (left := give_up - time.monotonic()) > 0:
            try:
                if self._told.get(timeout=left) == wanted:
                    return True
            except queue.Empty:
                break
        return False
