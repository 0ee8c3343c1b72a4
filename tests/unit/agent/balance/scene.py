# SPDX-License-Identifier: Apache-2.0
"""A host and its guests for the planner's tests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nova_qos.agent.balance.guests import GuestNow
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.plan import Plan, Planner
from nova_qos.agent.balance.thresholds import Thresholds

MEMORY_MIB = 32000.0
RESERVE_MIB = 0.0175 * MEMORY_MIB
#: A guest of 4000 MiB in the middle of its life: uses 1500, has 500 of caches and 2000 of free
#: memory, which the host does not hold.
USUAL = GuestNow(
    actual_mib=4000, target_mib=4000, most_mib=4000, flavor_mib=4000, guarantee_mib=0, weight=100,
    resident_mib=2000, usable_mib=2500, caches_mib=500, reported_actual_mib=4000, swapped_in_mib=0,
    faulted_mib=0, read_mib=0, reported_s=0)


def guest(**changes: float) -> GuestNow:
    """The usual guest, with changes. Its balloon has its target and its report is of that size,
    unless the changes say otherwise."""
    actual_mib = changes.get("actual_mib", USUAL.actual_mib)
    return replace(USUAL, **{
        "target_mib": actual_mib, "reported_actual_mib": actual_mib, **changes})


def using(used_mib: float, actual_mib: float = 4000, **changes: float) -> GuestNow:
    """A guest without caches that uses so much of what it has."""
    return guest(**{"actual_mib": actual_mib, "usable_mib": actual_mib - used_mib,
                    "caches_mib": 0, "resident_mib": used_mib, **changes})


def host(available_mib: float = 2000, pressure: float = 0) -> HostNow:
    """A host that is tense unless it has more available."""
    return HostNow(MEMORY_MIB, available_mib, pressure)


class Scene:
    """A planner that looks at guests at the times that it asks for."""

    def __init__(self, **thresholds: Any) -> None:
        self.planner = Planner(Thresholds(**thresholds))
        self.now_s = 1000.0

    def look(self, guests: Mapping[str, GuestNow], at: HostNow | None = None) -> Plan:
        """A look now, with reports of now; the next one is two seconds later."""
        plan = self.planner.look(self.now_s, at or host(), {
            name: replace(each, reported_s=each.reported_s or self.now_s)
            for name, each in guests.items()})
        self.now_s += 2
        return plan

    def obey(
        self, guests: dict[str, GuestNow], looks: int, at: HostNow | None = None
    ) -> dict[str, GuestNow]:
        """The guests after so many looks, with balloons that reach each target at once, and use
        that does not change."""
        for _ in range(looks):
            for name, target_mib in self.look(guests, at).targets_mib.items():
                before = guests[name]
                used_mib = before.reported_actual_mib - before.usable_mib
                guests[name] = replace(
                    before, actual_mib=target_mib, target_mib=target_mib,
                    reported_actual_mib=target_mib, usable_mib=max(0, target_mib - used_mib))
        return guests


def plan_in(room_mib: float, scene: Scene | None = None, **guests: GuestNow) -> Plan:
    """A look at a tense host with so much room."""
    held_mib = sum(min(each.resident_mib, each.actual_mib) for each in guests.values())
    plan = (scene or Scene()).look(guests, host(room_mib - held_mib + RESERVE_MIB, 2))
    assert plan.room_mib == pytest.approx(room_mib)
    return plan
