# SPDX-License-Identifier: Apache-2.0
"""All running servers as they were seen at one time."""

import functools
from collections.abc import Callable, Collection, Mapping
from functools import cached_property

from nova_qos.core import errors
from nova_qos.host import Figures, Part, SeenNetwork, merged
from nova_qos.virt import failures, groups, statistics
from nova_qos.virt.definition import Definition
from nova_qos.virt.domain import LibvirtDomain, ReadNetwork
from nova_qos.virt.groups import Group
from nova_qos.virt.inventory import Listed
from nova_qos.virt.protection import LOW, MIN, Kind, LookAbove
from nova_qos.virt.session import Seen

#: A server's uuid, what was seen of it, how to look at the groups above, and at the networks.
SeenDomain = Callable[
    [str, Seen, Mapping[Kind, LookAbove], Mapping[str, ReadNetwork]], LibvirtDomain]


def _remembering(kind: Kind) -> LookAbove:
    look_above = functools.cache(lambda path: kind.look_above(Group(path)))
    return lambda group: look_above(group.path)


class LibvirtSnapshot:
    """All running servers as one bulk call found them."""

    def __init__(
        self, seen_domain: SeenDomain, listed: Mapping[str, Listed], is_unified: bool,
        networks: Mapping[str, SeenNetwork], parts: Mapping[str, Part], cpus: int,
    ) -> None:
        """
        :param seen_domain: makes the domain of a server, for reading what was seen of it
        :param cpus: how many processors the servers share
        """
        self._cpus = cpus
        self._seen_domain, self._listed = seen_domain, listed
        self._networks, self.parts = networks, parts
        self._read_networks = {knob: network.read for knob, network in networks.items()}
        self._groups: Mapping[str, Group] = groups.by_machine() if is_unified else {}
        # the groups above servers are the same for all of them
        self._above = {kind: _remembering(kind) for kind in (LOW, MIN)}

    @property
    def running(self) -> Collection[str]:
        """See ``host.Snapshot``."""
        return self._listed.keys()

    def figures(self) -> Figures:
        """See ``host.Snapshot``."""
        networks = (network.figures() for network in self._networks.values())
        return merged([statistics.of_host(self._cpus), *networks])

    def figures_of(self, server_uuid: str) -> Figures:
        """See ``host.Snapshot``."""
        listed = self._of(server_uuid)
        found = [statistics.of_libvirt(listed.record)]
        if isinstance(listed.definition, Definition):
            interfaces = listed.definition.interfaces
            found += [network.figures_of(interfaces) for network in self._networks.values()]
        return merged(found)

    def pressure_of(self, server_uuid: str) -> Figures:
        """See ``host.Snapshot``."""
        listed = self._of(server_uuid)
        if not isinstance(listed.definition, Definition):
            return {}
        group = self._with_pressure.get(
            groups.machine(listed.domain_id, listed.definition.name))
        return statistics.pressure_of(group) if group else {}

    def is_whole(self, server_uuid: str) -> bool:
        """See ``host.Snapshot``."""
        return self._of(server_uuid).is_whole

    @cached_property
    def _with_pressure(self) -> Mapping[str, Group]:
        return statistics.groups_with_pressure(statistics.pressure_root())

    def _of(self, server_uuid: str) -> Listed:
        if server_uuid not in self._listed:
            raise failures.not_running()
        return self._listed[server_uuid]

    def domain(self, server_uuid: str) -> LibvirtDomain:
        """See ``host.Snapshot.domain``."""
        listed = self._of(server_uuid)
        if isinstance(listed.definition, errors.HostRefused):
            raise errors.HostRefused(listed.definition.message)
        machine = groups.machine(listed.domain_id, listed.definition.name)
        seen = Seen(listed.state, listed.balloon, listed.definition, self._groups.get(machine))
        return self._seen_domain(server_uuid, seen, self._above, self._read_networks)
