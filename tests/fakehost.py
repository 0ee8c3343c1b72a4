# SPDX-License-Identifier: Apache-2.0
"""A host that exists only in memory: the host's protocols for tests above the host's edge.

The contract suite in tests/contract runs on this and on real libvirt.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from nova_qos.core import errors, scales
from nova_qos.core.balloon import Balloon
from nova_qos.core.guest import Guest
from nova_qos.core.plan import (
    Asked,
    Capacity,
    cpu_readings,
    plan,
    reading_of,
    require_left,
    require_room,
)
from nova_qos.core.reading import Reading
from nova_qos.core.room import PRESSED, MemoryNow, Pressure, Room
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Figures, Floating, Listener, Part, merged
from nova_qos.resources import TABLE

#: What every host has for its servers.
CAPACITY = Capacity(cpu_percent=6400, memory_mib=2**20, most_shares=scales.MOST_CPU_SHARES)
#: In kbit/s, what all its servers may send, and receive.
NET_CAPACITY = 80_000
NET_NAMES = tuple(f"{prefix}{kind}" for prefix in ("net_", "net_in_")
                  for kind in ("priority", "limit", "guarantee"))
#: Of such a host.
ROOM = Room(
    memory_mib=CAPACITY.memory_mib + 512, available_mib=CAPACITY.memory_mib // 2, cpus=64,
    capacity={"memory": CAPACITY.memory_mib, "cpu": CAPACITY.cpu_percent, "net": NET_CAPACITY,
              "net_in": NET_CAPACITY},
    pressure={name: Pressure(0.0, 0.0) for name in PRESSED})
_Access = tuple[Callable[[], Reading], Callable[[int], None]]
#: Of servers without a network priority, while another of the host has one.
DEFAULT_NET_WEIGHT = 50


class FakeDomain:
    """A running server with a guest that can be told how to behave; it is its own domain.

    ``balloon_step_kib``: how far the balloon moves at each look (None: all the way at once, 0: not
    at all). ``unreported_kib``: what the guest has where its balloon driver, which reports what it
    changes and nothing else, has not reported that as ``actual_kib``. ``used_kib``: what the guest
    uses, so what it cannot spare; ``unmovable_kib``: where its balloon stops whatever is asked.
    ``driver``: whether it has a balloon driver, ``reports``: whether that reports anything.
    ``due_s``: the seconds until the driver's next report, 0 where the last one counts;
    ``overdue``: it should have come long ago. ``pinned``: why its memory can never be taken.
    ``refuse``: resource names whose writes the host refuses; ``cannot``: resource names that the
    host does not offer. ``failure``: what every call raises, such as ServerNotRunning or HostAway.
    ``foreign_disks``: why no disk can be limited.
    ``vcpu_percent``: what its flavor lets a vCPU have, below which there is no CPU limit.
    ``neighbours``: all servers of its host. ``unified``: its host has cgroup v2, where CPU shares
    are coarse and a soft limit is of one kind or another. ``arriving``: it still comes in from
    another host, so that libvirt changes nothing; what the agent does without libvirt can be done.
    ``cpu_s``: the CPU time that it has had. ``period_s``: how often its guest reports,
    ``swapped_in_kib``: what that has read from its swap, ``read_kib`` from its disks. ``silent``:
    its QEMU does not answer, so that libvirt leaves out what it would tell; ``unreadable``: what
    the kernel's files of it raise.
    """

    def __init__(
        self, memory_kib: int = 512 * 1024,
        neighbours: Mapping[str, "FakeDomain"] = MappingProxyType({}),
    ) -> None:
        self.neighbours = neighbours
        self.flavor_kib = memory_kib
        self.actual_kib = memory_kib
        self.target_kib = memory_kib
        self.unreported_kib: int | None = None
        #: It has the size that it was told last, was told another before, and has yet to report.
        self.turned = False
        self.used_kib = 64 * 1024
        self.unmovable_kib = 0
        self.soft_limit_kib = UNLIMITED
        self.shares = 1024
        self.cpu_limit = self.cpu_guarantee = self.memory_guarantee = UNLIMITED
        #: What was written, and what follows from the guarantees of the host's servers.
        self.asked_shares = self.planned_shares = 1024
        self.dedicated_cpus = False
        self.vcpu_percent = 0
        self.weight = 100
        self.io_limit = self.io_rate_limit = UNLIMITED
        self.foreign_disks: str | None = None
        self.net = dict.fromkeys(NET_NAMES, UNLIMITED)
        self.driver = self.reports = True
        self.due_s = 0.0
        self.overdue = False
        self.paused = False
        self.arriving = False
        self.autodeflates = self.silent = False
        self.cpu_s = 1.0
        self.period_s, self.reported, self.swapped_in_kib, self.read_kib = 10, 0, 0, 0
        self.unreadable: errors.QosError | None = None
        self.pinned: str | None = None
        self.balloon_step_kib: int | None = None
        self.refuse: set[str] = set()
        self.cannot: set[str] = set()
        self.unified = False
        self.failure: errors.QosError | None = None
        self.io_reason: str | None = None
        self.writes: list[tuple[str, int]] = []
        self.before_write: Callable[[str, int], None] = lambda name, value: None

    def reset(self) -> None:
        """The guest starts anew, with all of its memory; what is reported of it stays."""
        self.unreported_kib = self.flavor_kib

    def knob(self, name: str) -> "FakeKnob":
        return FakeKnob({resource: access for resource, access in self._resources().items()
                         if TABLE[resource].knob == name}, self.refuse)

    def balloon(self) -> Balloon:
        self._offered("memory")
        self._movable()
        why_not = self._why_not_alive()
        usable = self._usable() if why_not is None else 0
        return Balloon(why_not is None, why_not, self.actual_kib, usable, self.autodeflates,
                       self.paused or self.arriving, self.due_s, self.overdue)

    @property
    def resident_kib(self) -> int:
        """What the host holds of the guest."""
        return max(0, min(self.used_kib, self.actual_kib))

    def guest(self) -> Guest | errors.QosError:
        """What ``host_memory.HostMemory`` says of it."""
        try:
            self._offered("memory")
            self._movable()
        except errors.QosError as error:
            return error
        why_not = self._why_not_alive()
        if why_not is not None:
            return errors.HostCannot(why_not)
        if self.silent:
            return errors.HostRefused("its QEMU does not answer")
        self._move()
        self.reported += 1
        return Guest(
            actual_kib=self.actual_kib, resident_kib=self.resident_kib, usable_kib=self._usable(),
            caches_kib=0, swapped_in_kib=self.swapped_in_kib, major_faults=0,
            read_bytes=self.read_kib * 1024,
            age_s=0.0, reported=self.reported, period_s=self.period_s, paused=self.paused)

    def held(self) -> dict[str, int]:
        """What it has of each resource, in the API's units; shares that only the guarantee has
        raised count as those that were asked for, since they depend on the other servers."""
        raised = self.cpu_guarantee != UNLIMITED and self.shares == self.planned_shares
        return {
            "memory": self.actual_kib // 1024, "memory_soft_limit": self.soft_limit_kib // 1024,
            "cpu_priority": self.asked_shares if raised else self.shares,
            "io_priority": self.weight, "io_limit": self.io_limit,
            "io_rate_limit": self.io_rate_limit,
            **self.net, "cpu_limit": self.cpu_limit,
            "cpu_guarantee": self.cpu_guarantee, "memory_guarantee": self.memory_guarantee}

    def _resources(self) -> "Mapping[str, _Access]":
        return {
            "memory": (self._read_memory, self._write_memory),
            "memory_soft_limit": (self._read_soft_limit, self._write_soft_limit),
            "cpu_priority": (self._read_shares, self._write_shares),
            "io_priority": (self._read_weight, self._write_weight),
            "io_limit": (self._read_io_limit, self._write_io_limit),
            "io_rate_limit": (self._read_io_rate_limit, self._write_io_rate_limit),
            **self._net_resources("net_"), **self._net_resources("net_in_"),
            "cpu_limit": (self._read_cpu_limit, self._write_cpu_limit),
            "cpu_guarantee": (self._read_cpu_guarantee, self._write_cpu_guarantee),
            "memory_guarantee": (self._read_memory_guarantee, self._write_memory_guarantee),
        }

    def _read_memory(self) -> Reading:
        self._offered("memory")
        self._move()
        moves_silently = self.driver and self.actual_kib < self.flavor_kib
        why_not = self.pinned or (None if moves_silently else self._why_not_alive())
        details = {"usable": self._usable(), "last_update": int(time.time())}
        return Reading(
            self.actual_kib,
            effective=why_not is None,
            reason=why_not and f"the guest's memory cannot be changed: {why_not}",
            details=details if self.driver and self.reports else {},
            unmet="unsupported" if self.pinned else "pending" if self.turned else None,
        )

    def _write_memory(self, memory_kib: int) -> None:
        self._movable()
        self._take("memory", memory_kib, 0, self.flavor_kib)
        self.turned = self.reports and memory_kib == self.actual_kib != self.target_kib
        self.target_kib = memory_kib
        if self.balloon_step_kib is None:
            self._move()

    def _read_soft_limit(self) -> Reading:
        self._offered("memory_soft_limit")
        protects = self.unified and self.soft_limit_kib != UNLIMITED
        return Reading(self.soft_limit_kib, reason="protects (memory.low)" if protects else None)

    def _write_soft_limit(self, memory_kib: int) -> None:
        self._take("memory_soft_limit", memory_kib, UNLIMITED, 2**53 - 2)
        self.soft_limit_kib = memory_kib

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        percent = values.get("cpu_guarantee", UNLIMITED)
        if percent != UNLIMITED and self.dedicated_cpus:
            raise errors.HostCannot("percent: dedicated CPUs")
        memory_mib = values.get("memory_guarantee", UNLIMITED)
        if memory_mib != UNLIMITED and self.pinned:
            raise errors.HostCannot(f"memory_guarantee: {self.pinned}")
        for name in ("io_limit", "io_rate_limit"):
            self._require_free_disk(values.get(name, UNLIMITED))
        for name in ("net_guarantee", "net_in_guarantee"):
            if values.get(name, UNLIMITED) != UNLIMITED:
                require_left(name, "kbit/s", values[name],
                             [self._net_guaranteed_to_others(name)], NET_CAPACITY)
        asked = replace(
            self._asked(), cpu_percent=max(0, percent), memory_mib=max(0, memory_mib))
        require_room({**self._all_asked(), "": asked}, "", CAPACITY)

    def settle(self) -> None:
        """Raise the shares of those with a guarantee as far as they need."""
        if all(each.cpu_guarantee == UNLIMITED for each in (self, *self.neighbours.values())):
            return
        granted = plan({**self._all_asked(), "": self._asked()}, CAPACITY)
        for name, each in [*self._others().items(), ("", self)]:
            shares = granted[name].shares
            if each.cpu_guarantee != UNLIMITED and each.planned_shares != shares:
                each.shares = each.planned_shares = shares

    def _others(self) -> "dict[str, FakeDomain]":
        return {name: each for name, each in self.neighbours.items() if each is not self}

    def _asked(self) -> Asked:
        is_guaranteed = self.cpu_guarantee != UNLIMITED
        return Asked(self.asked_shares if is_guaranteed else self.shares,
                     max(0, self.cpu_guarantee), max(0, self.memory_guarantee))

    def _all_asked(self) -> dict[str, Asked]:
        return {name: each._asked() for name, each in self._others().items()}

    def _cpu_readings(self) -> dict[str, Reading]:
        mine = self._asked()
        if not mine.cpu_percent:
            return {"cpu_priority": self._read_raw_shares(), "cpu_guarantee": Reading(UNLIMITED)}
        others = self._all_asked()
        granted = plan({**others, "": mine}, CAPACITY)[""]
        return cpu_readings(
            self._read_raw_shares(), mine, replace(granted, shares=self.planned_shares),
            [mine.cpu_percent, *(each.cpu_percent for each in others.values())], CAPACITY)

    def _read_shares(self) -> Reading:
        self._offered("cpu_priority")
        return self._cpu_readings()["cpu_priority"]

    def _read_cpu_guarantee(self) -> Reading:
        self._offered("cpu_guarantee")
        return self._cpu_readings()["cpu_guarantee"]

    def _write_cpu_guarantee(self, percent: int) -> None:
        self._take("cpu_guarantee", percent, UNLIMITED, 2**32)
        if self.cpu_guarantee == UNLIMITED:
            self.asked_shares = self.shares
        self.cpu_guarantee = percent
        self.shares = self.planned_shares = self.asked_shares
        self.settle()

    def _read_memory_guarantee(self) -> Reading:
        self._offered("memory_guarantee")
        if self.memory_guarantee == UNLIMITED:
            return Reading(UNLIMITED)
        mine, others = self._asked(), self._all_asked()
        granted = plan({**others, "": mine}, CAPACITY)[""]
        reading = reading_of(mine.memory_mib, granted.memory_mib, "reduced in proportion")
        if self.unified or not reading.effective:
            return reading
        return Reading(reading.applied, reason="cgroup v1: for the balloon alone")

    def _write_memory_guarantee(self, memory_mib: int) -> None:
        self._take("memory_guarantee", memory_mib, UNLIMITED, 2**40)
        if memory_mib != UNLIMITED and self.pinned:
            raise errors.HostCannot(f"memory_guarantee: {self.pinned}")
        self.memory_guarantee = memory_mib

    def _read_raw_shares(self) -> Reading:
        if not self.unified:
            return Reading(self.shares)
        weight = scales.cpu_weight(self.shares)
        least, most = span = scales.cpu_shares_span(weight)
        reason = f"weight {weight}, which stands for shares {least} to {most}"
        shares = scales.cpu_shares(weight)
        return Reading(shares, reason=None if shares == 1024 else reason, span=span,
                       details={"weight": weight})

    def _write_shares(self, shares: int) -> None:
        self._take("cpu_priority", shares, 2, 262144)
        self.shares = self.asked_shares = self.planned_shares = shares
        self.settle()

    def _read_cpu_limit(self) -> Reading:
        self._offered("cpu_limit")
        return Reading(self.cpu_limit)

    def _write_cpu_limit(self, percent: int) -> None:
        if UNLIMITED < percent < self.vcpu_percent:
            raise errors.HostRefused(f"percent: each vCPU may have {self.vcpu_percent}")
        self._take("cpu_limit", percent, UNLIMITED, 2**32)
        self.cpu_limit = percent

    def _read_weight(self) -> Reading:
        self._offered("io_priority")
        return Reading(self.weight, effective=self.io_reason is None, reason=self.io_reason)

    def _write_weight(self, weight: int) -> None:
        self._take("io_priority", weight, 1, 1000)
        self.weight = weight

    def _read_io_limit(self) -> Reading:
        self._offered("io_limit")
        return Reading(self.io_limit)

    def _write_io_limit(self, iops: int) -> None:
        self._take("io_limit", iops, UNLIMITED, 10**15)
        self._require_free_disk(iops)
        self.io_limit = iops

    def _read_io_rate_limit(self) -> Reading:
        self._offered("io_rate_limit")
        return Reading(self.io_rate_limit)

    def _write_io_rate_limit(self, rate: int) -> None:
        self._take("io_rate_limit", rate, UNLIMITED, 10**15)
        self._require_free_disk(rate)
        self.io_rate_limit = rate

    def _require_free_disk(self, limit: int) -> None:
        if limit != UNLIMITED and self.foreign_disks is not None:
            raise errors.HostRefused(f"iops: no disk can be limited: {self.foreign_disks}")

    def _net_resources(self, prefix: str) -> "Mapping[str, _Access]":
        """Those of what it sends, or receives."""
        reads = {"priority": self._read_priority, "limit": self._read_net_limit,
                 "guarantee": self._read_net_guarantee}
        return {f"{prefix}{kind}": (partial(read, prefix), partial(self._write_net, prefix + kind))
                for kind, read in reads.items()}

    def _write_net(self, name: str, value: int) -> None:
        self._take(name, value, UNLIMITED, 98 if name.endswith("priority") else 2**40)
        self.net[name] = value

    def _read_priority(self, prefix: str) -> Reading:
        self._offered(f"{prefix}priority")
        return Reading(self.net[f"{prefix}priority"], details=self._net_weight(prefix))

    def _read_net_limit(self, prefix: str) -> Reading:
        self._offered(f"{prefix}limit")
        return Reading(self.net[f"{prefix}limit"])

    def _read_net_guarantee(self, prefix: str) -> Reading:
        name = f"{prefix}guarantee"
        self._offered(name)
        mine = self.net[name]
        if mine == UNLIMITED:
            return Reading(UNLIMITED)
        whole = mine + self._net_guaranteed_to_others(name)
        granted = mine * min(whole, NET_CAPACITY) // whole
        return reading_of(mine, granted, f"{name}: reduced in proportion")

    def _net_guaranteed_to_others(self, name: str) -> int:
        return sum(max(0, each.net[name]) for each in self._others().values())

    def _net_weight(self, prefix: str) -> dict[str, int]:
        priority, guarantee = f"{prefix}priority", f"{prefix}guarantee"
        if self.net[priority] != UNLIMITED:
            return {"weight": 99 - self.net[priority]}
        shared = any(each.net[priority] != UNLIMITED or each.net[guarantee] != UNLIMITED
                     for each in self.neighbours.values())
        return {"weight": DEFAULT_NET_WEIGHT} if shared else {}

    def _usable(self) -> int:
        return max(0, self.actual_kib - self.used_kib)

    def _move(self) -> None:
        if self.paused or not self.driver:
            return
        self.turned = False
        has_kib = self.actual_kib if self.unreported_kib is None else self.unreported_kib
        way = max(self.target_kib, self.unmovable_kib) - has_kib
        step = abs(way) if self.balloon_step_kib is None else self.balloon_step_kib
        moves = max(-step, min(step, way))
        if moves:
            self.actual_kib, self.unreported_kib = has_kib + moves, None

    def _why_not_alive(self) -> str | None:
        if self.driver and self.reports:
            return None
        return "the guest's balloon driver has reported nothing"

    def _answers(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _require_rest(self) -> None:
        if self.arriving:
            raise errors.ServerNotRunning("the server is between two hosts")

    def _movable(self) -> None:
        self._answers()
        if self.pinned:
            raise errors.HostCannot(f"memory: this server's memory cannot be taken: {self.pinned}")

    def _offered(self, name: str) -> None:
        self._answers()
        if name in ("memory", "io_limit", "io_rate_limit"):
            # libvirt asks QEMU
            self._require_rest()
        if name in self.cannot:
            raise errors.HostCannot(f"{name}: this host does not offer it")

    def _take(self, name: str, value: int, least: int, most: int) -> None:
        self.before_write(name, value)
        self._offered(name)
        if name == "cpu_limit" or (not self.unified and name not in (
                *NET_NAMES, "memory_guarantee")):
            self._require_rest()
        if name in self.refuse or not least <= value <= most:
            raise errors.HostRefused(f"{name}: the host refused {value}")
        self.writes.append((name, value))


@dataclass(frozen=True)
class FakeKnob:
    """An object that holds one or several settings."""

    parts: "Mapping[str, _Access]"
    refuse: Collection[str] = ()

    def read(self) -> Mapping[str, Reading]:
        return {name: read_one() for name, (read_one, _write_one) in self.parts.items()}

    def write(self, values: Mapping[str, int]) -> None:
        # one operation: all of them or none
        for name in sorted(values, key=lambda name: name not in self.refuse):
            _read_one, write_one = self.parts[name]
            write_one(values[name])


@dataclass
class FakeKsm:
    """KSM whose files are ``files``."""

    files: dict[str, str]

    def read(self) -> Mapping[str, str]:
        if not self.files:
            raise errors.HostCannot("this kernel has no KSM")
        return dict(self.files)

    def write(self, values: Mapping[str, str]) -> None:
        self.files.update(values)


class FakeMemory:
    """The memory of a host: ``available_mib`` and ``pressure`` are the host's own, or what
    ``memory_mib`` less what the guests have in memory leaves where ``available_mib`` is None."""

    def __init__(self, host: "FakeHost") -> None:
        self._host = host
        self.memory_mib: float = ROOM.memory_mib
        self.available_mib: float | None = ROOM.available_mib
        self.pressure = 0.0
        self.ksm = FakeKsm({"run": "0", "pages_to_scan": "100", "sleep_millisecs": "20",
                            "pages_sharing": "0"})

    def now(self) -> MemoryNow:
        available_mib = self.available_mib
        if available_mib is None:
            resident = sum(each.resident_kib for each in self._host.domains.values())
            available_mib = self.memory_mib - resident / 1024
        return MemoryNow(self.memory_mib, available_mib, self.pressure)

    def guests(self) -> Mapping[str, Guest | errors.QosError]:
        if self._host.away:
            raise errors.HostAway("libvirt does not answer")
        return {uuid: domain.guest() for uuid, domain in self._host.domains.items()}

    def set_report_period(self, server_uuid: str, period_s: int) -> None:
        self._host.domain(server_uuid).period_s = period_s


class FakeSnapshot:
    """All running servers, each as it is when it is read."""

    def __init__(self, domains: Mapping[str, FakeDomain]) -> None:
        self._domains = dict(domains)

    @property
    def running(self) -> Collection[str]:
        return self._domains.keys()

    def domain(self, server_uuid: str) -> FakeDomain:
        if server_uuid not in self._domains:
            raise errors.ServerNotRunning("the server is not running")
        return self._domains[server_uuid]

    def figures(self) -> Figures:
        return {"host_cpus": {(): CAPACITY.cpu_percent // 100}}

    def figures_of(self, server_uuid: str) -> Figures:
        domain = self.domain(server_uuid)
        found: Figures = {
            "server_vcpus": {(): 1}, "server_cpu_seconds_total": {(): domain.cpu_s},
            "server_vcpu_seconds_total": {(): domain.cpu_s},
            "server_vcpu_delay_seconds_total": {(): 0.0}}
        if domain.silent:
            return found
        return merged([found, {
            "server_memory_resident_bytes": {(): domain.actual_kib * 1024.0},
            "server_memory_usable_bytes": {(): domain._usable() * 1024.0},
            "server_disk_read_bytes_total": {("vda",): 0.0}}])

    def pressure_of(self, server_uuid: str) -> Figures:
        domain = self.domain(server_uuid)
        if domain.unreadable is not None:
            raise domain.unreadable
        return {"server_pressure_cpu_waiting_seconds_total": {(): 0.0}}

    def is_whole(self, server_uuid: str) -> bool:
        return not self.domain(server_uuid).silent

    @property
    def parts(self) -> Mapping[str, Part]:
        return {"libvirt": Part(0.001), "network": Part(0.001)}


class FakeHost:
    """Running servers by uuid; ``away`` = libvirt does not answer. ``own`` are its own figures."""

    def __init__(self) -> None:
        self.domains: dict[str, FakeDomain] = {}
        self.away = False
        self.own = ROOM
        self.memory = FakeMemory(self)
        self.entered = threading.Semaphore(0)
        self.happened: Listener = lambda server_uuid, change: None

    def add(self, server_uuid: str, memory_kib: int = 512 * 1024) -> FakeDomain:
        self.domains[server_uuid] = FakeDomain(memory_kib, self.domains)
        return self.domains[server_uuid]

    def domain(self, server_uuid: str) -> FakeDomain:
        self.entered.release()
        if self.away:
            raise errors.HostAway("libvirt does not answer")
        if server_uuid not in self.domains:
            raise errors.ServerNotRunning("the server is not running")
        return self.domains[server_uuid]

    def look(self, server_uuid: str, names: Iterable[str]) -> FakeDomain:
        return self.domain(server_uuid)

    def snapshot(self, names: Iterable[str], figures: bool = False) -> FakeSnapshot:
        if self.away:
            raise errors.HostAway("libvirt does not answer")
        return FakeSnapshot(self.domains)

    def room(self) -> Room:
        return self.own

    def watch(self, listener: Listener) -> None:
        self.happened = listener

    def settle(self) -> None:
        for domain in list(self.domains.values())[:1]:
            domain.settle()

    def tidy(self, correct: bool, floating: Floating | None) -> None:
        if self.away:
            raise errors.HostAway("libvirt does not answer")
