# SPDX-License-Identifier: Apache-2.0
"""Servers that are to be looked at, and when."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_FIRST_DELAY_S = 0.25
_MOST_DOUBLINGS = 20
#: The part of the time that a server has waited which it may go on waiting unseen.
_PART = 0.1


@dataclass(frozen=True)
class Again:
    """A look that has to be repeated: why (any word), and the longest pause before, in seconds.

    ``seldom_s``: once it has been repeated for long, the pause grows beyond that, to a tenth of the
    time that has passed, up to this many seconds; 0: it does not.
    """

    why: str
    longest_s: float
    seldom_s: float = 0.0


class Schedule:
    """A queue in which each server stands once, with the time when it is due.

    Used by many threads. Whoever takes a server may put it in again while others wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}
        #: Why a server was put back last, how often in turn, and since when.
        self._repeats: dict[str, tuple[str, int, float]] = {}
        self._changed = threading.Condition()
        self._open = True

    def put(self, server_uuid: str, delay_s: float = 0.0) -> None:
        """Have it looked at after so many seconds, or earlier if that was planned already."""
        with self._changed:
            self._put(server_uuid, delay_s)

    def put_afresh(self, server_uuid: str, delay_s: float = 0.0) -> None:
        """As ``put``, but as if nobody had looked at it before."""
        with self._changed:
            self._repeats.pop(server_uuid, None)
            self._put(server_uuid, delay_s)

    def put_back(self, server_uuid: str, again: Again | None) -> None:
        """Put a server that was taken back on the schedule; None: no further look is due.

        The pause doubles each time the reason is the same, up to what ``again`` allows.
        """
        with self._changed:
            if again is None:
                self._repeats.pop(server_uuid, None)
                return
            now_s = self._clock()
            why, times, since_s = self._repeats.get(server_uuid, (again.why, 0, now_s))
            if why != again.why:
                # pauses so far were for another reason
                times, since_s = 0, now_s
            self._repeats[server_uuid] = again.why, times + 1, since_s
            delay_s = _FIRST_DELAY_S * 2.0**min(times, _MOST_DOUBLINGS)
            seldom_s = min(_PART * (now_s - since_s), again.seldom_s)
            self._put(server_uuid, min(delay_s, max(again.longest_s, seldom_s)))

    def take(self) -> str | None:
        """Wait until one is due, and take it out; None once the schedule is closed."""
        with self._changed:
            while self._open:
                first = min(self._due, key=self._due.__getitem__, default=None)
                wait_s = None if first is None else self._due[first] - self._clock()
                if first is not None and wait_s is not None and wait_s <= 0:
                    del self._due[first]
                    return first
                self._changed.wait(wait_s)
            return None

    def close(self) -> None:
        """Close the schedule: every waiting ``take`` returns None."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _put(self, server_uuid: str, delay_s: float) -> None:
        due = self._clock() + delay_s
        self._due[server_uuid] = min(due, self._due.get(server_uuid, due))
        self._changed.notify()
