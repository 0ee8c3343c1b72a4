# SPDX-License-Identifier: Apache-2.0
"""Memory: the balloon, and the soft limit with cgroup v1 and v2."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from nova_qos.core import errors
from nova_qos.core.balloon import Balloon
from nova_qos.core.reading import Reading
from nova_qos.core.units import KIB_PER_MIB, UNLIMITED
from nova_qos.host import Ability
from nova_qos.virt import balloon
from nova_qos.virt.balloon import Movements, Report
from nova_qos.virt.definition import Definition
from nova_qos.virt.groups import INNER, MOST, Group
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.protection import LOW, LookAbove, Protection
from nova_qos.virt.session import LIVE, Session

#: What a soft limit does on cgroup v2.
SoftLimit = Literal["protect", "throttle"]
#: What a change of mem_stats_period_seconds needs.
_EFFECT_OF_PERIOD = "restart nova-compute, reboot servers hard"
_TURNED = ("the guest was told another size just before, and may be on its way there and back; its "
           "next report tells")
_UNLIMITED_KIB = (2**63 - 1) >> 10
# The kernel rounds "unlimited" down to whole pages, whose size differs.
_LEAST_UNLIMITED_KIB = _UNLIMITED_KIB // 2


class BalloonKnob:
    """What a guest has of its memory."""

    def __init__(self, session: Session, movements: Movements) -> None:
        self._session, self._movements = session, movements

    def read(self) -> Mapping[str, Reading]:
        """Its size in KiB; details: the balloon's figures (KiB, last_update s since 1970)."""
        definition = self._session.definition()
        figures, paused = self._session.balloon_figures()
        report = Report(figures, definition.memory_kib)
        timing = self._movements.note(self._session.server_uuid, definition, report, paused)
        why_not = definition.pinned or (
            None if balloon.moves_silently(definition, report) else balloon.why_not_alive(
                definition, report, timing.age_s if timing.stale else None))
        reading = Reading(
            applied=report.actual_kib,
            effective=why_not is None,
            reason=why_not and f"the guest's memory cannot be changed: {why_not}",
            details={name: value for name, value in report.figures.items() if name != "actual"},
            unmet="unsupported" if definition.pinned else None,
        )
        if timing.turned and reading.unmet is None:
            reading = replace(reading, unmet="pending", reason=_TURNED)
        return {"memory": reading}

    def write(self, values: Mapping[str, int]) -> None:
        """Tell the guest to inflate or deflate its balloon."""
        definition = self._session.definition()
        _require_movable(definition)
        if definition.balloon_model is None:
            raise errors.NoBalloon("memory: the server has no memory balloon device")
        memory_kib = values["memory"]
        self._session.call_at_rest(lambda domain: domain.setMemoryFlags(memory_kib, LIVE))
        self._movements.started(self._session.server_uuid, memory_kib)

    def balloon(self) -> Balloon:
        """See ``host.Domain.balloon``."""
        definition = self._session.definition()
        _require_movable(definition)
        figures, paused = self._session.balloon_figures()
        return balloon.judged(
            definition, Report(figures, definition.memory_kib), paused, self._movements,
            self._session.server_uuid)

    @staticmethod
    def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
        """What this host can do with the memory of its servers."""
        period_s, limit_s = configuration.mem_stats_period_s, configuration.rpc_timeout_s
        ability = Ability()
        if period_s <= 0:
            ability = Ability(
                f"servers have no balloon while [libvirt] mem_stats_period_seconds is {period_s}; "
                f"set 10, {_EFFECT_OF_PERIOD}")
        elif period_s + balloon.TRANSIT_S > limit_s:
            ability = Ability(how=(
                f"guests report every {period_s} s, and a request that has to wait for a report is "
                f"refused after [nova_qos] rpc_timeout, {limit_s} s; set [libvirt] "
                f"mem_stats_period_seconds to 10, {_EFFECT_OF_PERIOD}"))
        return {"memory": ability}


class SoftLimitV1:
    """The soft limit of cgroup v1, through libvirt."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Mapping[str, Reading]:
        """KiB, or UNLIMITED."""
        return {"memory_soft_limit": Reading(_read_limit(self._session))}

    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove it."""
        _write_limit(self._session, values["memory_soft_limit"])

    @staticmethod
    def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
        """What this host can do with soft limits."""
        return {"memory_soft_limit": Ability(
            kernel.why_not("memory"), kernel.why_no_swap(), kernel.cgroup)}


class SoftLimitV2:
    """On cgroup v2: memory.low protects, or memory.high throttles, as nova.conf says."""

    def __init__(
        self, session: Session, kind: SoftLimit, protection: Protection,
        look_above: LookAbove | None = None,
    ) -> None:
        """:param look_above: see ``Protection.why_not_effective``"""
        self._session, self._kind = session, kind
        self._protection, self._look_above = protection, look_above

    def read(self) -> Mapping[str, Reading]:
        """The limit of the kind that nova.conf asks for, or of the other where only that is in
        force; the reason names the kind.

        A limit of the other kind is there after a change of nova.conf, and when a server with a
        limit moves here: libvirt brings it along as memory.high.
        """
        with self._session.group("memory") as group:
            low = group.read(LOW.file) // KIB_PER_MIB or UNLIMITED
            high = _read_high(group)
            why_not = None if low == UNLIMITED else (
                self._protection.why_not_effective(group, self._look_above)
                or Kernel().why_low_is_ignored())
        limits: dict[SoftLimit, int] = {"protect": low, "throttle": high}
        inverse: SoftLimit = "throttle" if self._kind == "protect" else "protect"
        kind = inverse if limits[self._kind] == UNLIMITED else self._kind
        limit = limits[kind]
        if limit == UNLIMITED:
            return {"memory_soft_limit": Reading(UNLIMITED)}
        if kind == "throttle":
            why_not = None
        return {"memory_soft_limit": Reading(
            limit, effective=why_not is None, reason=why_not or _in_words(kind, limit),
            wrong_mechanism=limits[inverse] != UNLIMITED)}

    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove it; a limit of the other kind is removed."""
        memory_kib = values["memory_soft_limit"]
        protects = self._kind == "protect" and memory_kib != UNLIMITED
        low_kib, high_kib = (memory_kib, UNLIMITED) if protects else (0, memory_kib)
        with self._session.group("memory") as group:
            self._protection.set(group, low_kib * KIB_PER_MIB)
            high_before_kib = _read_high(group)
        if high_before_kib != high_kib:
            _write_limit(self._session, high_kib)

    @staticmethod
    def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
        """What this host can do with soft limits."""
        cannot = kernel.why_not("memory")
        if configuration.soft_limit_v2 == "throttle":
            ability = Ability(cannot, how=f"{kernel.cgroup}, throttles: memory.high")
        else:
            ability = Ability(
                cannot, kernel.why_no_swap() or kernel.why_low_is_ignored(),
                f"{kernel.cgroup}, protects: memory.low")
        return {"memory_soft_limit": ability}


def _read_high(group: Group) -> int:
    """memory.high of the group that libvirt sets, in KiB, or UNLIMITED."""
    inner = next((each for each in group.below() if each.name == INNER), group)
    size = inner.read("memory.high")
    return UNLIMITED if size >= MOST else size // KIB_PER_MIB


def _read_limit(session: Session) -> int:
    """libvirt's soft limit: memory.soft_limit_in_bytes with cgroup v1."""
    kib = session.parameters("memory_group")["soft_limit"]
    return UNLIMITED if kib >= _LEAST_UNLIMITED_KIB else int(kib)


def _write_limit(session: Session, memory_kib: int) -> None:
    kib = _UNLIMITED_KIB if memory_kib == UNLIMITED else memory_kib
    session.call_at_rest(lambda domain: domain.setMemoryParameters({"soft_limit": kib}, LIVE))


def _require_movable(definition: Definition) -> None:
    if definition.pinned:
        raise errors.HostCannot(
            "memory: a smaller balloon would free no memory on the host, because "
            f"{definition.pinned}"
        )


def _in_words(kind: SoftLimit, kib: int) -> str:
    mib = f"{kib / KIB_PER_MIB:g} MiB"
    if kind == "protect":
        return (f"protects (memory.low): while the host is short of memory, the kernel reclaims "
                f"its first {mib} last")
    return f"throttles (memory.high): beyond {mib} it is slowed and reclaimed at any time"
