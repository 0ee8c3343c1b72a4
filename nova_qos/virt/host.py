# SPDX-License-Identifier: Apache-2.0
"""The compute host behind the ``Host`` protocol."""

from contextlib import AbstractContextManager
from pathlib import Path

from nova_qos.model import Domain, Listener, Network
from nova_qos.virt.balloon import Movements
from nova_qos.virt.connection import Connection
from nova_qos.virt.domain import LibvirtDomain, UnifiedCgroupDomain
from nova_qos.virt.events import Events
from nova_qos.virt.inventory import Inventory

_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")


class LibvirtHost:
    """A libvirt host, used by many threads at once; libvirt is reached when first needed."""

    def __init__(self, uri: str, network: Network) -> None:
        self._connection = Connection(uri)
        self._network = network
        self._inventory = Inventory(self._connection)
        self._movements = Movements()
        self._kind = UnifiedCgroupDomain if _UNIFIED.exists() else LibvirtDomain

    def domain(self, server_uuid: str) -> Domain:
        """The server's running domain.

        :raises ServerNotRunning: there is none
        :raises HostAway: libvirt does not answer
        """
        domain = self._kind(
            self._connection, self._movements, self._network, self._inventory.interfaces,
            server_uuid)
        domain.require_running()
        return domain

    def at_once(self) -> AbstractContextManager[None]:
        """See ``Network.at_once``."""
        return self._network.at_once()

    def watch(self, listener: Listener) -> None:
        """Tell the listener from now on what happens to servers; ``events.run_loop`` must run."""
        Events(self._connection, listener).start()

    def tidy(self, mend: bool) -> None:
        """See ``Network.tidy``.

        :raises HostCannot, HostRefused, HostAway: it could not be done
        """
        self._network.tidy(self._inventory.interfaces, mend)

    def close(self) -> None:
        """Leave libvirt; a later call comes back to it."""
        self._connection.close()
