# SPDX-License-Identifier: Apache-2.0
"""Asking a database for no longer than a caller can wait.

The time limits of servers and of TCP do not end every wait: the kernel of a server that is frozen
goes on confirming what it gets, and PostgreSQL's driver waits for the answer without end. So a
question has a thread of its own, and the caller stops waiting for it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


class Late(Exception):
    """There was no answer in time."""


class Waits:
    """Runs questions, each on a thread of its own; used by many threads.

    :param most_held: the most threads that nobody waits for any more; while there are so many, the
        next question is refused at once
    """

    def __init__(self, most_held: int) -> None:
        self._most_held = most_held
        self._lock = threading.Lock()
        self._held = 0

    def answer(self, ask: Callable[[], _T], until: float) -> _T:
        """What the question answers or raises; it is left to itself where it takes longer.

        :param until: the time by ``time.monotonic``
        :raises Late: it took longer, or too many others do
        """
        with self._lock:
            if self._held >= self._most_held:
                raise Late(f"{self._held} questions have no answer yet")
        future: Future[_T] = Future()
        threading.Thread(
            target=_ask, args=(future, ask), name="qos-database", daemon=True).start()
        try:
            return future.result(max(0.0, until - time.monotonic()))
        except TimeoutError as error:
            if future.done():
                # the question's own, or an answer at the last moment
                return future.result()
            self._count(1)
            future.add_done_callback(lambda _done: self._count(-1))
            raise Late("no answer in time") from error

    def _count(self, more: int) -> None:
        with self._lock:
            self._held += more


def _ask(future: "Future[_T]", ask: Callable[[], _T]) -> None:
    try:
        future.set_result(ask())
    except BaseException as error:  # noqa: BLE001  # who waits raises it again
        future.set_exception(error)
