# SPDX-License-Identifier: Apache-2.0
"""The lock under which one server's settings are saved and applied."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from oslo_concurrency import lockutils

from nova_qos.core import errors

#: One for each server that somebody is at work on or waits for.
_LOCKS = lockutils.Semaphores()


@contextmanager
def locked(server_uuid: str, until: float | None = None) -> Iterator[None]:
    """Hold the lock of a server inside.

    :param until: how long to wait for it (``time.monotonic``); None = as long as it takes
    :raises AgentAway: it was not free by then, so nobody waits for the answer any more
    """
    lock = _LOCKS.get(server_uuid)
    timeout_s = None if until is None else max(0.0, until - time.monotonic())
    if not lock.acquire(timeout=timeout_s):
        raise errors.AgentAway("another request kept the server locked for too long")
    try:
        yield
    finally:
        lock.release()
