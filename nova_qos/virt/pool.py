# SPDX-License-Identifier: Apache-2.0
"""Threads that call libvirt for others, so that nobody waits for a call longer than its limit."""

import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import libvirt

from nova_qos.virt.connection import Connection
from nova_qos.virt.daemon import Daemon

_Answer = TypeVar("_Answer")
LIMIT_S = 5.0


class Overdue(Exception):
    """A call has exceeded its limit: it, or the wait for its turn, has lasted ``for_s`` seconds,
    and cannot be ended; None: no thread is free, because all wait for calls about other subjects.
    """

    def __init__(self, for_s: float | None) -> None:
        super().__init__(for_s)
        self.for_s = for_s


@dataclass(frozen=True, eq=False)
class Call(Generic[_Answer]):
    """A call that was begun; ``began_s`` is monotonic."""

    subject: str
    work: Callable[[libvirt.virConnect], _Answer]
    limit_s: float
    began_s: float = field(default_factory=time.monotonic)
    answer: "futures.Future[_Answer]" = field(default_factory=futures.Future)

    @property
    def lasted_s(self) -> float:
        """For how long."""
        return time.monotonic() - self.began_s

    def wait(self, limit_s: float | None = None) -> _Answer:
        """Its answer, at most so long after it began; None = within its limit.

        :raises Overdue: it has not come by then
        """
        limit_s = self.limit_s if limit_s is None else limit_s
        try:
            return self.answer.result(max(0.0, limit_s - self.lasted_s))
        except TimeoutError:
            raise Overdue(self.lasted_s) from None


@dataclass(frozen=True, eq=False)
class _Turn:
    subject: str


class Pool:
    """Up to so many threads, each with a connection of its own, for many callers.

    There is one call about one subject, such as a server, at a time, and those who call about the
    same get their turns in the order in which they came. One that hangs keeps its thread and its
    connection, and costs those who call about other subjects nothing.
    """

    def __init__(self, daemon: Daemon, size: int) -> None:
        self._daemon, self._size = daemon, size
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        #: Those in flight, by subject.
        self._calls: dict[str, Call[Any]] = {}
        #: Who waits, in the order in which they came.
        self._turns: list[_Turn] = []

    def call(
        self, subject: str, work: Callable[[libvirt.virConnect], _Answer], limit_s: float = LIMIT_S
    ) -> _Answer:
        """Have ``work`` done on a connection; see ``Connection.call``.

        :raises Overdue: it takes longer than the limit, or another about this subject does
        :raises HostAway: libvirt does not answer
        """
        return self.begin(subject, work, limit_s).wait()

    def begin(
        self, subject: str, work: Callable[[libvirt.virConnect], _Answer], limit_s: float = LIMIT_S
    ) -> Call[_Answer]:
        """Begin such a call, as soon as that is possible.

        :raises Overdue: as ``call``
        """
        began_s, turn = time.monotonic(), _Turn(subject)
        with self._changed:
            self._turns.append(turn)
            try:
                while not self._is_next(turn):
                    self._await_change(subject, began_s, limit_s)
                call = Call(subject, work, limit_s)
                self._calls[subject] = call
                # the last that was used: the others' connections are for rare times
                worker = self._idle.pop() if self._idle else _Worker(self, self._daemon)
            finally:
                self._turns.remove(turn)
                self._changed.notify_all()
        worker.take(call)
        return call

    def close(self) -> None:
        """Close the connections of idle threads; a later call opens new ones."""
        with self._changed:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def ended(self, worker: "_Worker", call: Call[Any]) -> None:
        """Take note that a thread is free again."""
        with self._changed:
            del self._calls[call.subject]
            self._idle.append(worker)
            self._changed.notify_all()

    def _is_next(self, turn: _Turn) -> bool:
        """Whether a thread is free, and this is the first for whom one can be used."""
        if len(self._calls) >= self._size:
            return False
        usable = (each for each in self._turns if each.subject not in self._calls)
        return next(usable, None) is turn

    def _await_change(self, subject: str, began_s: float, limit_s: float) -> None:
        mine = self._calls.get(subject)
        awaited = [mine] if mine else self._calls.values()
        # when what is waited for, one's own subject or any, counts as hanging
        hangs_s = max((call.began_s + call.limit_s for call in awaited), default=math.inf)
        now_s = time.monotonic()
        rest_s = min(began_s + limit_s, hangs_s) - now_s
        if rest_s <= 0:
            raise Overdue(max(mine.lasted_s, now_s - began_s) if mine else None)
        self._changed.wait(rest_s)


class _Worker:
    """A thread of a pool."""

    def __init__(self, pool: Pool, daemon: Daemon) -> None:
        self._pool = pool
        self._connection = Connection(daemon)
        self._calls: queue.SimpleQueue[Call[Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="libvirt-call", daemon=True).start()

    def take(self, call: Call[Any]) -> None:
        """Do this call."""
        self._calls.put(call)

    def end(self) -> None:
        """End after the calls that were taken."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            self._do(call)
            # what a call holds may keep a connection
            del call
        self._connection.close()

    def _do(self, call: Call[Any]) -> None:
        try:
            answer = self._connection.call(call.work)
        except Exception as error:  # noqa: BLE001  # the caller gets it, whatever it is
            self._pool.ended(self, call)
            call.answer.set_exception(error)
        else:
            self._pool.ended(self, call)
            call.answer.set_result(answer)
