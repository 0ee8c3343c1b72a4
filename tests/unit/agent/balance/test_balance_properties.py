# SPDX-License-Identifier: Apache-2.0
"""What holds for any host and any guests, whatever they report."""

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_qos.agent.balance.guests import GuestNow
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.plan import Plan, Planner
from nova_qos.agent.balance.thresholds import Thresholds
from tests.unit.agent.balance.scene import Scene, using

NUMBERS = Thresholds()
#: What a guest says may be anything.
SAID = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-10, 9000))
HOSTS = st.builds(HostNow, st.just(16000.0), st.floats(0, 2300), st.floats(0, 100))


@st.composite
def guests_now(draw: st.DrawFn) -> GuestNow:
    flavor_mib = draw(st.sampled_from([64, 512, 2048, 4096, 8192]))
    actual_mib = draw(st.floats(0.05, 1)) * flavor_mib
    most_mib = draw(st.sampled_from([flavor_mib, flavor_mib, 0.7 * flavor_mib]))
    return GuestNow(
        actual_mib=actual_mib, target_mib=draw(st.sampled_from([1, 0.9, 1.1])) * actual_mib,
        most_mib=most_mib, flavor_mib=flavor_mib,
        guarantee_mib=draw(st.sampled_from([0, 0, 0.3, 0.5, 1])) * flavor_mib,
        weight=draw(st.sampled_from([1, 50, 100, 1000])),
        resident_mib=draw(st.floats(0, 1.1)) * actual_mib,
        **{name: draw(SAID) for name in (
            "usable_mib", "caches_mib", "reported_actual_mib", "swapped_in_mib", "faulted_mib",
            "read_mib", "reported_s")})


GUESTS = st.dictionaries(st.text(max_size=3), guests_now(), max_size=7)
LOOKS = st.lists(st.tuples(st.floats(-5, 400), HOSTS, GUESTS), min_size=1, max_size=4)


def planned(looks: list[tuple[float, HostNow, dict[str, GuestNow]]]) -> list[Plan]:
    """The plans of one planner, with gaps of so many seconds before the looks."""
    planner, now_s, plans = Planner(NUMBERS), 1000.0, []
    for gap_s, host, guests in looks:
        now_s += gap_s
        planner.watch(now_s, host)
        plans.append(planner.look(now_s, host, guests))
    return plans


def kept_mib(guest: GuestNow) -> float:
    """The least that a guarantee keeps: with all of it idle."""
    guarantee_mib = min(guest.guarantee_mib, guest.most_mib)
    return guarantee_mib * guarantee_mib / guest.flavor_mib


@settings(max_examples=25)
@given(LOOKS)
def test_any_figures(looks: list[tuple[float, HostNow, dict[str, GuestNow]]]) -> None:
    for (_, host, guests), plan in zip(looks, planned(looks), strict=True):
        assert set(plan.standings) == set(guests)
        assert set(plan.targets_mib) <= set(guests)
        assert plan.reasons
        for name, guest in guests.items():
            standing = plan.standings[name]
            floor_mib = min(guest.most_mib, max(NUMBERS.floor_mib, 0.04 * guest.flavor_mib))
            assert all(map(math.isfinite, standing[:3]))
            assert max(kept_mib(guest), floor_mib) - 0.01 <= standing.wish_mib
            # what it has above that may be what it needs
            assert standing.wish_mib <= max(guest.most_mib, guest.actual_mib) + 0.01
            target_mib = plan.targets_mib.get(name, standing.wish_mib)
            # on the way from what it has to its wish
            low, high = sorted((guest.actual_mib, standing.wish_mib))
            assert low - 0.01 <= target_mib <= high + 0.01 or name not in plan.targets_mib
            assert target_mib <= max(guest.most_mib, guest.actual_mib) + 0.01
        grown_mib = sum(target_mib - guests[name].actual_mib
                        for name, target_mib in plan.targets_mib.items()
                        if target_mib > guests[name].actual_mib)
        assert grown_mib <= max(0, host.available_mib - 160) + 0.01


@settings(max_examples=20)
@given(LOOKS)
def test_wishes_fit_into_the_room(
    looks: list[tuple[float, HostNow, dict[str, GuestNow]]]
) -> None:
    """Where what is kept does; at most that does not."""
    for (_, _, guests), plan in zip(looks, planned(looks), strict=True):
        if plan.state == "calm" or not guests:
            continue
        # guarantees may need all that they are, and each guest has a floor
        kept = sum(max(min(guest.guarantee_mib, guest.most_mib), NUMBERS.floor_mib,
                       0.04 * guest.flavor_mib) for guest in guests.values())
        whole = sum(standing.wish_mib for standing in plan.standings.values())
        if plan.targets_mib or plan.state == "tense":
            assert whole <= max(plan.room_mib, kept) + 0.01


@settings(max_examples=15)
@given(LOOKS, st.randoms())
def test_neither_chance_nor_order_matters(
    looks: list[tuple[float, HostNow, dict[str, GuestNow]]], chance: object
) -> None:
    turned = []
    for gap_s, host, guests in looks:
        names = list(guests)
        chance.shuffle(names)
        turned.append((gap_s, host, {name: guests[name] for name in names}))
    assert planned(looks) == planned(turned)


@settings(max_examples=10)
@given(st.lists(st.tuples(st.floats(200, 3800), st.sampled_from([0, 1000, 2000])),
                min_size=2, max_size=6), st.floats(400, 3000))
def test_obedient_guests_come_down_to_the_room(
    used: list[tuple[float, float]], available_mib: float
) -> None:
    """The host has what is available, whatever guests release."""
    scene = Scene()
    guests = {str(number): using(used_mib, guarantee_mib=guarantee_mib)
              for number, (used_mib, guarantee_mib) in enumerate(used)}
    at = HostNow(32000, available_mib, 2)
    plan = scene.look(dict(guests), at)
    guests = scene.obey(guests, 60, at)
    # counts as QEMU's own from now on
    own_mib = sum(max(0.0, each.resident_mib - each.actual_mib) for each in guests.values())
    guests = {name: replace(each, resident_mib=min(each.resident_mib, each.actual_mib))
              for name, each in guests.items()}
    plan = scene.look(guests, at)
    whole_mib = sum(each.actual_mib for each in guests.values())
    wished_mib = sum(standing.wish_mib for standing in plan.standings.values())
    assert whole_mib <= max(wished_mib, plan.room_mib + own_mib) + 80 * len(guests) + 0.01
