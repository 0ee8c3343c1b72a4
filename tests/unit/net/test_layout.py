# SPDX-License-Identifier: Apache-2.0
"""Weights, rates and quanta, without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import errors
from nova_qos.net import layout
from nova_qos.net.layout import STRAYS, WHOLE, Tree

MBIT = 125_000
CAPACITY = 80 * MBIT
MTU = 1500

weights = st.dictionaries(
    st.sampled_from(layout.WITH_PRIORITY), st.integers(1, 99), min_size=1, max_size=60)


def servers(tree: Tree) -> Tree:
    return {minor: share for minor, share in tree.items() if minor != WHOLE}


@given(given=weights, rate_mbit=st.integers(1, 100_000), mtu=st.integers(576, 9216))
def test_no_more_is_guaranteed_than_there_is(
    given: dict[int, int], rate_mbit: int, mtu: int
) -> None:
    tree = layout.tree({**given, STRAYS: 50}, rate_mbit * MBIT, mtu)
    assert sum(share.rate for share in servers(tree).values()) <= rate_mbit * MBIT
    assert {share.ceil for share in tree.values()} == {rate_mbit * MBIT}


@given(given=weights, rate_mbit=st.integers(1, 100_000))
def test_what_is_lent_follows_the_weights_exactly(given: dict[int, int], rate_mbit: int) -> None:
    tree = layout.tree(given, rate_mbit * MBIT, MTU)
    unit = tree[WHOLE].quantum
    assert {minor: share.quantum for minor, share in servers(tree).items()} == {
        minor: weight * unit for minor, weight in given.items()}
    assert {minor: layout.weight_of_share(share, tree[WHOLE])
            for minor, share in servers(tree).items()} == given


def test_the_shares_of_the_thesis() -> None:
    tree = layout.tree({16: 39, 17: 26, 18: 15}, CAPACITY, MTU)
    assert [tree[minor].rate / MBIT for minor in (16, 17, 18)] == [39, 26, 15]


def test_no_quantum_is_less_than_a_packet() -> None:
    slow, fast = (layout.tree({16: 1}, mbit * MBIT, MTU)[16] for mbit in (250, 251))
    assert slow.cuts
    assert slow.quantum >= MTU + 14
    assert not fast.cuts
    assert fast.quantum > 65536


def test_with_hundreds_of_servers_one_change_changes_one_class() -> None:
    many = dict.fromkeys(range(16, 16 + 500), 50)
    before = layout.tree(many, CAPACITY, MTU)
    after = layout.tree({**many, 0x20: 90}, CAPACITY, MTU)
    assert [minor for minor in before if before[minor] != after[minor]] == [0x20]


@given(total=st.integers(1, 10_000_000))
def test_little_of_the_capacity_is_kept_back(total: int) -> None:
    assert total <= layout._budget(total) <= total * 9 / 8


def test_priorities_and_weights_are_each_others_mirror() -> None:
    assert layout.weight_of_priority(0) == 99
    assert layout.weight_of_priority(98) == 1
    for priority in layout.PRIORITIES:
        weight = layout.weight_of_priority(priority)
        assert layout.priority_of_weight(weight) == priority


def test_another_mtu_needs_another_tree() -> None:
    before = layout.tree({16: 5}, CAPACITY, 1500)
    assert layout.must_be_made_anew(before, layout.tree({16: 5}, CAPACITY, 9000))
    assert not layout.must_be_made_anew(before, layout.tree({16: 9, 17: 1}, CAPACITY, 1500))
    assert layout.must_be_made_anew({}, before)
    assert not layout.must_be_made_anew(before, None)


def test_numbers_of_classes_run_out_with_a_word() -> None:
    assert layout.free_minor(range(3, 6), {3, 4}) == 5
    with pytest.raises(errors.HostRefused, match="more than 3 servers"):
        layout.free_minor(range(3, 6), {3, 4, 5})
