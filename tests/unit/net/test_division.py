# SPDX-License-Identifier: Apache-2.0
"""Weights, rates and quanta, without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.net import division, layout
from nova_qos.net.division import Wish
from nova_qos.net.layout import NO_TOTAL, STRAYS, WHOLE, Tree

MBIT = 125_000
CAPACITY = 80 * MBIT
MTU = 1500

weights = st.dictionaries(
    st.sampled_from(layout.WITH_PRIORITY), st.integers(1, 99), min_size=1, max_size=60)


def tree_of(weights: dict[int, int], capacity: int, mtu: int) -> Tree:
    """A tree by weight alone."""
    return division.tree({minor: Wish(weight) for minor, weight in weights.items()}, capacity, mtu)


def servers(tree: Tree) -> Tree:
    return {minor: share for minor, share in tree.items() if minor != WHOLE}


@given(given=weights, rate_mbit=st.integers(1, 100_000), mtu=st.integers(576, 9216))
def test_no_more_is_guaranteed_than_there_is(
    given: dict[int, int], rate_mbit: int, mtu: int
) -> None:
    tree = tree_of({**given, STRAYS: 50}, rate_mbit * MBIT, mtu)
    assert sum(share.rate for share in servers(tree).values()) <= rate_mbit * MBIT
    assert {share.ceil for share in tree.values()} == {rate_mbit * MBIT}


@given(given=weights, rate_mbit=st.integers(1, 100_000))
def test_what_is_lent_follows_the_weights_exactly(given: dict[int, int], rate_mbit: int) -> None:
    tree = tree_of(given, rate_mbit * MBIT, MTU)
    unit = tree[WHOLE].quantum
    assert {minor: share.quantum for minor, share in servers(tree).items()} == {
        minor: weight * unit for minor, weight in given.items()}
    assert {minor: division.weight_of_share(share, tree[WHOLE])
            for minor, share in servers(tree).items()} == given


def test_the_shares_of_the_thesis() -> None:
    tree = tree_of({16: 39, 17: 26, 18: 15}, CAPACITY, MTU)
    assert [tree[minor].rate / MBIT for minor in (16, 17, 18)] == [39, 26, 15]


def test_no_quantum_is_less_than_a_packet() -> None:
    slow, fast = (tree_of({16: 1}, mbit * MBIT, MTU)[16] for mbit in (250, 251))
    assert slow.cuts
    assert slow.quantum >= MTU + 14
    assert not fast.cuts
    assert fast.quantum > 65536


def test_with_hundreds_of_servers_one_change_changes_one_class() -> None:
    many = dict.fromkeys(range(16, 16 + 500), 50)
    before = tree_of(many, CAPACITY, MTU)
    after = tree_of({**many, 0x20: 90}, CAPACITY, MTU)
    assert [minor for minor in before if before[minor] != after[minor]] == [0x20]


@given(total=st.integers(1, 10_000_000))
def test_little_of_the_capacity_is_kept_back(total: int) -> None:
    assert total <= division._rounded(total) <= total * 9 / 8


def test_priorities_and_weights_are_each_others_mirror() -> None:
    assert division.weight_of_priority(0) == 99
    assert division.weight_of_priority(98) == 1
    for priority in division.PRIORITIES:
        weight = division.weight_of_priority(priority)
        assert division.priority_of_weight(weight) == priority


def test_another_mtu_needs_another_tree() -> None:
    before = tree_of({16: 5}, CAPACITY, 1500)
    assert division.must_be_made_anew(before, tree_of({16: 5}, CAPACITY, 9000))
    assert not division.must_be_made_anew(before, tree_of({16: 9, 17: 1}, CAPACITY, 1500))
    assert division.must_be_made_anew({}, before)
    assert not division.must_be_made_anew(before, None)


wishes = st.dictionaries(
    st.sampled_from(layout.WITH_PRIORITY),
    st.builds(lambda weight, guarantee, more: Wish(weight, guarantee * MBIT, (
        guarantee + more) * MBIT if more else 0),
        st.integers(1, 99), st.integers(0, 200), st.integers(0, 300)),
    min_size=1, max_size=40)


@given(given=wishes, rate_mbit=st.integers(1, 1000))
def test_guarantees_are_kept_as_far_as_the_capacity_goes(
    given: dict[int, Wish], rate_mbit: int
) -> None:
    capacity, all_wishes = rate_mbit * MBIT, {**given, STRAYS: Wish(50)}
    tree = division.tree(all_wishes, capacity, MTU)
    assert sum(share.rate for share in servers(tree).values()) <= capacity
    asked = sum(wish.guarantee for wish in given.values())
    room = capacity - layout.LEAST_RATE * len(all_wishes)
    for minor, wish in given.items():
        assert tree[minor].rate <= tree[minor].ceil
        assert division.limit_of_share(tree[minor], tree[WHOLE]) == wish.limit
        if asked <= room:
            assert tree[minor].rate >= min(wish.guarantee, tree[minor].ceil)
        else:
            assert tree[minor].rate >= wish.guarantee * room // asked


@given(given=wishes, rate_mbit=st.integers(1, 1000))
def test_settings_can_be_told_from_a_tree(given: dict[int, Wish], rate_mbit: int) -> None:
    """And where a guarantee cannot, the same tree is made without it."""
    capacity, strays = rate_mbit * MBIT, {STRAYS: Wish(50)}
    if sum(wish.guarantee for wish in given.values()) > capacity * 0.9:
        return
    tree = division.tree({**given, **strays}, capacity, MTU)
    found = {minor: Wish(division.weight_of_share(tree[minor], tree[WHOLE]),
                         division.guarantee_of_share(tree[minor], tree[WHOLE]),
                         division.limit_of_share(tree[minor], tree[WHOLE])) for minor in given}
    for minor, wish in given.items():
        assert (found[minor].weight, found[minor].limit) == (wish.weight, wish.limit)
        assert found[minor].guarantee in (0, wish.guarantee)
    again = division.tree({**found, **strays}, capacity, MTU)
    assert {minor: share.rate for minor, share in again.items()} == pytest.approx(
        {minor: share.rate for minor, share in tree.items()}, rel=0.02, abs=MBIT)


def test_a_guarantee_leaves_the_others_what_their_weights_say() -> None:
    tree = division.tree({16: Wish(25, 40 * MBIT), 17: Wish(50), 18: Wish(25)}, CAPACITY, MTU)
    rates = [tree[minor].rate / MBIT for minor in (16, 17, 18)]
    assert rates == pytest.approx([40, 26.67, 13.33], rel=0.01)


def test_the_least_rate_of_others_is_kept_back_from_a_guarantee_of_all() -> None:
    tree = division.tree({16: Wish(1), 17: Wish(1, MBIT), STRAYS: Wish(50)}, MBIT, MTU)
    assert sum(share.rate for share in servers(tree).values()) <= MBIT
    assert min(share.rate for share in tree.values()) >= layout.LEAST_RATE


def test_a_guarantee_below_the_fair_part_changes_nothing() -> None:
    weighed = tree_of({16: 50, 17: 50}, CAPACITY, MTU)
    assert division.tree({16: Wish(50, 30 * MBIT), 17: Wish(50)}, CAPACITY, MTU) == weighed


def test_limits_alone_have_no_total() -> None:
    tree = division.tree_of_limits({16: Wish(50, limit=5 * MBIT)}, CAPACITY, MTU)
    assert (tree[WHOLE].rate, tree[WHOLE].ceil) == (NO_TOTAL, NO_TOTAL)
    assert (tree[16].rate, tree[16].ceil, tree[16].cuts) == (5 * MBIT, 5 * MBIT, True)
    assert not division.tree_of_limits({16: Wish(50, limit=500 * MBIT)}, CAPACITY, MTU)[16].cuts
    total = division.tree({16: Wish(9, limit=5 * MBIT), 17: Wish(50)}, CAPACITY, MTU)
    assert not division.must_be_made_anew(tree, total)
    assert all(division.is_sound(each[16], each[WHOLE], MTU, CAPACITY) for each in (tree, total))


def test_a_limit_of_the_whole_capacity_is_one() -> None:
    tree = division.tree({16: Wish(50, limit=CAPACITY), 17: Wish(50)}, CAPACITY, MTU)
    assert [division.limit_of_share(tree[each], tree[WHOLE]) for each in (16, 17)] == [CAPACITY, 0]


@given(given=wishes, wish=st.builds(Wish, st.integers(1, 99)), rate_mbit=st.integers(1, 1000),
       number=st.integers(0))
def test_one_class_that_changes_alone_is_as_in_the_whole_tree(
    given: dict[int, Wish], wish: Wish, rate_mbit: int, number: int
) -> None:
    capacity, before = rate_mbit * MBIT, {**given, STRAYS: Wish(50)}
    minor = sorted(given)[number % len(given)]
    there = division.tree(before, capacity, MTU)
    after = division.tree({**before, minor: wish}, capacity, MTU)
    alone = division.changed_alone(before, minor, wish, there, capacity, MTU)
    if alone is not None:
        assert {**there, minor: alone} == after


def test_among_hundreds_a_class_changes_alone() -> None:
    before = dict.fromkeys(range(16, 16 + 500), Wish(50))
    there = division.tree(before, CAPACITY, MTU)
    assert division.changed_alone(before, 16, Wish(60), there, CAPACITY, MTU) is not None
    # of another MTU, all change
    assert division.changed_alone(before, 16, Wish(60), there, CAPACITY, 9000) is None
    assert division.changed_alone(before, 999, Wish(60), there, CAPACITY, MTU) is None
    few = {16: Wish(50), 17: Wish(50)}
    there = division.tree(few, CAPACITY, MTU)
    assert division.changed_alone(few, 16, Wish(60), there, CAPACITY, MTU) is None
    limits = {16: Wish(50, limit=MBIT), 17: Wish(50, limit=MBIT)}
    there = division.tree_of_limits(limits, CAPACITY, MTU)
    wish = Wish(50, limit=2 * MBIT)
    after = division.tree_of_limits({**limits, 16: wish}, CAPACITY, MTU)
    assert division.changed_alone(limits, 16, wish, there, CAPACITY, MTU) == after[16]


def test_half_a_change_shows_no_guarantee_that_nobody_set() -> None:
    """However far the classes have been changed, one by one."""
    before = division.tree({16: Wish(50), 17: Wish(50), STRAYS: Wish(50)}, CAPACITY, MTU)
    after = division.tree(
        {16: Wish(50, 60 * MBIT), 17: Wish(50), STRAYS: Wish(50)}, CAPACITY, MTU)
    for changed in range(2 ** 3):
        mixed = {WHOLE: after[WHOLE], **{
            minor: (after if changed >> bit & 1 else before)[minor]
            for bit, minor in enumerate((16, 17, STRAYS))}}
        found = [division.guarantee_of_share(mixed[minor], mixed[WHOLE]) for minor in (16, 17)]
        assert found in ([0, 0], [60 * MBIT, 0])


@pytest.mark.parametrize("rate_mbit", [80, 1000])
@pytest.mark.parametrize("mtu", [1500, 9000])
def test_packets_of_a_small_limit_do_not_wait_for_seconds(rate_mbit: int, mtu: int) -> None:
    tree = division.tree({16: Wish(50, limit=5 * MBIT)}, rate_mbit * MBIT, mtu)
    assert tree[16].queue / (5 * MBIT) < 0.25
    assert tree[16].queue > 65536
