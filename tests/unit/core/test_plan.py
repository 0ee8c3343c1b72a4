# SPDX-License-Identifier: Apache-2.0
"""The plan of a host: weights that keep guarantees, refusals, and what does not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import errors
from nova_qos.core.plan import (
    Asked,
    Capacity,
    Granted,
    cpu_readings,
    plan,
    require_room,
    why_less_memory,
)
from nova_qos.core.reading import Reading

V1 = Capacity(cpu_percent=400, memory_mib=8192, most_shares=262144)
SERVERS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.builds(Asked, st.integers(2, 262144), st.integers(0, 400), st.integers(0, 4096)),
    min_size=1, max_size=30)
CAPACITY = st.builds(
    Capacity, st.integers(1, 25600), st.integers(1, 2**20), st.sampled_from([262144, 102400]))


def part(granted: dict[str, Granted], name: str, capacity: Capacity) -> float:
    whole = sum(each.shares for each in granted.values())
    return capacity.cpu_percent * granted[name].shares / whole


def test_what_was_measured() -> None:
    one_cpu = Capacity(100, 8192, 262144)
    asked = {"a": Asked(1024, 50), **{name: Asked(1024) for name in "bcd"}}
    assert plan(asked, one_cpu)["a"] == Granted(3072, 50)
    assert plan({**asked, "e": Asked(1024)}, one_cpu)["a"] == Granted(4096, 50)


def test_a_guarantee_below_the_fair_part_changes_nothing() -> None:
    asked = {"a": Asked(2048, 150), "b": Asked(1024)}
    assert plan(asked, V1) == {"a": Granted(2048, 150), "b": Granted(1024)}


def test_alone_and_with_nobody() -> None:
    assert plan({"a": Asked(1024, 400)}, V1) == {"a": Granted(1024, 400)}
    assert plan({}, V1) == {}


def test_what_does_not_fit_is_scaled_by_one_factor() -> None:
    asked = {"a": Asked(1024, 300, 8192), "b": Asked(1024, 300, 8192)}
    assert plan(asked, V1) == {"a": Granted(1024, 200, 4096), "b": Granted(1024, 200, 4096)}
    found = cpu_readings(Reading(1024), asked["a"], Granted(1024, 200), [300, 300], V1)
    assert found["cpu_priority"] == Reading(1024)
    assert found["cpu_guarantee"].holds(300)
    assert (found["cpu_guarantee"].applied, found["cpu_guarantee"].effective) == (200, False)
    assert found["cpu_guarantee"].reason == (
        "cpu_guarantee: this host's servers are guaranteed 600 percent of one CPU together and can "
        "have 400, so all their guarantees are reduced in proportion")
    assert why_less_memory([8192], V1) is None
    assert "guaranteed 8193 MiB" in (why_less_memory([1, 8192], V1) or "")


def test_raised_shares_count_as_those_that_were_requested() -> None:
    asked, granted = Asked(1024, 50), Granted(3072, 50)
    found = cpu_readings(Reading(3072), asked, granted, [50], V1)
    assert found["cpu_guarantee"] == Reading(50)
    priority = found["cpu_priority"]
    assert (priority.applied, priority.asked, priority.effective) == (3072, 1024, True)
    assert priority.reason == "raised by cpu_guarantee"
    assert [priority.holds(shares) for shares in (1023, 1024, 1025, 3072)] == [
        False, True, False, False]


@pytest.mark.parametrize(("shares", "percent"), [(1024, 16), (1536, 25), (9000, 50)])
def test_shares_of_another_program_are_drift(shares: int, percent: int) -> None:
    found = cpu_readings(Reading(shares), Asked(1024, 50), Granted(3072, 50), [50], V1)
    assert found == {"cpu_priority": Reading(shares), "cpu_guarantee": Reading(percent)}


def test_without_a_guarantee_shares_are_what_they_are() -> None:
    for asked in (None, Asked(1024), Asked(1024, 0, 512)):
        assert cpu_readings(Reading(77), asked, Granted(77), [], V1) == {
            "cpu_priority": Reading(77), "cpu_guarantee": Reading(-1)}


@pytest.mark.parametrize(("mine", "said"), [
    (Asked(1024, 200), r"guarantee 400 percent of one CPU .* promised 250 to others, so 150 are"),
    (Asked(1024, 0, 6000), "guarantee 8192 MiB .* promised 4096 to others, so 4096 are left"),
])
def test_a_sum_above_the_capacity_is_refused_with_the_numbers(mine: Asked, said: str) -> None:
    with pytest.raises(errors.HostRefused, match=said):
        require_room({"a": Asked(1024, 250, 4096), "b": mine}, "b", V1)
    require_room({"a": Asked(1024, 250, 4096), "b": Asked(1024, 150, 4096)}, "b", V1)


def test_a_guarantee_that_would_need_too_large_a_weight_is_refused() -> None:
    asked = {"a": Asked(1024, 399), "b": Asked(262144)}
    with pytest.raises(errors.HostRefused, match=r"more than the 262144 .* it gets 200\."):
        require_room(asked, "a", V1)
    assert plan(asked, V1)["a"] == Granted(262144, 200)


@given(SERVERS, CAPACITY)
def test_every_guarantee_is_kept_or_the_weight_is_the_largest(
    asked: dict[str, Asked], capacity: Capacity
) -> None:
    granted = plan(asked, capacity)
    assert granted.keys() == asked.keys()
    whole = sum(each.cpu_percent for each in asked.values())
    factor = min(1.0, capacity.cpu_percent / whole) if whole else 1.0
    for name, each in asked.items():
        shares = granted[name].shares
        assert shares >= each.shares
        if shares > each.shares:
            assert shares <= capacity.most_shares
        if not each.cpu_percent:
            assert granted[name] == Granted(each.shares, 0, granted[name].memory_mib)
        elif shares < capacity.most_shares and not any(
                other.shares >= capacity.most_shares for other in granted.values()):
            # whole numbers are rounded up, those of others too
            rounding = 1 + len(asked) / sum(each.shares for each in granted.values())
            assert part(granted, name, capacity) * rounding >= each.cpu_percent * factor * 0.999


@given(SERVERS, CAPACITY)
def test_nothing_is_granted_beyond_the_host(asked: dict[str, Asked], capacity: Capacity) -> None:
    granted = plan(asked, capacity)
    # each may be rounded up by a hundredth where the weights' whole numbers miss it
    assert sum(each.cpu_percent for each in granted.values()) <= capacity.cpu_percent * 1.01 + 1
    assert sum(each.memory_mib for each in granted.values()) <= capacity.memory_mib
    for name, each in asked.items():
        assert granted[name].cpu_percent <= each.cpu_percent
        assert granted[name].memory_mib <= each.memory_mib


@given(SERVERS, CAPACITY)
def test_only_what_is_raised_needs_raising(asked: dict[str, Asked], capacity: Capacity) -> None:
    granted = plan(asked, capacity)
    if any(each.shares >= capacity.most_shares for each in granted.values()):
        # where one cannot be raised far enough, the others have more than they need
        return
    for name, each in asked.items():
        if granted[name].shares > each.shares:
            # with its own shares it would have too little
            others = sum(g.shares for other, g in granted.items() if other != name)
            mine = capacity.cpu_percent * each.shares / (each.shares + others)
            assert mine < each.cpu_percent * 1.02 + 0.1
