# SPDX-License-Identifier: Apache-2.0
"""Sending over the message bus for no longer than a caller can wait.

oslo.messaging limits the wait for an answer. While the broker is away, it holds who wants to send
in its reconnecting: a process that never had a connection waits without end for the one that
answers come by, and the heartbeat of a connection reconnects without end under the lock that each
message needs. So messages leave on threads of their own here, and the caller stops waiting.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from nova_qos.core import errors

_T = TypeVar("_T")
#: How much longer than for an answer to wait for the thread that waits for the answer.
_GRACE_S = 1.0
#: The most threads that one broker may hold; the next message is refused at once.
_MOST_HELD = 16
#: Whose errors oslo.messaging lets pass where it cannot make a connection.
_BELOW = ("kombu", "amqp")


def retries(within_s: float) -> int:
    """How often to reconnect: with the pauses that oslo.messaging makes by default, 2 s and 2 s
    longer each time, so many times take about ``within_s``."""
    return max(1, math.isqrt(int(within_s)))


class Sender:
    """Sends messages, each on a thread of its own; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By broker, the threads that nobody waits for any more.
        self._held: dict[Any, int] = {}

    def send(self, broker: Any, work: Callable[[], _T], within_s: float) -> _T:
        """What the work answers; it is left to itself where it takes longer.

        :param broker: what stands for the broker that the work speaks to
        :raises AgentAway: it took longer, or too many others do
        """
        return self.begin(broker, work, within_s)()

    def begin(self, broker: Any, work: Callable[[], _T], within_s: float) -> Callable[[], _T]:
        """Begin to send; what this returns waits, and does what ``send`` does.

        :raises AgentAway: too many others take longer than they should
        """
        away = errors.AgentAway(f"the message bus did not take the message within {within_s:g} s")
        with self._lock:
            if self._held.get(broker, 0) >= _MOST_HELD:
                raise away
        future: Future[_T] = Future()
        threading.Thread(target=_work, args=(future, work), name="qos-send", daemon=True).start()
        give_up = time.monotonic() + within_s + _GRACE_S

        def wait() -> _T:
            try:
                return future.result(max(0.0, give_up - time.monotonic()))
            except TimeoutError as error:
                if future.done():
                    # the work's own
                    raise
                self._count(broker, 1)
                future.add_done_callback(lambda _done: self._count(broker, -1))
                raise away from error
            except Exception as error:
                if type(error).__module__.partition(".")[0] in _BELOW:
                    raise errors.AgentAway(f"the message bus does not answer: {error}") from error
                raise

        return wait

    def _count(self, broker: Any, more: int) -> None:
        with self._lock:
            self._held[broker] = self._held.get(broker, 0) + more


def _work(future: "Future[_T]", work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  # who waits raises it again
        future.set_exception(error)
