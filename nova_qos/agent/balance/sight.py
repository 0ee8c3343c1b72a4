# SPDX-License-Identifier: Apache-2.0
"""What the balancer sees of a host's servers: which it manages, and their figures for the planner.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from nova_qos.agent.balance.given import MEMORY, PRIORITY, Given
from nova_qos.agent.balance.guests import GuestNow
from nova_qos.core import desired
from nova_qos.core.errors import HostCannot, HostRefused, QosError
from nova_qos.core.guest import Guest
from nova_qos.core.server import SavedServer
from nova_qos.core.source import HOOK
from nova_qos.core.units import KIB_PER_MIB
from nova_qos.resources import TABLE

_PAGE_MIB, _BYTES_PER_MIB = 4 / 1024, 2**20
#: For so many seconds, a guest whose QEMU does not answer counts by what was last known of it: on a
#: host that is short of memory, any QEMU may be late.
_SILENT_S = 60.0


@dataclass(frozen=True)
class Bounds:
    """What a server's memory may be, in MiB: at most by its user or policy, by its flavor, and at
    least; and its weight."""

    most_mib: int
    flavor_mib: int
    guarantee_mib: int
    weight: int


@dataclass(frozen=True)
class Seen:
    """The servers that are managed, with their bounds, and why each of the others is not. Of these,
    some are ``waiting``: they are not managed for the moment."""

    managed: Mapping[str, GuestNow]
    bounds: Mapping[str, Bounds]
    unmanaged: Mapping[str, str]
    waiting: Collection[str]


@dataclass
class Sight:
    """Remembers of each guest how large its balloon was when it last reported, and when it was last
    seen, as what."""

    _last: dict[str, tuple[float, Guest]] = field(default_factory=dict)
    _reported: dict[str, tuple[int, int]] = field(default_factory=dict)

    def see(
        self, servers: Mapping[str, SavedServer], guests: Mapping[str, Guest | QosError],
        busy: Collection[str], given: Given,
    ) -> Seen:
        """What there is to plan for.

        :param busy: the servers that nova is at work on
        """
        managed, bounds, unmanaged = {}, {}, {}
        waiting, now_s = set(), time.monotonic()
        for uuid, found in guests.items():
            server, guest = servers.get(uuid), self._known(now_s, uuid, found)
            why_not = _why_not(server, guest, uuid in busy)
            if why_not or server is None or not isinstance(guest, Guest):
                unmanaged[uuid] = why_not
                if not isinstance(guest, HostCannot):
                    waiting.add(uuid)
                continue
            bounds[uuid] = _bounds(server)
            gift = given.of(uuid)
            managed[uuid] = self._guest(
                now_s, uuid, guest, bounds[uuid], None if gift is None else gift.memory_mib)
        self._last = {uuid: each for uuid, each in self._last.items() if uuid in guests}
        self._reported = {uuid: each for uuid, each in self._reported.items() if uuid in guests}
        return Seen(managed, bounds, unmanaged, waiting)

    def _known(
        self, now_s: float, server_uuid: str, found: Guest | QosError
    ) -> Guest | QosError:
        """What was found of a guest, or for a while what was known before where it does not
        answer."""
        if isinstance(found, Guest):
            self._last[server_uuid] = now_s, found
            return found
        seen_s, guest = self._last.get(server_uuid, (float("-inf"), None))
        if guest is None or not isinstance(found, HostRefused) or now_s - seen_s > _SILENT_S:
            return found
        return replace(guest, age_s=guest.age_s + now_s - seen_s)

    def _guest(
        self, now_s: float, server_uuid: str, guest: Guest, bounds: Bounds, target_mib: int | None
    ) -> GuestNow:
        reported, reported_actual_kib = self._reported.get(server_uuid, (None, 0))
        if reported != guest.reported:
            reported_actual_kib = guest.actual_kib
            self._reported[server_uuid] = guest.reported, reported_actual_kib
        actual_mib = guest.actual_kib / KIB_PER_MIB
        return GuestNow(
            actual_mib=actual_mib,
            target_mib=actual_mib if target_mib is None else target_mib,
            most_mib=bounds.most_mib, flavor_mib=bounds.flavor_mib,
            guarantee_mib=bounds.guarantee_mib, weight=bounds.weight,
            resident_mib=guest.resident_kib / KIB_PER_MIB,
            usable_mib=guest.usable_kib / KIB_PER_MIB, caches_mib=guest.caches_kib / KIB_PER_MIB,
            reported_actual_mib=reported_actual_kib / KIB_PER_MIB,
            swapped_in_mib=guest.swapped_in_kib / KIB_PER_MIB,
            faulted_mib=guest.major_faults * _PAGE_MIB,
            read_mib=guest.read_bytes / _BYTES_PER_MIB,
            reported_s=now_s - guest.age_s)


def _why_not(server: SavedServer | None, guest: Guest | QosError, is_busy: bool) -> str:
    """Why a server is not managed; empty where it is."""
    if isinstance(guest, QosError):
        return guest.message
    if server is None:
        return "nova has no such server on this host, or none yet"
    if guest.paused:
        return "it is paused"
    if is_busy or server.task is not None:
        return "nova is at work on it"
    return server.assigned.missing or ""


def _bounds(server: SavedServer) -> Bounds:
    targets = desired.resolve(TABLE, replace(server, balanced={}))
    memory, flavor_mib = targets[MEMORY], server.flavor.memory_mib
    # what a hook gave a new server is no bound while somebody balances
    most_mib = flavor_mib if memory.source == HOOK else memory.value
    return Bounds(most_mib, flavor_mib, max(0, targets["memory_guarantee"].value),
                  targets[PRIORITY].value)
