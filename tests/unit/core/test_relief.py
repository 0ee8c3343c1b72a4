# SPDX-License-Identifier: Apache-2.0
"""Plans of moves, on random clouds."""

from collections.abc import Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_qos.core import cover, relief
from nova_qos.core.cover import Item
from nova_qos.core.moves import SHARED, Host, Move, Server

_AMOUNTS = st.integers(0, 60)


def server(key: str, need: int, cost: int | None = None, cpu: int = 0,
           fixed: str | None = None) -> Server:
    return Server(key, (need, cpu, 0, 0, need), need if cost is None else cost, fixed)


def host(name: str, left: int, *servers: Server, cpu: int = 0, free: int = 10**6,
         is_open: bool = True) -> Host:
    return Host(name, (left, cpu, 0, 0, free), servers, is_open)


@st.composite
def clouds(draw: st.DrawFn) -> list[Host]:
    """Up to six hosts, some of them short of memory, of CPU time or of both."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        servers = [Server(
            f"{number}-{each}",
            (draw(_AMOUNTS), draw(st.sampled_from([0, 0, 5, 30])), 0, 0, draw(_AMOUNTS)),
            draw(_AMOUNTS), draw(st.sampled_from([None, None, None, "it is locked"])))
            for each in range(draw(st.integers(0, 6)))]
        found.append(Host(
            f"host{number}", (draw(st.integers(-80, 120)), draw(st.integers(-20, 60)), 0, 0,
                              draw(st.integers(-10, 200))), servers, draw(st.booleans())))
    return found


def replay(hosts: Sequence[Host], moves: Sequence[Move]) -> dict[str, Host]:
    """Carry moves out one by one: the server is there, may move, and its target stays whole."""
    found = {each.name: each for each in hosts}
    seen = set()
    for move in moves:
        key = move.server.key
        assert key not in seen
        seen.add(key)
        (there,) = (each for each in found[move.source].servers if each.key == key)
        assert there == move.server
        assert there.fixed is None
        target = found[move.target]
        assert target.is_open
        after = target.having(there)
        # memory is there on both sides until the end
        for before, left, takes in zip(target.left, after.left, there.takes, strict=True):
            assert left >= 0 or (takes == 0 and left == before)
        assert not after.is_short
        found[move.source], found[move.target] = found[move.source].without(there), after
    return found


def missing(hosts: dict[str, Host]) -> list[int]:
    return [sum(each.missing[index] for each in hosts.values()) for index in range(len(SHARED))]


@given(clouds(), st.sets(st.tuples(st.integers(0, 35), st.integers(0, 5)), max_size=60))
@settings(max_examples=300)
def test_no_host_is_ever_made_short(
    hosts: list[Host], refused: set[tuple[int, int]]
) -> None:
    def refuses(key: str, name: str) -> bool:
        origin, number = (int(part) for part in key.split("-"))
        return (6 * origin + number, int(name.removeprefix("host"))) in refused

    plan = relief.plan(hosts, refuses=refuses)
    after = replay(hosts, plan.moves)
    assert not any(refuses(move.server.key, move.target) for move in plan.moves)
    assert dict(plan.missing) == {
        name: each.missing for name, each in after.items() if each.is_short}


@given(clouds())
@settings(max_examples=300)
def test_it_is_no_worse_than_the_largest_first(hosts: list[Host]) -> None:
    plan, other = relief.plan(hosts), relief.largest_first(hosts)
    left, others = missing(replay(hosts, plan.moves)), missing(replay(hosts, other.moves))
    assert left <= others
    if left == others:
        assert plan.cost_mib <= other.cost_mib


@given(clouds())
@settings(max_examples=300)
def test_no_plan_is_below_the_bound(hosts: list[Host]) -> None:
    plan, bound = relief.plan(hosts), relief.least_cost_mib(hosts)
    if bound is None:
        assert not plan.is_whole
    elif plan.is_whole:
        assert plan.cost_mib >= bound


@given(clouds())
@settings(max_examples=100)
def test_only_the_sources_are_relieved(hosts: list[Host]) -> None:
    plan = relief.plan(hosts, ["host0"])
    replay(hosts, plan.moves)
    assert set(plan.missing) <= {"host0"}
    short = {each.name for each in hosts if each.is_short}
    assert {move.source for move in plan.moves} & short <= {"host0"}
    assert not {move.target for move in plan.moves} & (short | {"host0"})


@given(clouds(), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_without_making_room_any_order_will_do(hosts: list[Host], chance: Random) -> None:
    plan = relief.plan(hosts, may_make_room=False)
    moves = list(plan.moves)
    chance.shuffle(moves)
    # as when some of them fail
    replay(hosts, moves[:chance.randint(0, len(moves))])
    after = replay(hosts, moves)
    assert dict(plan.missing) == {
        name: each.missing for name, each in after.items() if each.is_short}


@given(st.lists(st.tuples(_AMOUNTS, _AMOUNTS, _AMOUNTS), max_size=8), _AMOUNTS, _AMOUNTS)
@settings(max_examples=300)
def test_covers_are_the_cheapest(
    made: list[tuple[int, int, int]], first: int, second: int
) -> None:
    items = [Item(f"{number}", (a, b), cost) for number, (a, b, cost) in enumerate(made)]
    wanted = (first, second)
    if wanted == (0, 0):
        return
    costs = [sum(each.cost for each in some) for size in range(len(items) + 1)
             for some in combinations(items, size)
             if all(sum(each.amounts[index] for each in some) >= wanted[index]
                    for index in (0, 1))]
    found = cover.cheapest(items, wanted, most=3)
    assert [each.cost for each in found][:1] == ([min(costs)] if costs else [])
    for each in found:
        assert all(sum(item.amounts[index] for item in each.items) >= wanted[index]
                   for index in (0, 1))
    assert cover.least_cost(items, wanted) == (min(costs) if costs else None)


def test_a_cloud_that_is_calm_has_nothing_to_move() -> None:
    for plan in (relief.plan([host("a", 0, server("x", 5)), host("b", 5)]), relief.plan([])):
        assert (list(plan.moves), plan.is_whole, plan.cost_mib) == ([], True, 0)
    assert relief.least_cost_mib([host("a", 0)]) == 0


def test_one_that_costs_less_goes_though_it_takes_less() -> None:
    hosts = [host("a", -10, server("large", 100), server("fit", 12), server("small", 6)),
             host("b", 200)]
    plan = relief.plan(hosts)
    assert [(move.server.key, move.target) for move in plan.moves] == [("fit", "b")]
    assert relief.largest_first(hosts).cost_mib == 100


def test_servers_without_a_guarantee_help_needs_alone() -> None:
    """Of CPU time, guarantees are what a host is short of."""
    hosts = [host("a", 50, server("idle", 40), server("promised", 45, cpu=30), cpu=-20),
             host("b", 100, cpu=100)]
    assert [move.server.key for move in relief.plan(hosts).moves] == ["promised"]


def test_a_server_goes_on_first() -> None:
    hosts = [host("a", -10, server("only", 30)),
             host("b", 20, server("onward", 15), server("fast", 15, fixed="it is locked")),
             host("c", 16)]
    plan = relief.plan(hosts)
    assert [(move.server.key, move.source, move.target) for move in plan.moves] == [
        ("onward", "b", "c"), ("only", "a", "b")]
    replay(hosts, plan.moves)


def test_part_of_a_relief_is_better_than_none() -> None:
    hosts = [host("a", -50, server("x", 20), server("y", 60)), host("b", 25)]
    plan = relief.plan(hosts)
    assert [move.server.key for move in plan.moves] == ["x"]
    assert plan.missing == {"a": (30, 0, 0, 0)}


def test_memory_has_to_be_free_before_the_move() -> None:
    """Though the target's servers need little, what is not free there cannot be taken."""
    hosts = [host("a", -10, server("x", 20)), host("b", 500, free=10)]
    assert relief.plan(hosts).moves == []
    assert relief.plan([hosts[0], host("b", 500, free=20)]).moves != []


@pytest.mark.parametrize("fixed", ["it is locked", None])
def test_what_cannot_move_stays(fixed: str | None) -> None:
    plan = relief.plan([host("a", -10, server("x", 20, fixed=fixed)), host("b", 50)])
    assert plan.is_whole is (fixed is None)
