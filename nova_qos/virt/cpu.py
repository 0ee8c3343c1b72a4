# SPDX-License-Identifier: Apache-2.0
"""CPU shares, guarantees and limits, with cgroup v1 and v2."""

import abc
import math
from collections.abc import Mapping

from nova_qos.core import errors, scales
from nova_qos.core.plan import Granted, cpu_readings
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability
from nova_qos.virt.definition import Definition
from nova_qos.virt.groups import INNER, MOST, Group
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.promises import Promises
from nova_qos.virt.session import LIVE, Session
from nova_qos.virt.systemd import Systemd

_SHARES, _WEIGHT, _MAX = "cpu.shares", "cpu.weight", "cpu.max"
#: The kernel gives a quota anew in each period. In a longer one, a guest that has used it up stands
#: still for longer.
_PERIOD_US, _KERNELS_PERIOD_US = 20_000, 100_000
_WITHOUT_QUOTA = -1


class Shares(abc.ABC):
    """The CPU shares of a domain's group, which hold its priority and its guarantee: as many as
    the priority is, or more where the guarantee needs more beside the host's other servers."""

    def __init__(self, session: Session, promises: Promises) -> None:
        self._session, self._promises = session, promises

    def read(self) -> Mapping[str, Reading]:
        """Shares, and percent of one CPU or UNLIMITED."""
        promise = self._promises.of(self._session.server_uuid)
        granted = promise.granted if promise else Granted(0)
        return cpu_readings(
            self._read(), promise.asked if promise else None, granted,
            (each.cpu_percent for each in self._promises.all_asked()), self._promises.capacity)

    def write(self, values: Mapping[str, int]) -> None:
        """Set one or both."""
        percent = _percent(values)
        if percent:
            _require_shared_cpus(self._session.definition())
        granted = self._promises.ask(
            self._session.server_uuid, self._session.machine(), values.get("cpu_priority"), percent)
        self._write(granted.shares)

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        percent = _percent(values)
        if percent:
            _require_shared_cpus(self._session.definition())
            self._promises.require_room(
                self._session.server_uuid, self._session.machine(), cpu_percent=percent)

    @abc.abstractmethod
    def _read(self) -> Reading:
        """The shares."""

    @abc.abstractmethod
    def _write(self, shares: int) -> None:
        """Set the shares."""


class SharesV1(Shares):
    """cpu.shares of cgroup v1, through libvirt."""

    def _read(self) -> Reading:
        parameters = self._session.parameters("cpu_group")
        why_not = _why_no_shares(self._session.definition())
        return Reading(parameters["cpu_shares"], effective=why_not is None, reason=why_not)

    def _write(self, shares: int) -> None:
        parameters = {"cpu_shares": shares}
        self._session.call_at_rest(
            lambda domain: domain.setSchedulerParametersFlags(parameters, LIVE))


class WeightV2(Shares):
    """cpu.weight of cgroup v2: read from the kernel, written by its owner."""

    def __init__(self, session: Session, promises: Promises, systemd: Systemd) -> None:
        super().__init__(session, promises)
        self._systemd = systemd

    def _read(self) -> Reading:
        """The shares that the weight stands for, and the span of shares that it cannot tell
        apart; details: the weight."""
        with self._session.group("cpu") as group:
            weight = group.read(_WEIGHT)
        span, why_not = scales.cpu_shares_span(weight), _why_no_shares(self._session.definition())
        return Reading(
            scales.cpu_shares(weight), effective=why_not is None,
            reason=why_not or _coarseness(weight, span), details={"weight": weight}, span=span)

    def _write(self, shares: int) -> None:
        """Set the weight that is nearest to the shares."""
        if not scales.LEAST_CPU_SHARES <= shares <= scales.MOST_CPU_SHARES:
            raise errors.HostRefused(f"share: the kernel does not accept {shares} shares")
        weight = scales.cpu_weight(shares)
        # Not through libvirt: its least share, 2, is the second least weight.
        with self._session.group("cpu") as group:
            self._systemd.write(group, _WEIGHT, weight, "CPUWeight", weight)


def shares_v1(group: Group) -> int:
    """The shares of any group of cgroup v1."""
    return group.read(_SHARES)


def set_shares_v1(group: Group, shares: int) -> None:
    """Set them, not through libvirt, which would wait for a guest that hangs."""
    group.write(_SHARES, shares)


def shares_v2(group: Group) -> int:
    """The shares that the weight of any group of cgroup v2 stands for."""
    return scales.cpu_shares(group.read(_WEIGHT))


def set_shares_v2(systemd: Systemd, group: Group, shares: int) -> None:
    """Set the weight that stands for them."""
    weight = scales.cpu_weight(shares)
    if group.read(_WEIGHT) != weight:
        systemd.write(group, _WEIGHT, weight, "CPUWeight", weight)


def _percent(values: Mapping[str, int]) -> int | None:
    percent = values.get("cpu_guarantee")
    return 0 if percent == UNLIMITED else percent


def _require_shared_cpus(definition: Definition) -> None:
    if definition.dedicated_cpus:
        raise errors.HostCannot(
            "percent: each vCPU has a host CPU of its own (dedicated CPUs), so there is nothing to "
            "guarantee it")


class Limit(abc.ABC):
    """The quota of a domain's whole group, for vCPUs, emulator and I/O threads together; written
    through libvirt. The flavor's, for each vCPU, is apart."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Mapping[str, Reading]:
        """Percent of one CPU, or UNLIMITED."""
        quota_us, period_us = self._quota()
        limit = UNLIMITED if quota_us in (_WITHOUT_QUOTA, MOST) else (
            100 * quota_us + period_us // 2) // period_us
        why_not = None
        if limit != UNLIMITED and self._session.definition().realtime_cpus:
            why_not = ("its vCPUs run with a real-time scheduler, and the kernel's quotas do not "
                       "limit those")
        return {"cpu_limit": Reading(limit, effective=why_not is None, reason=why_not)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove it."""
        limit = values["cpu_limit"]
        # what is written first must be allowed beside what is there
        parameters = {"global_period": _PERIOD_US, "global_quota": limit * _PERIOD_US // 100}
        if limit == UNLIMITED:
            parameters = {"global_quota": _WITHOUT_QUOTA, "global_period": _KERNELS_PERIOD_US}
        else:
            _require_room_for_a_vcpu(limit, self._session.definition())
        self._session.call_at_rest(
            lambda domain: domain.setSchedulerParametersFlags(parameters, LIVE))

    @abc.abstractmethod
    def _quota(self) -> tuple[int, int]:
        """Quota and period of the kernel, in microseconds."""


class LimitV1(Limit):
    """With cgroup v1 libvirt reads it from the kernel's files."""

    def _quota(self) -> tuple[int, int]:
        parameters = self._session.parameters("cpu_group")
        if "global_quota" not in parameters:
            raise errors.HostCannot(
                "percent: libvirt has no quotas of CPU time here; the kernel needs "
                "CONFIG_CFS_BANDWIDTH")
        return parameters["global_quota"], parameters["global_period"]


class LimitV2(Limit):
    """With cgroup v2 it is read from the kernel's file."""

    def _quota(self) -> tuple[int, int]:
        with self._session.group("cpu") as group:
            # the one that libvirt writes
            inner = next((each for each in group.below() if each.name == INNER), group)
            if not inner.has(_MAX):
                raise errors.HostCannot(
                    f"percent: {inner.path} has no {_MAX}; the kernel needs CONFIG_CFS_BANDWIDTH")
            quota_us, period_us = inner.numbers(_MAX)
        return quota_us, period_us


def _require_room_for_a_vcpu(limit: int, definition: Definition) -> None:
    """:raises HostRefused: a vCPU may have more by the flavor than the whole server would. cgroup
    v1 refuses that, also at the server's next start, and so would a host that it migrates to."""
    if limit < definition.vcpu_percent:
        raise errors.HostRefused(
            f"percent: the flavor's quota:cpu_quota lets each vCPU have {definition.vcpu_percent:g}"
            f" percent of one CPU, and a server with cgroup v1 can have no limit below that, so "
            f"{limit} is refused on every host; ask for {math.ceil(definition.vcpu_percent)} or "
            "more")


def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
    """What this host can do with CPU shares, guarantees and limits."""
    ability = Ability(kernel.why_not("cpu"), how=kernel.cgroup)
    return {"cpu_priority": ability, "cpu_limit": ability, "cpu_guarantee": ability}


def _why_no_shares(definition: Definition) -> str | None:
    """Say why CPU shares have no effect on a domain; None when they divide its CPUs."""
    if definition.dedicated_cpus:
        return ("each vCPU is pinned to a host CPU of its own (dedicated CPUs), so no other "
                "server competes for it")
    return None


def _coarseness(weight: int, span: tuple[int, int]) -> str | None:
    if weight == scales.DEFAULT_CPU_WEIGHT or span[0] == span[1]:
        return None
    return f"cgroup v2 holds weight {weight}, which stands for shares {span[0]} to {span[1]}"
