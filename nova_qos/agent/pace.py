# SPDX-License-Identifier: Apache-2.0
"""How often one server's events have an effect: a guest can cause as many as it likes."""

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass

_FIRST_S, _LONGEST_S = 0.5, 15.0
#: After so long without an event, the next one is a first one.
_CALM_S = 60.0


@dataclass
class _Pace:
    due_s: float
    pause_s: float


class Pace:
    """The first event of a server acts at once, those that come soon after it act together, after
    a pause that grows while they keep coming; for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all: dict[str, _Pace] = {}

    def delay_s(self, server_uuid: str) -> float | None:
        """In how many seconds an event that comes now is to act; None: together with one before
        it that has yet to act."""
        with self._lock:
            now_s = self._clock()
            pace = self._all.get(server_uuid)
            if pace is None or now_s - pace.due_s > _CALM_S:
                self._all[server_uuid] = _Pace(now_s, _FIRST_S)
                return 0.0
            if now_s < pace.due_s:
                return None
            pace.due_s = max(now_s, pace.due_s + pace.pause_s)
            pace.pause_s = min(2 * pace.pause_s, _LONGEST_S)
            return pace.due_s - now_s

    def forget(self, server_uuid: str) -> None:
        """Take the server's next event for its first one."""
        with self._lock:
            self._all.pop(server_uuid, None)

    def retain(self, server_uuids: Container[str]) -> None:
        """Drop all other servers."""
        with self._lock:
            self._all = {uuid: pace for uuid, pace in self._all.items() if uuid in server_uuids}
