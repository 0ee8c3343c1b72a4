# SPDX-License-Identifier: Apache-2.0
"""Servers that are to be looked at, and when."""

import threading
import time


class Schedule:
    """A queue in which each server stands once, with the time when it is due.

    Used by many threads. Whoever takes a server may put it in again while others wait.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._changed = threading.Condition()
        self._open = True

    def put(self, server_uuid: str, delay_s: float = 0.0) -> None:
        """Have it looked at after so many seconds, or earlier if that was planned already."""
        due = time.monotonic() + delay_s
        with self._changed:
            self._due[server_uuid] = min(due, self._due.get(server_uuid, due))
            self._changed.notify()

    def take(self) -> str | None:
        """Wait until one is due, and take it out; None once the schedule is closed."""
        with self._changed:
            while self._open:
                first = min(self._due, key=self._due.__getitem__, default=None)
                wait_s = None if first is None else self._due[first] - time.monotonic()
                if first is not None and wait_s is not None and wait_s <= 0:
                    del self._due[first]
                    return first
                self._changed.wait(wait_s)
            return None

    def close(self) -> None:
        """Let everybody who takes come back with None."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
