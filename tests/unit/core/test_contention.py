# SPDX-License-Identifier: Apache-2.0
"""What servers need of their host, and what state that leaves it in."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import contention, host_report
from nova_qos.core.balloon import Balloon
from nova_qos.core.contention import FAMILIES, Placed, judge, need_mib, summary
from nova_qos.core.room import Pressure, Room
from nova_qos.core.server import Flavor
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE

MIB = 1024
RESERVE_MIB = 32
ROOM = Room(
    memory_mib=10_000, available_mib=5_000, cpus=8,
    capacity={"memory": 9_000, "cpu": 800, "net": 80_000, "net_in": None})


def server(
    applied_mib: float | None = 1000, used_mib: int = 400, guarantee_mib: int = 0,
    flavor_mib: int = 1000, alive: bool = True, **more: Any,
) -> Placed:
    """A running server of two processors, whose guest reports."""
    reported_mib = flavor_mib if applied_mib is None else applied_mib
    balloon = Balloon(alive, None if alive else "no driver", int(reported_mib * MIB),
                      int((reported_mib - used_mib) * MIB) if alive else 0)
    settings: dict[str, Any] = {
        "requested": {each.name: UNLIMITED for each in FAMILIES} | {"memory": flavor_mib},
        "applied": {each.name: UNLIMITED for each in FAMILIES} | {"memory": applied_mib},
        "guaranteed": {"memory": guarantee_mib}, "balloon": balloon}
    return Placed(Flavor(flavor_mib, vcpus=2), runs=True, **settings | more)


@pytest.mark.parametrize(("placed", "expected"), [
    # what it uses, and the reserve
    (server(), 432), (server(applied_mib=600), 432),
    # it has no more than that
    (server(used_mib=990), 1000), (server(applied_mib=410), 410),
    # what it is guaranteed, whether it uses it or not
    (server(guarantee_mib=700), 700), (server(guarantee_mib=100), 432),
    # its balloon is still on the way up to it
    (server(applied_mib=600, guarantee_mib=700), 700),
    # it cannot give, or nobody knows: all it has, or all it may have
    (server(alive=False), 1000), (server(applied_mib=600, alive=False), 600),
    (server(applied_mib=None, balloon=None), 1000),
    (server(applied_mib=600.5, balloon=None), 601),
    (server(balloon=Balloon(True, None, 1000 * MIB, 600 * MIB, overdue=True)), 1000),
    # since the balloon has moved, its guest has reported nothing
    (server(balloon=Balloon(True, None, 1000 * MIB, 0, due_s=3.0)), 1000),
    # it does not run
    (Placed(Flavor(1000), runs=False), 0)])
def test_the_need_of_a_server(placed: Placed, expected: int) -> None:
    assert need_mib(placed, RESERVE_MIB) == expected


@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 4000), st.booleans())
def test_a_need_is_within_its_bounds(
    applied: int, used: int, guarantee: int, alive: bool
) -> None:
    placed = server(applied, min(used, applied), guarantee, alive=alive)
    assert guarantee <= need_mib(placed, RESERVE_MIB) <= max(applied, guarantee)


def test_families_are_those_of_the_table() -> None:
    """Each guarantee has its place, bounded by what the family has at most."""
    assert {each.guarantee: each.most for each in FAMILIES} == {
        name: row.at_most for name, row in TABLE.items() if row.at_most is not None}
    for each in FAMILIES:
        assert TABLE[each.guarantee].unit.name == TABLE[each.most].unit.name == each.unit


def test_sums() -> None:
    found = summary([
        server(guarantee_mib=700), server(applied_mib=500.5, alive=False),
        server(applied={"memory": None, "cpu": 50, "net": 900, "net_in": None},
               requested={"memory": 800, "cpu": 60, "net": 1000, "net_in": UNLIMITED}),
        Placed(Flavor(1000), runs=False)], ROOM, RESERVE_MIB)
    assert (found.servers, found.running) == (4, 3)
    assert (found.flavors_mib, found.sold_mib) == (4000, 3000)
    assert (found.needs_mib, found.unmanaged_mib) == (700 + 501 + 432, 501)
    memory, cpu, net, net_in = (found.uses[each.name] for each in FAMILIES)
    assert (memory.capacity, memory.guaranteed, memory.requested, memory.applied) == (
        9000, 700, 2800, 1500.5)
    assert (memory.unread, net.unread, net_in.unread) == (1, 0, 1)
    # without a limit, they can use what their processors can do
    assert (cpu.requested, cpu.applied) == (460, 450)
    assert (net.requested, net.applied, net_in.capacity) == (UNLIMITED, UNLIMITED, None)
    assert found.fitting_ratio == 1.83


def test_a_host_without_servers() -> None:
    found = summary([], ROOM, RESERVE_MIB)
    assert (found.servers, found.needs_mib, found.fitting_ratio) == (0, 0, None)
    assert {(use.requested, use.applied) for use in found.uses.values()} == {(0, 0)}
    assert judge(found, ROOM).state == "calm"


def many(count: int, **each: Any) -> list[Placed]:
    return [server(**each)] * count


@pytest.mark.parametrize(("servers", "room", "state", "promised", "now"), [
    (many(9), ROOM, "calm", 0, 0),
    # far more was sold than is there, but what is needed fits
    (many(20), ROOM, "calm", 0, 0),
    (many(20), replace(ROOM, available_mib=1499), "tense", 0, 0),
    (many(20), replace(ROOM, available_mib=1500), "calm", 0, 0),
    (many(20), replace(ROOM, available_mib=10), "tense", 0, 0),
    ([], replace(ROOM, pressure={"memory": Pressure(1.0, 0.0)}), "tense", 0, 0),
    ([], replace(ROOM, pressure={"memory": Pressure(0.9), "io": Pressure(99.0)}), "calm", 0, 0),
    ([], replace(ROOM, pressure={"memory": Pressure(None)}), "calm", 0, 0),
    # what is guaranteed does not fit, whatever is used
    (many(10, guarantee_mib=1000, used_mib=10), ROOM, "short", 1000, 0),
    # what is needed does not
    (many(10, alive=False), ROOM, "short", 1000, 0),
    (many(10, used_mib=900), ROOM, "short", 320, 0),
    (many(10, alive=False), replace(ROOM, available_mib=499), "short", 1000, 1000),
    (many(10, alive=False), replace(ROOM, available_mib=500), "short", 1000, 0),
    # guarantees of anything else
    (many(9, guaranteed={"cpu": 100}), ROOM, "short", 0, 0),
    (many(9, guaranteed={"net": 10_000}), ROOM, "short", 0, 0),
    # nothing can be guaranteed there
    (many(9, guaranteed={"net_in": 10_000}), ROOM, "calm", 0, 0)])
def test_the_state_of_a_host(
    servers: list[Placed], room: Room, state: str, promised: int, now: int
) -> None:
    judged = judge(summary(servers, room, RESERVE_MIB), room)
    assert (judged.state, judged.promised_mib, judged.now_mib) == (state, promised, now)
    assert bool(judged.reasons) is (state != "calm")
    assert judged.conditions == {
        state, *(["promised"] if promised else []), *(["now"] if now else [])}


def test_reasons_have_the_numbers() -> None:
    room = replace(ROOM, available_mib=400, pressure={"memory": Pressure(12.5)})
    servers = many(10, guaranteed={"memory": 950, "cpu": 81}, alive=False)
    judged = judge(summary(servers, room, RESERVE_MIB), room)
    assert list(judged.reasons) == [
        "memory_guarantee: its servers are guaranteed 9500 MiB together, 500 more than it can "
        "guarantee",
        "cpu_guarantee: its servers are guaranteed 810 percent of one CPU together, 10 more than "
        "it can guarantee",
        "memory: its servers need 10000 MiB together, 1000 more than the 9000 that it has for them",
        "memory: 400 of 10000 MiB are available, less than 15%",
        "memory: tasks have waited for it in 12.5 percent of the last 10 s"]


def shown(servers: list[Placed], room: Room = ROOM) -> dict[str, Any]:
    together = contention.summary(servers, room, RESERVE_MIB)
    judged = judge(together, room)
    since = {name: 1790000000.9 + place for place, name in enumerate(sorted(judged.conditions))}
    return host_report.shown(together, room, judged, since)


def test_a_report() -> None:
    room = replace(ROOM, available_mib=100, pressure={"memory": Pressure(2.5, 0.5)})
    found = shown(many(10, alive=False), room)
    assert found["state"] == "short"
    assert found["since"] == "2026-09-21T14:13:22+00:00"
    assert found["short"] == {"promised": {"mib": 1000, "since": "2026-09-21T14:13:21+00:00"},
                              "now": {"mib": 1000, "since": "2026-09-21T14:13:20+00:00"}}
    assert found["pressure"] == {
        "memory": {"some": 2.5, "full": 0.5}, "cpu": {"some": None, "full": None},
        "io": {"some": None, "full": None}}
    assert (found["memory"]["needs"], found["memory"]["fitting_ratio"]) == (10000, 1.0)


def test_what_is_unknown_has_the_form_of_what_is_known() -> None:
    known, unknown = shown([]), host_report.unknown()

    def form(value: object) -> object:
        return {name: form(part) for name, part in value.items()} if isinstance(
            value, dict) else None

    assert form(known) == form(unknown)
    assert unknown["memory"]["unit"] == "MiB"


def test_a_report_of_another_release() -> None:
    assert host_report.merged({}) == host_report.unknown()
    mine = shown(many(2))
    assert host_report.merged(mine) == mine
    other = {name: part for name, part in mine.items() if name != "net"}
    other["memory"] = {"needs": 5, "of_tomorrow": 1}
    merged = host_report.merged({**other, "of_tomorrow": [1]})
    assert merged["net"] == host_report.unknown()["net"]
    assert (merged["memory"]["needs"], merged["memory"]["of_tomorrow"]) == (5, 1)
    assert merged["memory"]["capacity"] is None
    assert merged["of_tomorrow"] == [1]
    assert host_report.merged({"memory": None, "short": 5}) == host_report.unknown()
