# SPDX-License-Identifier: Apache-2.0
"""One connection to libvirt, opened when first needed and again after libvirtd has restarted."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import libvirt

from nova_qos.virt import failures
from nova_qos.virt.daemon import Daemon

_Answer = TypeVar("_Answer")
#: What libvirt calls for its events, by their numbers.
Handlers = Mapping[int, Callable[..., Any]]


class Connection:
    """A connection for one thread.

    With libvirt before 9.8, a call can wait without end for another thread's on the same
    connection.
    """

    def __init__(
        self, daemon: Daemon, handlers: Handlers | None = None,
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        """:param handlers: of libvirt's events, which each connection gets
        :param opened: called after each opening
        """
        self._daemon = daemon
        self._handlers = handlers or {}
        self._opened = opened
        self._connection: libvirt.virConnect | None = None
        self._registered: list[int] = []

    def call(self, work: Callable[[libvirt.virConnect], _Answer]) -> _Answer:
        """Do ``work`` on the connection, once more on a new one if it was lost meanwhile.

        ``work`` must be harmless when done twice. libvirt's own errors pass through.

        :raises HostAway: libvirt does not answer
        """
        lost: libvirt.libvirtError | None = None
        for _attempt in range(2):
            connection = self._connection or self._open()
            try:
                return work(connection)
            except libvirt.libvirtError as error:
                if not failures.is_connection_lost(error):
                    raise
                self.close()
                lost = error
        why = "" if lost is None else failures.text(lost)
        raise failures.away(self._daemon.uri, why) from lost

    def close(self) -> None:
        """Close it; a later call opens it again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # a handler keeps a lost connection, and its socket, for ever
        while self._registered:
            with contextlib.suppress(libvirt.libvirtError):
                connection.domainEventDeregisterAny(self._registered.pop())
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()

    def _open(self) -> libvirt.virConnect:
        self._connection = connection = self._daemon.open()
        try:
            for event, handler in self._handlers.items():
                self._registered.append(
                    connection.domainEventRegisterAny(None, event, handler, None))
        except libvirt.libvirtError as error:
            self.close()
            raise failures.away(self._daemon.uri, failures.text(error)) from error
        self._opened()
        return connection
