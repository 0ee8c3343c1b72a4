# SPDX-License-Identifier: Apache-2.0
"""The hosts of the compute API as a load balancer before them has them."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

#: What the longest request may take: one to an agent that is away, and its answer.
_EMPTY_S = 60.0


class Pool:
    """Each request goes to the next of the hosts that are in; used by many threads."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._changed = threading.Condition()
        self._hosts, self._turn = list(hosts), 0
        self._busy = Counter[str]()

    @contextmanager
    def taken(self) -> Iterator[str]:
        """The host of one request, which lasts as long as this."""
        with self._changed:
            self._turn += 1
            host = self._hosts[self._turn % len(self._hosts)]
            self._busy[host] += 1
        try:
            yield host
        finally:
            with self._changed:
                self._busy[host] -= 1
                self._changed.notify_all()

    @contextmanager
    def without(self, host: str) -> Iterator[None]:
        """Take a host out, wait until it has answered all that it was asked, and put it in again
        afterwards."""
        with self._changed:
            self._hosts.remove(host)
            assert self._changed.wait_for(lambda: not self._busy[host], _EMPTY_S), "still busy"
        yield
        # not where it does not start again: nobody would send it anything
        with self._changed:
            self._hosts.append(host)
