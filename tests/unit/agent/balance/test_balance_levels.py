# SPDX-License-Identifier: Apache-2.0
"""What a guest is to get: its wish, in rooms of different size."""

from dataclasses import replace

import pytest

from nova_qos.agent.balance.guests import GuestNow
from tests.unit.agent.balance.scene import Scene, guest, host, plan_in, using


def wish(room_mib: float, one: GuestNow, other: GuestNow | None = None) -> float:
    """The wish of a guest beside one that needs 3880 MiB and has as much of guarantee."""
    fixed = other or using(3760, guarantee_mib=4000)
    return plan_in(room_mib, a=one, other=fixed).standings["a"].wish_mib


# a guest of 4000 MiB: 3 % are 120, its cushion is 240
@pytest.mark.parametrize(("room_mib", "expected_mib"), [
    (4000 + 160, 160),           # nothing but its floor
    (4000 + 1000, 1000),         # a part of its need
    (4000 + 1620, 1620),         # bare need
    (4000 + 1740, 1740),         # with cushion
    (4000 + 2240, 2240),         # with caches
    (4000 + 3000, 3000),         # a part of the rest
    (9000, 4000)])               # all
def test_levels(room_mib: float, expected_mib: float) -> None:
    assert wish(room_mib, guest()) == pytest.approx(expected_mib)


@pytest.mark.parametrize(("guarantee_mib", "kept_mib"), [
    (1000, 1000),                # all of it is used
    (2000, 1870),                # of 260 idle, half is lent
    (3000, 3000 - 1260 / 4), (4000, 4000)])
def test_of_a_guarantee_only_a_part_of_what_is_idle_is_lent(
    guarantee_mib: float, kept_mib: float
) -> None:
    one = guest(guarantee_mib=guarantee_mib)
    plan = plan_in(4000 + kept_mib, a=one, other=using(3760, guarantee_mib=4000))
    standing = plan.standings["a"]
    assert standing.wish_mib == pytest.approx(kept_mib)
    assert standing.lent_mib == pytest.approx(guarantee_mib - kept_mib)


def test_lent_is_said() -> None:
    plan = plan_in(4000 + 2700, a=guest(guarantee_mib=3000), other=using(3760, guarantee_mib=4000))
    assert plan.standings["a"].why == (
        "host tense: is to have 2700 MiB, 300 of its guarantee are lent")
    assert plan.standings["other"].why == "host tense: keeps what it has"


def test_the_first_level_that_does_not_fit_is_divided_by_weight() -> None:
    plan = plan_in(2 * 1620 + 120, a=guest(weight=300), b=guest())
    # of the cushions' 240 MiB there are 120
    assert plan.standings["a"].wish_mib == pytest.approx(1620 + 90)
    assert plan.standings["b"].wish_mib == pytest.approx(1620 + 30)


def test_what_one_does_not_need_goes_to_others() -> None:
    plan = plan_in(2 * 1620 + 200, a=guest(weight=1000), b=guest(weight=1))
    assert plan.standings["a"].wish_mib == pytest.approx(1740)
    assert plan.standings["b"].wish_mib == pytest.approx(1620 + 80)


def test_never_above_what_its_user_allows() -> None:
    assert wish(20000, guest(most_mib=2500)) == 2500
    assert wish(20000, guest(most_mib=2500, guarantee_mib=3000)) == 2500


def test_a_growing_guest_has_a_larger_cushion() -> None:
    scene = Scene()
    scene.look({"a": using(1500)})
    plan = plan_in(20000, scene, a=using(1600))
    assert plan.standings["a"].lacking_mib == 0
    # 50 MiB/s for 8 s are more than 240 MiB
    plan = plan_in(3900 + 1720 + 350, scene, a=using(1600), b=using(3760, guarantee_mib=3900))
    assert plan.standings["a"].wish_mib > 1600 + 300


class TestDistress:
    def low(self, swapped_in_mib: float, **changes: float) -> GuestNow:
        return using(1950, 2000, **{"swapped_in_mib": swapped_in_mib, **changes})

    def test_it_gets_more_than_it_has_with_each_report(self) -> None:
        scene, wishes = Scene(), []
        for number in range(4):
            plan = plan_in(9000, scene, a=self.low(10 * number), b=using(500))
            wishes.append(plan.standings["a"])
        # the whole of 4000 fits here: what it needs is seen in what it lacks
        assert [each.lacking_mib for each in wishes] == [190, 200, 400, 600]
        assert [each.distressed for each in wishes] == [False, True, True, True]

    def test_up_to_a_limit(self) -> None:
        scene = Scene()
        for number in range(20):
            plan = plan_in(9000, scene, a=self.low(10 * number))
        assert plan.standings["a"].lacking_mib == 0.4 * 4000

    def test_faults_count_like_swapping(self) -> None:
        scene = Scene()
        scene.look({"a": self.low(0)})
        assert plan_in(9000, scene, a=self.low(0, faulted_mib=5)).standings["a"].distressed

    def test_memory_to_spare_heals_an_old_lack(self) -> None:
        scene = Scene()
        scene.look({"a": using(1500, 2000)})
        standing = plan_in(9000, scene, a=using(1500, 2000, swapped_in_mib=50)).standings["a"]
        assert standing.distressed
        assert standing.lacking_mib == 0

    def test_a_slow_balloon_does_not_hold_the_wish_down(self) -> None:
        scene = Scene()
        scene.look({"a": self.low(0)})
        standing = plan_in(9000, scene, a=self.low(10, target_mib=2500)).standings["a"]
        assert standing.lacking_mib == 2500 + 200 - 2000

    def test_counters_that_begin_again_are_no_distress(self) -> None:
        scene = Scene()
        scene.look({"a": self.low(5000)})
        assert not plan_in(9000, scene, a=self.low(0)).standings["a"].distressed

    def test_it_keeps_what_it_has_for_a_minute(self) -> None:
        scene = Scene()
        scene.look({"a": self.low(0)})
        scene.look({"a": self.low(10)})
        for _ in range(29):
            plan = plan_in(4000 + 1900, scene, a=self.low(10), b=using(3700, guarantee_mib=4000))
            assert plan.standings["a"].wish_mib == pytest.approx(1900)
        assert "a" in plan.standings


class TestStale:
    def test_what_the_host_holds_is_needed(self) -> None:
        old = using(500, reported_s=1, resident_mib=2600, usable_mib=3500)
        plan = plan_in(9000, a=old)
        assert plan.standings["a"].stale
        assert wish(4000 + 2720, old) == pytest.approx(2720)
        assert wish(4000 + 2840, old) == pytest.approx(2840)

    def test_it_grows_by_what_the_host_sees(self) -> None:
        scene = Scene()
        scene.look({"a": using(500, 3000, reported_s=1, resident_mib=2600)})
        plan = plan_in(9000, scene, a=using(500, 3000, reported_s=1, resident_mib=2800))
        # 100 MiB/s for 8 s
        assert plan.standings["a"].lacking_mib == pytest.approx(600)

    def test_three_periods_and_a_second(self) -> None:
        scene = Scene()
        for age_s, stale in ((7, False), (8, True)):
            plan = plan_in(9000, scene, a=guest(reported_s=scene.now_s - age_s))
            assert plan.standings["a"].stale is stale


class TestProbing:
    """Of a guest that has no memory to spare but shows no lack."""

    def is_probed(self, scene: Scene, **changes: float) -> bool:
        """Whether another guest, which uses its swap, gets a part of its cushion, although both
        together have no more than they seem to need."""
        arc = using(3950, resident_mib=3990, **changes)
        needy = using(2870, 3000, swapped_in_mib=5 * scene.now_s)
        return plan_in(6940, scene, arc=arc, needy=needy).standings["needy"].wish_mib > 3000.1

    def test_while_others_lack_memory(self) -> None:
        scene = Scene()
        self.is_probed(scene)
        assert self.is_probed(scene)

    @pytest.mark.parametrize("sign", ["swapped_in_mib", "faulted_mib", "read_mib"])
    def test_not_for_a_minute_after_a_sign(self, sign: str) -> None:
        scene = Scene()
        # reads count after the balloon was inflated
        guests = {"arc": using(3950, resident_mib=3990), "needy": using(2870, 3000)}
        assert "arc" in plan_in(6000, scene, **guests).targets_mib
        assert self.is_probed(scene)
        assert not self.is_probed(scene, **{sign: 50})
        assert not any(self.is_probed(scene, **{sign: 50}) for _ in range(30))
        assert self.is_probed(scene, **{sign: 50})

    def test_reads_as_before_are_no_sign(self) -> None:
        scene = Scene()
        # of 50 MiB/s, before the first balloon is inflated and afterwards
        for number in range(20):
            scene.look({"arc": using(3950, resident_mib=3990, read_mib=100 * number),
                        "needy": using(2870, 3000, swapped_in_mib=5 * scene.now_s)}, host(20000))
        assert all(self.is_probed(scene, read_mib=2000 + 100 * number) for number in range(10))

    def test_not_when_its_statistics_are_old(self) -> None:
        assert not self.is_probed(Scene(), reported_s=1)


def test_no_guest_is_left_without_its_kernel() -> None:
    plan = plan_in(100, a=replace(guest(), usable_mib=4000), b=using(3900))
    assert plan.standings["a"].wish_mib == 160
