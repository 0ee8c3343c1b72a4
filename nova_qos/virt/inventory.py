# SPDX-License-Identifier: Apache-2.0
"""Which servers run on the host, and their network interfaces."""

import threading
from typing import Any

import libvirt

from nova_qos.model import Interfaces
from nova_qos.virt import failures
from nova_qos.virt.connection import Connection
from nova_qos.virt.definition import Definition

_ACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
# A definition is read again only when one of these is new: the start of a domain gives it
# another id, and an interface that is plugged changes the names.
_Signature = tuple[int, tuple[str, ...]]


class Inventory:
    """All running domains, asked for in one call; used by many threads at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[_Signature, Interfaces]] = {}

    def interfaces(self) -> dict[str, Interfaces]:
        """The interfaces of every running domain by the server's uuid.

        :raises HostAway: libvirt does not answer
        :raises HostRefused: libvirt answers, but not this
        """
        with self._lock:
            try:
                self._seen = self._connection.call(self._look)
            except libvirt.libvirtError as error:
                raise failures.translate(error, running=True) from error
            return {uuid: interfaces for uuid, (_, interfaces) in self._seen.items()}

    def _look(self, connection: libvirt.virConnect) -> dict[str, tuple[_Signature, Interfaces]]:
        found = {}
        statistics = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_INTERFACE, _ACTIVE)
        for domain, figures in statistics:
            uuid, signature = domain.UUIDString(), (domain.ID(), _names(figures))
            known = self._seen.get(uuid)
            if known is not None and known[0] == signature:
                found[uuid] = known
                continue
            try:
                definition = Definition.parse(domain.XMLDesc())
            except libvirt.libvirtError as error:
                if failures.is_connection_lost(error):
                    raise
                # it has ended meanwhile
                continue
            found[uuid] = (signature, definition.interfaces)
        return found


def _names(figures: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(value) for name, value in sorted(figures.items()) if name.endswith(".name"))
