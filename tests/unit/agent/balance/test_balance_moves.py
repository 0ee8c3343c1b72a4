# SPDX-License-Identifier: Apache-2.0
"""Which balloons are set now, and how far."""

import pytest

from tests.unit.agent.balance.scene import MEMORY_MIB, Scene, guest, host, plan_in, using

LEAST_FREE_MIB = 0.01 * MEMORY_MIB


#: It has much that others can have.
DONOR = using(1000, resident_mib=3600)


def test_a_balloon_is_inflated_by_four_percent_a_look() -> None:
    guests = {name: using(1000) for name in "abc"}
    scene = Scene()
    assert scene.look(guests).targets_mib == dict.fromkeys("abc", 3840)


def test_all_together_come_down_to_the_room() -> None:
    scene = Scene()
    guests = scene.obey({name: using(1000) for name in "abcd"}, 60)
    room_mib = scene.look(guests).room_mib
    whole_mib = sum(each.actual_mib for each in guests.values())
    # but for differences that are not worth a move
    assert room_mib <= whole_mib <= room_mib + 4 * 80


def test_small_differences_are_left_alone() -> None:
    scene = Scene()
    guests = scene.obey({name: using(1000) for name in "abcd"}, 60)
    assert scene.look(guests).targets_mib == {}


def test_but_not_where_next_to_nothing_is_available() -> None:
    """Those of many guests together are more than the reserve."""
    many = {f"{number:02}": using(180, 400, flavor_mib=1000, most_mib=1000, resident_mib=354)
            for number in range(20)}
    # each has about 60 MiB more than it is to get
    assert Scene().look(many, host(LEAST_FREE_MIB + 10)).targets_mib == {}
    plan = Scene().look(many, host(LEAST_FREE_MIB - 100))
    taken_mib = sum(400 - target_mib for target_mib in plan.targets_mib.values())
    assert 100 <= taken_mib < 200


def test_the_band_is_of_the_difference_not_of_the_step() -> None:
    """With steps as small as the band, balloons still move."""
    scene = Scene(shrink_percent=2.0)
    assert scene.look({name: using(1000) for name in "abc"}).targets_mib


def test_who_has_most_to_spare_gives_first() -> None:
    guests = {"little": using(1400, 2000, resident_mib=2000), "much": DONOR,
              "needy": using(1990, 2000)}
    plan = Scene().look(guests, host(LEAST_FREE_MIB + 100))
    assert set(plan.targets_mib) == {"much", "needy"}
    assert plan.standings["much"].why.startswith("host tense: gives ")


def test_deflated_at_once_but_only_into_what_is_free() -> None:
    guests = {"donor": DONOR, "needy": using(1990, 2000)}
    plan = Scene().look(guests, host(LEAST_FREE_MIB + 100))
    assert plan.targets_mib["needy"] == pytest.approx(2100)
    plan = Scene().look(guests, host(LEAST_FREE_MIB + 900))
    # what it needs and its cushion are 240 MiB more than what it uses
    assert plan.targets_mib["needy"] == pytest.approx(2230)
    plan = Scene().look(guests, host(LEAST_FREE_MIB))
    assert "needy" not in plan.targets_mib


def test_guarantees_are_repaired_first() -> None:
    guests = {"below": using(1990, 2000, guarantee_mib=3000, weight=1),
              "needy": using(1990, 2000, weight=1000), "donor": DONOR}
    plan = Scene().look(guests, host(LEAST_FREE_MIB + 200))
    assert plan.targets_mib["below"] == pytest.approx(2200)
    assert "needy" not in plan.targets_mib


def test_then_bare_needs_then_cushions() -> None:
    # one lacks a part of its bare need, the heavier one of its cushion
    guests = {"bare": using(1990, 2000, weight=1), "cushion": using(1850, 2000, weight=1000),
              "donor": DONOR}
    plan = Scene().look(guests, host(LEAST_FREE_MIB + 150))
    assert plan.targets_mib["bare"] == pytest.approx(2110)
    assert plan.targets_mib["cushion"] == pytest.approx(2040)


class TestUnasked:
    """Of memory that is there, guests get a part that they do not need now."""

    def test_two_percent_a_look(self) -> None:
        plan = Scene().look({"a": using(1000, 2000)}, host(20000))
        assert plan.targets_mib == {"a": 2080}
        assert plan.standings["a"].why == "host tense: gets 2000 MiB more"

    def test_until_it_has_all(self) -> None:
        guests = Scene().obey({"a": using(1000, 2000)}, 25, host(20000))
        assert guests["a"].actual_mib == 4000

    def test_not_within_a_minute_of_a_shrink(self) -> None:
        scene = Scene()
        scene.look({"a": using(1000), "b": using(1000)}, host(1000))
        for _ in range(29):
            assert scene.look({"a": using(1000, 3840), "b": guest()}, host(20000)).targets_mib == {}
        assert scene.look({"a": using(1000, 3840), "b": guest()}, host(20000)).targets_mib


class TestTakenBack:
    """A guest deflated its balloon by itself."""

    def looks(self, used_mib: float) -> list[bool]:
        """Of each look, whether the guest is to keep what it has."""
        scene, held = Scene(), []
        for look, actual_mib in enumerate((2000, 2400, *[2400] * 40)):
            one = using(used_mib, actual_mib, target_mib=2000, resident_mib=actual_mib)
            # lacks a part of its cushion
            other = using(3950, flavor_mib=8000, most_mib=8000)
            plan = plan_in(6610, scene, a=one, other=other)
            assert plan.standings["a"].holds is (1 <= look <= 31)
            held.append(plan.standings["a"].wish_mib >= actual_mib)
        return held

    def test_it_keeps_that_for_a_minute(self) -> None:
        held = self.looks(used_mib=2100)
        assert all(held[1:31])
        assert not all(held[32:])

    def test_not_with_much_to_spare(self) -> None:
        held = self.looks(used_mib=1500)
        assert not any(held[1:31])

    def test_twice_as_long_each_time(self) -> None:
        scene, lengths = Scene(), []
        for actual_mib in (2000, 2100, 2200, 2300, 2400, 2500, 2600, 2700, 2800):
            held = 0
            while scene.look({"a": guest(actual_mib=actual_mib, target_mib=2000)}
                             ).standings["a"].holds:
                held += 2
            lengths.append(held)
        assert lengths == [0, 62, 122, 242, 482, 962, 1922, 1922, 1922]

    def test_what_it_was_told_to_take_is_not_taken_back(self) -> None:
        scene = Scene()
        scene.look({"a": using(1500, 2000)})
        assert not scene.look({"a": using(1500, 2400)}).standings["a"].holds


class TestStuck:
    def test_others_pay_after_three_looks(self) -> None:
        stuck, other = using(1000, target_mib=3000, resident_mib=3000), DONOR
        scene, plans = Scene(), []
        for _ in range(5):
            plans.append(scene.look({"stuck": stuck, "other": other}, host(1000)))
        assert [plan.standings["stuck"].stuck for plan in plans] == [False, False, True, True, True]
        assert "stuck" in plans[0].targets_mib
        assert set(plans[-1].targets_mib) == {"other"}
        assert plans[-1].standings["stuck"].wish_mib == 4000

    def test_one_that_moves_slowly_is_not_stuck(self) -> None:
        scene = Scene()
        for number in range(10):
            slow = using(1000, 4000 - 5 * number, target_mib=3000)
            assert not scene.look({"slow": slow}, host(1000)).standings["slow"].stuck


def test_a_user_who_allows_less_gets_that_at_once() -> None:
    guests = {"a": using(1000, most_mib=2000), "b": using(1000)}
    assert Scene().look(guests, host(400)).targets_mib["a"] == 2000


class TestAUserAllowsLessThanTheGuestNeeds:
    #: Room for all that both may have, but more in use than there is to be.
    AT = host(100, 2)

    def test_the_bound_waits(self) -> None:
        guests = {"a": using(1500, most_mib=1000, resident_mib=4000), "b": DONOR}
        plan = Scene().look(guests, self.AT)
        # what it uses, and 3 % of its flavor's memory
        assert plan.targets_mib["a"] == plan.standings["a"].wish_mib == pytest.approx(1620)

    def test_it_gets_no_more_than_it_has(self) -> None:
        guests = {"a": using(1300, 1300, most_mib=1000), "b": DONOR}
        plan = Scene().look(guests, self.AT)
        assert plan.standings["a"].wish_mib == 1300
        assert "a" not in plan.targets_mib

    def test_it_comes_down_with_what_the_guest_uses(self) -> None:
        guests = {"a": using(700, 1620, most_mib=1000, resident_mib=1620), "b": DONOR}
        assert Scene().look(guests, self.AT).targets_mib["a"] == 1000
