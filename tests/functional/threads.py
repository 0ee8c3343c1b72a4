# SPDX-License-Identifier: Apache-2.0
"""Idle threads of nova's pools sleep until there is work for them, or they are to end.

Those of futurist wake up each second, and its pools never shrink: after some files of tests there
are 150 threads, which take a third of a processor and let all else take twice as long.
"""

import queue
from typing import Any

from futurist import _thread

#: For an end that nobody tells them.
_LOOK_S = 10.0
#: Who collects garbage may hold the lock himself.
_LOCKED_S = 0.1


def sleep_until_there_is_work() -> None:
    """Let all of this process do so."""
    _thread.ThreadWorker._wait_for_work = _wait_for_work
    _thread.ThreadWorker.stop = _stop


def _wait_for_work(worker: Any) -> Any:
    worker.idle, pending = True, worker.work_queue
    while True:
        with pending.not_empty:
            if not pending.queue and not worker._is_dying():
                pending.not_empty.wait(_LOOK_S)
        try:
            work = pending.get_nowait()
        except queue.Empty:
            if worker._is_dying():
                raise _thread._Stopping from None
        else:
            worker.idle = False
            return work


def _stop(worker: Any) -> None:
    worker.should_stop, pending = True, worker.work_queue
    if pending.mutex.acquire(timeout=_LOCKED_S):
        try:
            pending.not_empty.notify_all()
        finally:
            pending.mutex.release()
