# SPDX-License-Identifier: Apache-2.0
"""A host that exists only in memory: the host's protocols for tests above the host's edge.

The contract suite in tests/contract runs on this and on real libvirt.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nova_qos.core import errors, scales
from nova_qos.core.balloon import Balloon
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Floating, Listener

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
    ``neighbours``: all servers of its host. ``unified``: its host has cgroup v2, where CPU shares
    are coarse and a soft limit is of one kind or another. ``arriving``: it still comes in from
    another host, so that libvirt changes nothing; what the agent does without libvirt can be done.
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
        self.weight = 100
        self.net_priority = UNLIMITED
        self.driver = self.reports = True
        self.due_s = 0.0
        self.overdue = False
        self.paused = False
        self.arriving = False
        self.autodeflates = False
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
        return FakeKnob(*self._knobs()[name])

    def balloon(self) -> Balloon:
        self._offered("memory")
        self._movable()
        why_not = self._why_not_alive()
        usable = self._usable() if why_not is None else 0
        return Balloon(why_not is None, why_not, self.actual_kib, usable, self.autodeflates,
                       self.paused or self.arriving, self.due_s, self.overdue)

    def held(self) -> dict[str, int]:
        """What it has of each resource, in the API's units."""
        return {
            "memory": self.actual_kib // 1024, "memory_soft_limit": self.soft_limit_kib // 1024,
            "cpu_priority": self.shares, "io_priority": self.weight,
            "net_priority": self.net_priority}

    def _knobs(self) -> Mapping[str, tuple[str, Callable[[], Reading], Callable[[int], None]]]:
        return {
            "balloon": ("memory", self._read_memory, self._write_memory),
            "memory_group": (
                "memory_soft_limit", self._read_soft_limit, self._write_soft_limit),
            "cpu_group": ("cpu_priority", self._read_shares, self._write_shares),
            "io_group": ("io_priority", self._read_weight, self._write_weight),
            "net_class": ("net_priority", self._read_priority, self._write_priority),
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

    def _read_shares(self) -> Reading:
        self._offered("cpu_priority")
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
        self.shares = shares

    def _read_weight(self) -> Reading:
        self._offered("io_priority")
        return Reading(self.weight, effective=self.io_reason is None, reason=self.io_reason)

    def _write_weight(self, weight: int) -> None:
        self._take("io_priority", weight, 1, 1000)
        self.weight = weight

    def _read_priority(self) -> Reading:
        self._offered("net_priority")
        return Reading(self.net_priority, details=self._net_weight())

    def _write_priority(self, priority: int) -> None:
        self._take("net_priority", priority, UNLIMITED, 98)
        self.net_priority = priority

    def _net_weight(self) -> dict[str, int]:
        if self.net_priority != UNLIMITED:
            return {"weight": 99 - self.net_priority}
        shared = any(each.net_priority != UNLIMITED for each in self.neighbours.values())
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
        if name == "memory":
            self._require_rest()
        if name in self.cannot:
            raise errors.HostCannot(f"{name}: this host does not offer it")

    def _take(self, name: str, value: int, least: int, most: int) -> None:
        self.before_write(name, value)
        self._offered(name)
        if not self.unified and name != "net_priority":
            self._require_rest()
        if name in self.refuse or not least <= value <= most:
            raise errors.HostRefused(f"{name}: the host refused {value}")
        self.writes.append((name, value))


@dataclass(frozen=True)
class FakeKnob:
    """An object that holds one setting."""

    name: str
    read_one: Callable[[], Reading]
    write_one: Callable[[int], None]

    def read(self) -> Mapping[str, Reading]:
        return {self.name: self.read_one()}

    def write(self, values: Mapping[str, int]) -> None:
        self.write_one(values[self.name])


class FakeSnapshot:
    """All running servers, each as it is when it is read."""

    def __init__(self, domains: Mapping[str, FakeDomain]) -> None:
        self._domains = dict(domains)

    def domain(self, server_uuid: str) -> FakeDomain:
        if server_uuid not in self._domains:
            raise errors.ServerNotRunning("the server is not running")
        return self._domains[server_uuid]


class FakeHost:
    """Running servers by uuid; ``away`` = libvirt does not answer."""

    def __init__(self) -> None:
        self.domains: dict[str, FakeDomain] = {}
        self.away = False
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

    def snapshot(self, names: Iterable[str]) -> FakeSnapshot:
        if self.away:
            raise errors.HostAway("libvirt does not answer")
        return FakeSnapshot(self.domains)

    def watch(self, listener: Listener) -> None:
        self.happened = listener

    def tidy(self, correct: bool, floating: Floating | None) -> None:
        if self.away:
            raise errors.HostAway("libvirt does not answer")
