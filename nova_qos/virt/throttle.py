# SPDX-License-Identifier: Apache-2.0
"""Limits of a server's disks, by QEMU's throttling: one for all of its disks together.

The disks are in one throttle group, whose name is the mark that its limits are ours. What has
limits of anybody else (the flavor, the volume's type, virsh) is left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import libvirt

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability
from nova_qos.virt.definition import Disk, Throttle
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.session import LIVE, Session

#: The throttle group, and the mark of what is ours.
GROUP = "nova-qos"
_IOPS, _RATE = "io_limit", "io_rate_limit"
_ROWS = {_IOPS: "iops", _RATE: "rate_kib"}
# libvirt sets a family of figures as a whole: what one does not name is left, or becomes nothing
_FAMILIES, _SUFFIXES = ("bytes", "iops"), ("", "_max", "_max_length")
_NOTHING = {f"{kind}_{family}_sec{suffix}": 0 for family in _FAMILIES
            for kind in ("total", "read", "write") for suffix in _SUFFIXES} | {"size_iops_sec": 0}


class ThrottleKnob:
    """The throttle group of a domain's disks."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        """:param changed: called when the domain's definition is no longer what was read of it"""
        self._session, self._changed = session, changed

    def read(self) -> Mapping[str, Reading]:
        """Operations and KiB in a second, UNLIMITED for no limit."""
        disks = self._disks()
        mine = _ours(disks)
        if not mine:
            return dict.fromkeys(_ROWS, Reading(UNLIMITED))
        # a disk that can be counted and is not, or a limit that is not ours in our group
        is_whole = not any(map(_is_free, disks)) and not any(
            each.others or each != mine[0] for each in mine)
        why_not = "; ".join([*_missing(disks), *_not_counted(disks)]) or None
        return {name: Reading(value, wrong_mechanism=not is_whole) if value == UNLIMITED else
                Reading(value, effective=why_not is None, reason=why_not,
                        wrong_mechanism=not is_whole)
                for name, value in _values(mine[0]).items()}

    def write(self, values: Mapping[str, int]) -> None:
        """Set or remove one or both, on every disk that nobody else limits."""
        disks = self._disks()
        mine = _ours(disks)
        limits = {**_values(mine[0] if mine else Throttle(GROUP, 0, 0)), **values}
        lifts = all(each == UNLIMITED for each in limits.values())
        if not lifts:
            _require_one(disks, values)
        parameters: dict[str, object] = {
            **_NOTHING, "total_iops_sec": max(0, limits[_IOPS]),
            "total_bytes_sec": 1024 * max(0, limits[_RATE])}
        if not lifts:
            parameters["group_name"] = GROUP
        try:
            for each in disks:
                if _is_mine(each) or (_is_free(each) and not lifts):
                    self._set(each.target, parameters)
        finally:
            self._changed()

    def admit(self, values: Mapping[str, int]) -> None:
        """See ``host.Domain.admit``."""
        if any(values.get(name, UNLIMITED) != UNLIMITED for name in _ROWS):
            _require_one(self._session.definition().disks, values)

    def _set(self, target: str, parameters: Mapping[str, object]) -> None:
        self._session.call_at_rest(
            lambda domain: domain.setBlockIoTune(target, dict(parameters), LIVE))

    def _disks(self) -> Sequence[Disk]:
        """The disks with what limits them now: as QEMU says, where the domain was not seen."""
        disks = self._session.definition().disks
        if self._session.is_seen:
            return disks
        able = [each.target for each in disks if each.obstacle is None]

        def ask(domain: libvirt.virDomain) -> dict[str, Throttle | None]:
            return {target: Throttle.of(domain.blockIoTune(target, LIVE)) for target in able}

        found = self._session.call_at_rest(ask)
        return [replace(each, throttle=found.get(each.target, each.throttle)) for each in disks]


def abilities(configuration: Configuration, kernel: Kernel) -> Mapping[str, Ability]:
    """What this host can do with limits of disks."""
    return dict.fromkeys(_ROWS, Ability(how="QEMU, for all disks of a server together"))


def _values(throttle: Throttle) -> dict[str, int]:
    return {_IOPS: throttle.iops or UNLIMITED, _RATE: throttle.rate or UNLIMITED}


def _ours(disks: Sequence[Disk]) -> list[Throttle]:
    return [each.throttle for each in disks if each.throttle and _is_mine(each)]


def _is_mine(disk: Disk) -> bool:
    return disk.throttle is not None and disk.throttle.group == GROUP


def _is_free(disk: Disk) -> bool:
    return disk.throttle is None and disk.obstacle is None


def _missing(disks: Sequence[Disk]) -> list[str]:
    return [f"disk {each.target} is not counted yet" for each in disks if _is_free(each)]


def _not_counted(disks: Sequence[Disk]) -> list[str]:
    return [f"disk {each.target} is not counted, because {why}"
            for each in disks if (why := _why_not(each))]


def _why_not(disk: Disk) -> str | None:
    if disk.obstacle is not None:
        return disk.obstacle
    if disk.throttle is not None and disk.throttle.group != GROUP:
        return ("it has limits of the flavor (quota:disk_*), of its volume type, or of another "
                "program")
    return None


def _require_one(disks: Sequence[Disk], values: Mapping[str, int]) -> None:
    """:raises HostRefused, HostCannot: no disk can be limited by us"""
    key = next(key for name, key in _ROWS.items() if name in values)
    if not disks:
        raise errors.HostCannot(f"{key}: the server has no disk")
    if not any(_is_free(each) or _is_mine(each) for each in disks):
        raise errors.HostRefused(f"{key}: no disk can be limited: {'; '.join(_not_counted(disks))}")
