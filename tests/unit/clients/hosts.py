# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as the API describes them."""

from typing import Any

from nova_qos.core import host_report
from nova_qos.core.contention import FAMILIES, Placed, judge, summary
from nova_qos.core.room import Pressure, Room
from nova_qos.core.server import Flavor, Mobility, SavedServer

ROOM = Room(
    memory_mib=10_000, available_mib=300, cpus=8,
    capacity={"memory": 9_000, "cpu": 800, "net": 80_000, "net_in": None},
    pressure={"memory": Pressure(2.5, 0.5)})
#: 2026-09-21T14:13:20+00:00
SINCE_S = 1790000000.0
#: It cannot give any memory.
_PLACED = Placed(
    Flavor(1000, vcpus=2), runs=True, guaranteed={"memory": 100, "cpu": 10},
    requested={"memory": 1000, "cpu": 50, "net": 900, "net_in": -1},
    applied={each.name: 1000 for each in FAMILIES})


def report() -> dict[str, Any]:
    """What the agent tells of a host that is short of memory: ten servers that cannot give any."""
    together = summary([_PLACED] * 10, ROOM, 32)
    judged = judge(together, ROOM)
    return host_report.shown(together, ROOM, judged, dict.fromkeys(judged.conditions, SINCE_S))


def placed(number: int = 0, **more: Any) -> dict[str, Any]:
    """One of its servers, as the agent tells."""
    server = SavedServer(f"00000000-0000-0000-0000-{number:012}", "one", None, Flavor(1000),
                         mobility=Mobility(disk_mib=2048))
    return {**host_report.placed(server, f"web-{number}", _PLACED, 32, 900, 100), **more}


def short(name: str = "one") -> dict[str, Any]:
    """That host."""
    return _host(name, report())


def away(name: str = "two", **more: Any) -> dict[str, Any]:
    """A host whose agent has never answered."""
    return _host(name, host_report.unknown(), agent="down", age_s=None,
                 reason=f"there is no nova-qos-agent on host {name}", **more)


def _host(name: str, report: dict[str, Any], **more: Any) -> dict[str, Any]:
    report["memory"]["allocation_ratio"] = 1.5
    return {"name": name, "agent": "up", "reason": None, "age_s": 0, **report, **more}
