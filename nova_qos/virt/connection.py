# SPDX-License-Identifier: Apache-2.0
"""One connection to libvirt, opened when first needed and again after libvirtd has restarted."""

import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt

from nova_qos.virt import failures

_Answer = TypeVar("_Answer")


class Connection:
    """A connection shared by all threads."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._connection: libvirt.virConnect | None = None
        self._welcomes: list[Callable[[libvirt.virConnect], None]] = []
        # Without a handler the library writes every error to stderr, also those we expect.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def on_open(self, welcome: Callable[[libvirt.virConnect], None]) -> None:
        """Have this called with each connection that is opened from now on; a present one is
        opened anew when it is next needed."""
        self._welcomes.append(welcome)
        self.close()

    def call(self, work: Callable[[libvirt.virConnect], _Answer]) -> _Answer:
        """Do ``work`` on the connection, once more on a new one if it was lost meanwhile.

        ``work`` must be harmless when done twice. libvirt's own errors pass through.

        :raises HostAway: libvirt does not answer
        """
        lost: libvirt.libvirtError | None = None
        for _attempt in range(2):
            connection = self._opened()
            try:
                return work(connection)
            except libvirt.libvirtError as error:
                if not failures.is_connection_lost(error):
                    raise
                self._forget(connection)
                lost = error
        raise failures.away(self.uri, lost) from lost

    def close(self) -> None:
        """Close it; a later call opens it again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _opened(self) -> libvirt.virConnect:
        with self._lock:
            if self._connection is None:
                try:
                    opened = libvirt.open(self.uri)
                    for welcome in self._welcomes:
                        welcome(opened)
                except libvirt.libvirtError as error:
                    raise failures.away(self.uri, error) from error
                self._connection = opened
            return self._connection

    def _forget(self, lost: libvirt.virConnect) -> None:
        # Not closed here: other threads may be inside a call on it; the last reference frees it.
        with self._lock:
            if self._connection is lost:
                self._connection = None
