# SPDX-License-Identifier: Apache-2.0
"""Threads that call libvirt for others, so that nobody waits for a call longer than its limit."""

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
    """A call has exceeded its limit: it has lasted for ``for_s`` seconds, and cannot be ended;
    None: no thread is free, because all wait for calls about other subjects."""

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


class Pool:
    """Up to so many threads, each with a connection of its own, for many callers.

    There is one call about one subject, such as a server, at a time. One that hangs keeps its
    thread and its connection, and costs those who call about other subjects nothing.
    """

    def __init__(self, daemon: Daemon, size: int) -> None:
        self._daemon, self._size = daemon, size
        self._changed = threading.Condition()
        self._idle: list[_Worker] = []
        #: Those in flight, by subject.
        self._calls: dict[str, Call[Any]] = {}

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
        give_up_s = time.monotonic() + limit_s
        with self._changed:
            while (worker := self._free(subject)) is None:
                mine = self._calls.get(subject)
                rest_s = min(give_up_s, self._expected_s(mine)) - time.monotonic()
                if rest_s <= 0:
                    raise Overdue(mine.lasted_s if mine else None)
                self._changed.wait(rest_s)
            call = Call(subject, work, limit_s)
            self._calls[subject] = call
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

    def _free(self, subject: str) -> "_Worker | None":
        if subject in self._calls or len(self._calls) >= self._size:
            return None
        # the last that was used: the others' connections are for rare times
        return self._idle.pop() if self._idle else _Worker(self, self._daemon)

    def _expected_s(self, mine: Call[Any] | None) -> float:
        """When (monotonic) what is waited for, one's own subject or any, counts as hanging."""
        awaited = [mine] if mine else self._calls.values()
        return max(call.began_s + call.limit_s for call in awaited)


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
