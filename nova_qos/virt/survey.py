# SPDX-License-Identifier: Apache-2.0
"""What a host can do for its servers, told before anybody asks it to; nothing is changed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nova_qos.ability import Ability
from nova_qos.virt import groups, iosched
from nova_qos.virt.connection import Connection
from nova_qos.virt.definition import Disk
from nova_qos.virt.unified import SoftLimit

#: Where libvirt puts servers' groups in cgroup v2: with systemd, and without.
_ABOVE_SERVERS = ("machine.slice", "machine")
#: The controllers by their names in cgroup v2, and those of cgroup v1.
_V1_NAMES = {"cpu": "cpu", "memory": "memory", "io": "blkio"}


@dataclass(frozen=True)
class Configuration:
    """What nova.conf says that matters to servers' resources."""

    connection_uri: str
    instances_path: str
    images_type: str
    mem_stats_period_s: int
    soft_limit_v2: SoftLimit


@dataclass(frozen=True)
class Kernel:
    """Where the kernel tells about itself."""

    groups: Path = groups.ROOT
    mounts: Path = Path("/proc/self/mounts")
    memory: Path = Path("/proc/meminfo")

    @property
    def is_unified(self) -> bool:
        """Whether the host has cgroup v2 alone."""
        return (self.groups / "cgroup.controllers").exists()

    @property
    def cgroup(self) -> str:
        """The version, as people call it."""
        return "cgroup v2" if self.is_unified else "cgroup v1"

    def why_not(self, controller: str) -> str | None:
        """Why servers' groups do without a controller, named as in cgroup v2; None = they have
        it."""
        return (self._why_not_v2 if self.is_unified else self._why_not_v1)(controller)

    def has_swap(self) -> bool:
        """Whether anything can be swapped out."""
        figures = dict(line.split(":", 1) for line in self.memory.read_text().splitlines())
        return int(figures["SwapTotal"].split()[0]) > 0

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

    def _above_servers(self) -> Iterator[Path]:
        """The groups that pass controllers on to those of servers; systemd does that only once
        there is a server."""
        for name in _ABOVE_SERVERS:
            group = self.groups / name
            if any(each.is_dir() for each in group.glob("*")):
                yield from (self.groups, group)


def survey(configuration: Configuration, kernel: Kernel | None = None) -> dict[str, Ability]:
    """What can be done by resource name.

    :raises HostAway: libvirt does not answer
    """
    connection = Connection(configuration.connection_uri)
    connection.call(lambda opened: opened.getLibVersion())
    connection.close()
    kernel = kernel or Kernel()
    return {
        "memory": _memory(configuration),
        "memory_soft_limit": _soft_limit(configuration, kernel),
        "cpu_priority": Ability(kernel.why_not("cpu"), how=kernel.cgroup),
        "io_priority": _io(configuration, kernel),
    }


def _memory(configuration: Configuration) -> Ability:
    if configuration.mem_stats_period_s > 0:
        return Ability()
    return Ability(
        "servers have no balloon while [libvirt] mem_stats_period_seconds is "
        f"{configuration.mem_stats_period_s}; set 10, restart nova-compute, reboot servers hard")


def _soft_limit(configuration: Configuration, kernel: Kernel) -> Ability:
    cannot = kernel.why_not("memory")
    no_swap = None if kernel.has_swap() else (
        "this host has no swap, and what a guest holds can go nowhere else; add swap")
    if not kernel.is_unified:
        return Ability(cannot, no_swap, kernel.cgroup)
    if configuration.soft_limit_v2 == "throttle":
        return Ability(cannot, how=f"{kernel.cgroup}, throttles: memory.high")
    return Ability(cannot, no_swap, f"{kernel.cgroup}, protects: memory.low")


def _io(configuration: Configuration, kernel: Kernel) -> Ability:
    path, kind = configuration.instances_path, configuration.images_type
    if kind in ("rbd", "lvm"):
        why_not: str | None = (
            f"servers' disks are no files here ([libvirt] images_type = {kind}); get-qos of a "
            "server tells whether they obey")
    else:
        why_not = iosched.why_not_effective([Disk(path, "file", path)])
        if why_not is not None:
            why_not += _advice(path)
    return Ability(kernel.why_not("io"), why_not, kernel.cgroup)


def _advice(path: str) -> str:
    with suppress(OSError):
        device = iosched.device_below(path)
        if device is not None:
            offered = (device / "queue" / "scheduler").read_text().strip()
            load = "" if "bfq" in offered else "load the module bfq and "
            return (f". It offers {offered}: {load}write bfq to "
                    f"/sys/block/{device.name}/queue/scheduler")
    return ""


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
