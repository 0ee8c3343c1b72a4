# SPDX-License-Identifier: Apache-2.0
"""When the host is calm, tense or short, and when a look is due."""

import pytest

from nova_qos.agent.balance.plan import Planner
from nova_qos.agent.balance.thresholds import Thresholds
from tests.unit.agent.balance.scene import MEMORY_MIB, Scene, guest, host, using

CALM, TENSE = host(20000), host(2000)


def looks_due(planner: Planner, first_s: int, last_s: int, at: object) -> list[int]:
    """The seconds in which a look was due; it is made."""
    due = []
    for now_s in range(first_s, last_s):
        if planner.watch(now_s, at):
            due.append(now_s)
            planner.look(now_s, at, {"a": guest(reported_s=now_s)})
    return due


def test_a_calm_host_looks_each_ten_seconds() -> None:
    planner = Planner(Thresholds(calm_report_s=7))
    assert looks_due(planner, 100, 131, CALM) == [100, 110, 120, 130]
    assert (planner.state, planner.report_period_s) == ("calm", 7)


def test_a_tense_host_looks_at_once_and_each_two_seconds() -> None:
    planner = Planner(Thresholds())
    assert looks_due(planner, 100, 103, CALM) == [100]
    assert looks_due(planner, 103, 110, TENSE) == [103, 105, 107, 109]
    assert (planner.state, planner.report_period_s) == ("tense", 2)


def test_ticks_need_not_be_exact() -> None:
    planner = Planner(Thresholds())
    planner.look(100, CALM, {})
    assert not planner.watch(109.4, CALM)
    assert planner.watch(109.9, CALM)


@pytest.mark.parametrize(("at", "state"), [
    (host(0.16 * MEMORY_MIB), "calm"), (host(0.14 * MEMORY_MIB), "tense"),
    (host(20000, 0.9), "calm"), (host(20000, 1), "tense")])
def test_what_makes_a_host_tense(at: object, state: str) -> None:
    plan = Scene().look({"a": guest()}, at)
    assert plan.state == state
    assert plan.reasons


def test_a_calm_host_touches_nothing() -> None:
    plan = Scene().look({"a": guest(guarantee_mib=1000)}, CALM)
    assert plan.targets_mib == {}
    assert plan.standings["a"].wish_mib == 4000
    assert plan.standings["a"].why == "host calm"


def watched_for(seconds: int, at: object, **changes: float) -> str:
    planner = Planner(Thresholds())
    planner.look(0, TENSE, {"a": guest(reported_s=0)})
    for now_s in range(1, seconds + 1):
        planner.watch(now_s, at)
    planner.look(now_s, at, {"a": guest(reported_s=now_s, **changes)})
    return planner.state


def test_calm_again_after_five_minutes_without_a_sign() -> None:
    assert watched_for(300, CALM) == "tense"
    assert watched_for(302, CALM) == "calm"


@pytest.mark.parametrize("at", [host(0.24 * MEMORY_MIB), host(20000, 1)])
def test_not_calm_while_there_is_a_sign(at: object) -> None:
    assert watched_for(400, at) == "tense"


def test_not_calm_before_balloons_are_empty() -> None:
    assert watched_for(400, CALM, actual_mib=3900) == "tense"


def test_a_balloon_on_its_way_to_empty_holds_nothing_up() -> None:
    assert watched_for(400, CALM, actual_mib=3900, target_mib=4000) == "calm"


def test_a_gap_is_not_five_minutes_without_a_sign() -> None:
    planner = Planner(Thresholds())
    planner.look(0, TENSE, {})
    planner.watch(1, CALM)
    planner.look(900, CALM, {})
    assert planner.state == "tense"


def test_a_new_planner_continues_with_the_balloons_it_finds() -> None:
    planner = Planner(Thresholds())
    assert planner.watch(0, CALM)
    plan = planner.look(0, CALM, {"a": using(1500, 3000), "b": guest()})
    assert (planner.state, planner.report_period_s, plan.state) == ("tense", 2, "tense")
    assert "a" in plan.targets_mib


def test_short_when_guarantees_exceed_the_room() -> None:
    guests = {name: using(3000, guarantee_mib=4000) for name in "abc"}
    plan = Scene().look(guests, host(500))
    assert plan.state == "short"
    assert plan.reasons[0].startswith("guarantees of 12000 MiB exceed the 8940 MiB")


def test_a_short_host_cuts_no_guarantee_but_its_idle_part() -> None:
    guests = {name: using(3000, guarantee_mib=3200) for name in "abcdefgh"}
    scene = Scene()
    assert scene.look(guests, host(500)).state == "short"
    after = scene.obey(guests, 30, host(500))
    assert all(each.actual_mib >= 3200 for each in after.values())


def test_short_when_nothing_is_available_and_nobody_has_any_to_spare() -> None:
    full = {name: using(3950, guarantee_mib=4000) for name in "ab"}
    plan = Scene().look(full, host(300))
    assert plan.state == "short"
    assert "no server has any to spare" in plan.reasons[-2]
    assert Scene().look({"a": using(1000)}, host(300)).state == "tense"


def test_clock_set_back() -> None:
    scene = Scene()
    scene.look({"a": guest()})
    scene.now_s = 10
    assert scene.planner.watch(10, TENSE)
    assert scene.look({"a": guest()}).state == "tense"


def test_no_guests() -> None:
    plan = Scene().look({})
    assert (plan.state, dict(plan.targets_mib), dict(plan.standings)) == ("tense", {}, {})
