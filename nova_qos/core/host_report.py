# SPDX-License-Identifier: Apache-2.0
"""A host and its contention as ``GET /os-qos/hosts`` shows it, as far as its agent knows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from nova_qos.core.contention import FAMILIES, Judgement, Placed, Summary, need_mib
from nova_qos.core.known import Copy
from nova_qos.core.room import PRESSED, Pressure, Room
from nova_qos.core.server import SavedServer

HostReport = dict[str, Any]
#: What each family has, and memory more.
_SUMS = ("capacity", "guaranteed", "requested", "applied", "short", "unread")
_OF_MEMORY = ("total", "available", "flavors", "flavors_running", "needs", "needs_unmanaged",
              "fitting_ratio")
#: What there is to tell of balancing; sizes in MiB, and numbers of servers.
BALANCING = ("mode", "state", "reasons", "room", "managed", "unmanaged", "lent", "lacking",
             "distressed", "holds", "stuck", "stale", "moves")
_UNBALANCED: Mapping[str, Any] = {**dict.fromkeys(BALANCING), "reasons": []}

_NO_COPY = Copy()


def copied(copy: Copy) -> HostReport:
    """What a report says of the host's copy of the named policies."""
    return {"revision": copy.revision, "age_s": copy.age_s, "reason": copy.complaint}


def shown(
    summary: Summary, room: Room, judgement: Judgement, since: Mapping[str, float],
    balancing: Mapping[str, Any] = MappingProxyType({}), copy: Copy = _NO_COPY,
) -> HostReport:
    """The report of a host, in JSON's types.

    :param since: when each of ``Judgement.conditions`` began (s since 1970)
    :param balancing: what ``BALANCING`` names, of this host
    :param copy: what the host has of the named policies
    """
    shorts = {"promised": judgement.promised_mib, "now": judgement.now_mib}
    found: HostReport = {
        "servers": summary.servers, "running": summary.running,
        "state": judgement.state, "since": _time(since[judgement.state]),
        "short": {name: {"mib": mib, "since": _time(since[name])} if mib else None
                  for name, mib in shorts.items()},
        "reasons": list(judgement.reasons), "cpus": room.cpus,
        "pressure": {name: _pressure(room.pressure.get(name, Pressure())) for name in PRESSED},
        "balancing": {**_UNBALANCED, **balancing}, "policies": copied(copy)}
    for family in FAMILIES:
        use = summary.uses[family.name]
        found[family.name] = {
            "unit": family.unit, "capacity": use.capacity, "guaranteed": use.guaranteed,
            "requested": use.requested, "applied": use.applied, "short": use.short,
            "unread": use.unread}
    found["memory"] |= {
        "total": room.memory_mib, "available": room.available_mib, "flavors": summary.flavors_mib,
        "flavors_running": summary.sold_mib, "needs": summary.needs_mib,
        "needs_unmanaged": summary.unmanaged_mib, "fitting_ratio": summary.fitting_ratio}
    return found


def placed(
    server: SavedServer, name: str, seen: Placed, reserve_mib: int, resident_mib: int | None,
    priority: int,
) -> dict[str, Any]:
    """One server of a host, for who plans moves; memory and disk in MiB.

    :param reserve_mib: see ``contention.need_mib``
    :param resident_mib: None: nobody can tell
    :param priority: its memory priority
    """
    most = seen.applied.get("memory")
    return {
        "id": server.uuid, "name": name, "running": seen.runs,
        "flavor": server.flavor.memory_mib, "need": need_mib(seen, reserve_mib),
        "guaranteed": {each.name: seen.guaranteed.get(each.name, 0) for each in FAMILIES},
        "applied": most, "resident": resident_mib, "disk": server.mobility.disk_mib,
        "fixed": server.mobility.fixed, "paused": server.mobility.is_paused,
        "memory_priority": priority}


def unknown() -> HostReport:
    """The report of a host of which nobody has told anything: what ``shown`` has, without
    values."""
    return {
        **dict.fromkeys(("servers", "running", "state", "since")),
        "short": {"promised": None, "now": None}, "reasons": [], "cpus": None,
        "pressure": {name: _pressure(Pressure()) for name in PRESSED},
        "balancing": {**_UNBALANCED}, "policies": copied(_NO_COPY),
        **{each.name: {"unit": each.unit, **dict.fromkeys(
            (*_SUMS, *(_OF_MEMORY if each.name == "memory" else ())))} for each in FAMILIES}}


def merged(report: Mapping[str, Any]) -> HostReport:
    """A report of another release as this one shows it: what that one does not tell has no value,
    what it tells beyond this one is there, too."""
    found = unknown()
    for name, value in report.items():
        mine = found.get(name)
        if not isinstance(mine, dict):
            found[name] = value
        elif isinstance(value, dict):
            found[name] = {**mine, **value}
    return found


def _pressure(pressure: Pressure) -> dict[str, float | None]:
    return {"some": pressure.some, "full": pressure.full}


def _time(since_s: float) -> str:
    return datetime.fromtimestamp(int(since_s), UTC).isoformat()
