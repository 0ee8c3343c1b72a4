# SPDX-License-Identifier: Apache-2.0
"""A running domain on a host with cgroup v2: there, the same values are on other scales."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nova_qos import errors, units
from nova_qos.model import UNLIMITED, Neighbours, Network, Reading
from nova_qos.virt import groups, iosched, systemd
from nova_qos.virt.balloon import Movements
from nova_qos.virt.connection import Connection
from nova_qos.virt.domain import LibvirtDomain, why_no_shares
from nova_qos.virt.groups import Group
from nova_qos.virt.protection import FILE as PROTECTION
from nova_qos.virt.protection import Protection

SoftLimit = Literal["protect", "throttle"]
_CPU, _BFQ, _IO = "cpu.weight", "io.bfq.weight", "io.weight"
_MOST_IO_WEIGHT = 1000


class UnifiedCgroupDomain(LibvirtDomain):
    """Reads the kernel's own files, and writes by whom they belong to."""

    def __init__(
        self, connection: Connection, movements: Movements, network: Network,
        neighbours: Neighbours, server_uuid: str, *, soft_limit: SoftLimit,
        protection: Protection, manager: systemd.Systemd,
    ) -> None:
        super().__init__(connection, movements, network, neighbours, server_uuid)
        self._soft_limit = soft_limit
        self._protection = protection
        self._manager = manager

    def read_memory_soft_limit(self) -> Reading:
        """The limit of the kind that nova.conf asks for, or of the other where only that is in
        force; the reason names the kind.

        One of the other kind is there after a change of nova.conf, and when a server with a limit
        moves here: libvirt brings it along as memory.high.
        """
        with self._group("memory") as group:
            low = group.read(PROTECTION) // units.KIB_PER_MIB or UNLIMITED
            why_not = self._protection.why_not_effective(group) if low != UNLIMITED else None
        high = super().read_memory_soft_limit().applied or UNLIMITED
        limits: dict[SoftLimit, int] = {"protect": low, "throttle": high}
        inverse: SoftLimit = "throttle" if self._soft_limit == "protect" else "protect"
        kind = inverse if limits[self._soft_limit] == UNLIMITED else self._soft_limit
        limit = limits[kind]
        if limit == UNLIMITED:
            return Reading(UNLIMITED)
        if kind == "throttle":
            why_not = None
        return Reading(limit, effective=why_not is None, reason=why_not or _in_words(kind, limit),
                       by_other_means=limits[inverse] != UNLIMITED)

    def write_memory_soft_limit(self, memory_kib: int) -> None:
        protects = self._soft_limit == "protect" and memory_kib != UNLIMITED
        low_kib, high_kib = (memory_kib, UNLIMITED) if protects else (0, memory_kib)
        with self._group("memory") as group:
            self._protection.set(group, low_kib * units.KIB_PER_MIB)
        if super().read_memory_soft_limit().applied != high_kib:
            super().write_memory_soft_limit(high_kib)

    def read_cpu_shares(self) -> Reading:
        with self._group("cpu") as group:
            weight = group.read(_CPU)
        span, why_not = units.cpu_shares_span(weight), why_no_shares(self._definition())
        return Reading(units.cpu_shares(weight), effective=why_not is None,
                       reason=why_not or _coarseness(weight, span), span=span)

    def write_cpu_shares(self, shares: int) -> None:
        if not units.LEAST_CPU_SHARES <= shares <= units.MOST_CPU_SHARES:
            raise errors.HostRefused(f"share: the kernel has no such share: {shares}")
        weight = units.cpu_weight(shares)
        # Not through libvirt: its least share, 2, is the second least weight.
        with self._group("cpu") as group:
            self._write(group, _CPU, "CPUWeight", weight, weight)

    def read_io_weight(self) -> Reading:
        disks = self._definition().disks
        with self._group("io") as group:
            weight = group.read(_weight_files(group, iosched.dividers(disks))[0])
        why_not = iosched.why_not_effective(disks)
        return Reading(weight, effective=why_not is None, reason=why_not)

    def write_io_weight(self, weight: int) -> None:
        # Not through libvirt: it would tell the host that the server moves to a value that is
        # meant for systemd, and one with cgroup v1 would refuse the server.
        if not 1 <= weight <= _MOST_IO_WEIGHT:
            raise errors.HostRefused(f"weight: the kernel has no such weight: {weight}")
        dividers = iosched.dividers(self._definition().disks)
        with self._group("io") as group:
            first, *others = _weight_files(group, dividers)
            for_systemd = units.systemd_io_weight(weight) if first == _BFQ else weight
            self._write(group, first, "IOWeight", for_systemd, weight)
            for file in others:
                group.write(file, weight)

    def _write(
        self, group: Group, file: str, name: str, for_systemd: int, value: int
    ) -> None:
        """Bring a file to a value, by systemd's property where the group is systemd's."""
        if systemd.owns(group.name):
            self._manager.set_property(group.name, name, for_systemd)
            # not every version makes the same of it
            if group.comes_to(file, value):
                return
        group.write(file, value)

    @contextmanager
    def _group(self, controller: str) -> Iterator[Group]:
        """The domain's control group, for what the kernel's controller offers; trouble with its
        files is translated."""
        number = self._do(lambda domain: domain.ID())
        try:
            group = groups.find(number)
            if group is None:
                self.require_running()
                raise errors.HostCannot(
                    "libvirt gave this server no control group of its own; see cgroup_controllers "
                    "in libvirt's qemu.conf")
            if controller not in group.controllers:
                raise errors.HostCannot(
                    f"this host's servers have no cgroup controller {controller}; see "
                    f"cgroup.subtree_control of {group.path.parent}")
            yield group
        except OSError as error:
            self.require_running()
            raise _translated(error) from error
        except errors.HostRefused:
            # it may have ended under the write
            self.require_running()
            raise


def _weight_files(group: Group, dividers: set[iosched.Divider]) -> list[str]:
    """The files of what divides the domain's disks, or else the one that would be looked at
    first if something did."""
    offered = [file for file in (_BFQ, _IO) if group.has(file)]
    if not offered:
        raise errors.HostCannot(
            "weight: this kernel divides no disk by weights; load the module bfq")
    of = {_BFQ: "bfq", _IO: "io.cost"}
    return [file for file in offered if of[file] in dividers] or offered[:1]


def _in_words(kind: SoftLimit, kib: int) -> str:
    mib = f"{kib / units.KIB_PER_MIB:g} MiB"
    if kind == "protect":
        return (f"protects (memory.low): while the host is short of memory, its first {mib} are "
                "reclaimed last")
    return (f"throttles (memory.high): beyond {mib} it is slowed and reclaimed at any time")


def _coarseness(weight: int, span: tuple[int, int]) -> str | None:
    if weight == units.DEFAULT_CPU_WEIGHT or span[0] == span[1]:
        return None
    return f"cgroup v2 holds weight {weight}, which stands for shares {span[0]} to {span[1]}"


def _translated(error: OSError) -> errors.QosError:
    if isinstance(error, PermissionError):
        return errors.HostCannot(f"the agent may not write {error.filename}; run it as root")
    if isinstance(error, FileNotFoundError):
        return errors.HostCannot(f"this kernel has no {error.filename}")
    return errors.HostRefused(f"the kernel refused: {error.strerror}: {error.filename}")
