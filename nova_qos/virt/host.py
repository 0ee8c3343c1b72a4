# SPDX-License-Identifier: Apache-2.0
"""The compute host behind the ``Host`` protocol."""

from contextlib import AbstractContextManager

from nova_qos import errors
from nova_qos.model import Domain, Listener, Network
from nova_qos.virt import groups
from nova_qos.virt.balloon import Movements
from nova_qos.virt.connection import Connection
from nova_qos.virt.domain import LibvirtDomain
from nova_qos.virt.events import Events
from nova_qos.virt.inventory import Inventory
from nova_qos.virt.protection import Protection
from nova_qos.virt.systemd import Systemd
from nova_qos.virt.unified import SoftLimit, UnifiedCgroupDomain


class LibvirtHost:
    """A libvirt host, used by many threads at once; libvirt is reached when first needed."""

    def __init__(self, uri: str, network: Network, soft_limit: SoftLimit = "protect") -> None:
        """:param soft_limit: what a memory soft limit does on cgroup v2"""
        self._connection = Connection(uri)
        self._network = network
        self._inventory = Inventory(self._connection)
        self._movements = Movements()
        self._is_unified = (groups.ROOT / "cgroup.controllers").exists()
        self._soft_limit = soft_limit
        self._systemd = Systemd()
        self._protection = Protection(self._systemd)

    def domain(self, server_uuid: str) -> Domain:
        """The server's running domain.

        :raises ServerNotRunning: there is none
        :raises HostAway: libvirt does not answer
        """
        common = (self._connection, self._movements, self._network, self._inventory.interfaces,
                  server_uuid)
        domain = LibvirtDomain(*common) if not self._is_unified else UnifiedCgroupDomain(
            *common, soft_limit=self._soft_limit, protection=self._protection,
            manager=self._systemd)
        domain.require_running()
        return domain

    def at_once(self) -> AbstractContextManager[None]:
        """See ``Network.at_once``."""
        return self._network.at_once()

    def watch(self, listener: Listener) -> None:
        """Tell the listener from now on what happens to servers; ``events.run_loop`` must run."""
        Events(self._connection, listener).start()

    def tidy(self, mend: bool) -> None:
        """See ``Network.tidy``; likewise for what servers have together of the host's memory.

        :raises HostCannot, HostRefused, HostAway: it could not be done
        """
        try:
            self._network.tidy(self._inventory.interfaces, mend)
        finally:
            if self._is_unified:
                self._tidy_groups()

    def _tidy_groups(self) -> None:
        try:
            self._protection.tidy()
        except OSError as error:
            raise errors.HostRefused(
                f"memory_limit: {error.strerror}: {error.filename}") from error

    def close(self) -> None:
        """Leave libvirt; a later call comes back to it."""
        self._connection.close()
