# SPDX-License-Identifier: Apache-2.0
"""What configuration and kernel say about a host before any server runs; changes nothing."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nova_qos.core import errors
from nova_qos.core.plan import Capacity
from nova_qos.core.room import PRESSED, MemoryNow, Pressure, Room
from nova_qos.core.scales import MOST_CPU_SHARES
from nova_qos.core.units import KIB_PER_MIB
from nova_qos.virt import groups

#: The controllers by their names in cgroup v2, and those of cgroup v1.
_V1_NAMES = {"cpu": "cpu", "memory": "memory", "io": "blkio"}
#: A line of a file of pressures.
_PRESSURE = re.compile(r"^(some|full) avg10=([\d.]+) ", re.MULTILINE)


@dataclass(frozen=True)
class Configuration:
    """What nova.conf says that matters to servers' resources."""

    connection_uri: str
    instances_path: str
    images_type: str
    mem_stats_period_s: int
    soft_limit_v2: Literal["protect", "throttle"]
    rpc_timeout_s: int


@dataclass(frozen=True)
class Kernel:
    """Where the kernel tells about itself."""

    groups: Path = groups.ROOT
    mounts: Path = Path("/proc/self/mounts")
    memory: Path = Path("/proc/meminfo")
    pressure: Path = Path("/proc/pressure")
    generations: Path = Path("/sys/kernel/mm/lru_gen/enabled")

    @property
    def is_unified(self) -> bool:
        """Whether the host has cgroup v2 alone."""
        return (self.groups / "cgroup.controllers").exists()

    @property
    def cgroup(self) -> str:
        """The version, as people call it."""
        return "cgroup v2" if self.is_unified else "cgroup v1"

    def capacity(
        self, cpus: int | None = None, reserved_memory_mib: int = 0
    ) -> Capacity:
        """What can be guaranteed to servers.

        :param cpus: how many processors they share; None = all
        :param reserved_memory_mib: what the host keeps for itself
        """
        cpus = len(os.sched_getaffinity(0)) if cpus is None else cpus
        memory_mib = self._memory_kib("MemTotal") // KIB_PER_MIB - reserved_memory_mib
        return Capacity(100 * cpus, max(0, memory_mib), MOST_CPU_SHARES)

    def room(self, capacity: Mapping[str, int | None]) -> Room:
        """The host's own figures now.

        :param capacity: see ``Room.capacity``
        :raises HostRefused: the kernel does not tell them
        """
        try:
            return Room(
                self._memory_kib("MemTotal") // KIB_PER_MIB,
                self._memory_kib("MemAvailable") // KIB_PER_MIB, os.cpu_count() or 1, capacity,
                {name: self._pressure(name) for name in PRESSED})
        except (OSError, KeyError, ValueError) as error:
            raise errors.HostRefused(f"the kernel does not tell its memory: {error!r}") from error

    def memory_now(self) -> MemoryNow:
        """The host's memory at this moment.

        :raises HostRefused: the kernel does not tell
        """
        try:
            figures = self._memory()
            return MemoryNow(figures["MemTotal"] / KIB_PER_MIB,
                             figures["MemAvailable"] / KIB_PER_MIB,
                             self._pressure("memory").some or 0.0)
        except (OSError, KeyError, ValueError) as error:
            raise errors.HostRefused(f"the kernel does not tell its memory: {error!r}") from error

    def _pressure(self, name: str) -> Pressure:
        """What the kernel tells of a resource; nothing where it keeps no account of pressure."""
        try:
            text = (self.pressure / name).read_text()
        except OSError:
            # the file is there but cannot be read where the kernel was started with psi=0
            return Pressure()
        found = {kind: float(percent) for kind, percent in _PRESSURE.findall(text)}
        return Pressure(found.get("some"), found.get("full"))

    def why_not(self, controller: str) -> str | None:
        """Why servers' groups do without a controller, named as in cgroup v2; None = they have
        it."""
        return (self._why_not_v2 if self.is_unified else self._why_not_v1)(controller)

    def why_no_swap(self) -> str | None:
        """Why nothing can be swapped out; None = the host has swap."""
        if self._memory_kib("SwapTotal") > 0:
            return None
        return ("this host has no swap, and the kernel can reclaim a guest's memory only by "
                "swapping; add swap")

    def why_low_is_ignored(self) -> str | None:
        """Why the kernel reclaims what memory.low protects as it does all else; None = it does not.

        Its multi-generational LRU only puts such a group off once (Linux 6.12, ``shrink_one`` in
        mm/vmscan.c); it heeds memory.min.
        """
        try:
            is_on = int(self.generations.read_text(), 16) & 1
        except (OSError, ValueError):
            # the kernel was built without it, or has something else there
            return None
        return None if not is_on else (
            "the kernel's multi-generational LRU is on, which hardly heeds memory.low; write n to "
            f"{self.generations}, or give the server a memory guarantee")

    def _memory_kib(self, name: str) -> int:
        return self._memory()[name]

    def _memory(self) -> dict[str, int]:
        figures = dict(line.split(":", 1) for line in self.memory.read_text().splitlines())
        return {name: int(text.split()[0]) for name, text in figures.items()}

    def _why_not_v1(self, controller: str) -> str | None:
        name = _V1_NAMES[controller]
        for line in self.mounts.read_text().splitlines():
            _device, _place, kind, options, *_ = line.split()
            if kind == "cgroup" and name in options.split(","):
                return None
        return f"the cgroup v1 controller {name} is not mounted; mount it and restart libvirtd"

    def _why_not_v2(self, controller: str) -> str | None:
        if controller not in _words(self.groups / "cgroup.controllers"):
            return (f"the kernel has no cgroup v2 controller {controller}; look for "
                    "cgroup_disable= or a cgroup v1 mount in how it is started")
        for group in self._above_servers():
            if controller not in _words(group / "cgroup.subtree_control"):
                return (f"servers' groups have no controller {controller}; write +{controller} to "
                        f"{group}/cgroup.subtree_control")
        return None

    def _above_servers(self) -> list[Path]:
        """The groups that pass controllers on to those of servers, the outer ones first; systemd
        does that only once there is a server."""
        above = {group.path for domain in groups.domains(self.groups) for group in domain.above()}
        return [self.groups, *sorted(above)] if above else []


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
