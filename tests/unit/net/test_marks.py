# SPDX-License-Identifier: Apache-2.0
"""Numbers of classes in the bits of a mask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from nova_qos import conf
from nova_qos.net.layout import WITH_PRIORITY, WITHOUT_PRIORITY
from nova_qos.net.marks import Marks
from nova_qos.net.outbound import DEFAULT_MARK_MASK

masks = st.sets(st.integers(0, 31), min_size=8, max_size=16).map(
    lambda bits: sum(1 << bit for bit in bits))


@given(mask=masks, index=st.integers(0))
def test_each_class_has_a_mark_of_its_own_within_the_mask(mask: int, index: int) -> None:
    marks = Marks(mask)
    for numbers in (marks.with_priority, marks.without_priority):
        minor = numbers[index % len(numbers)]
        mark = marks.of(minor)
        assert mark
        assert mark & ~mask == 0
        assert marks.minor(mark) == minor


@given(mask=masks, mark=st.integers(0, 0xFFFFFFFF))
def test_a_mark_stands_for_the_class_that_has_it_or_for_none(mask: int, mark: int) -> None:
    marks = Marks(mask)
    for each in (mark, mark & mask):
        minor = marks.minor(each)
        assert minor is None or marks.of(minor) == each


@given(mask=masks, index=st.integers(0), bit=st.integers(0, 31))
def test_one_comparison_tells_servers_of_this_host_from_others(
    mask: int, index: int, bit: int,
) -> None:
    marks = Marks(mask)
    assert marks.local & ~mask == 0
    assert marks.minor(marks.local) is None
    for numbers in (marks.with_priority, marks.without_priority):
        assert marks.local < marks.of(numbers[index % len(numbers)])
    # such as neutron's routers set, within the bits that no class has alone
    if (mask & ((1 << bit) - 1)).bit_count() < 4:
        assert (1 << bit) & mask < marks.local


def test_numbers_by_the_size_of_the_mask() -> None:
    assert [Marks(DEFAULT_MARK_MASK).of(minor) for minor in (0x10, 0x8000, 0x11)] == [16, 17, 18]
    assert Marks(0xFF00).of(0x10) == 0x1000
    for mask, each in ((0xFF, 120), (DEFAULT_MARK_MASK, 4088), (0xFFFF, 32752)):
        marks = Marks(mask)
        assert [len(marks.with_priority), len(marks.without_priority)] == pytest.approx(
            [each, each], abs=8)
    assert Marks(0xFFFF).with_priority == WITH_PRIORITY
    assert set(Marks(0xFF).without_priority) < set(WITHOUT_PRIORITY)


def test_the_default_leaves_the_bits_of_others() -> None:
    assert DEFAULT_MARK_MASK & (0xFFFF0000 | 0x8000 | 0x4000 | 0x2000) == 0


@pytest.mark.parametrize("mask", [0, 0x7F, 0x1FFFF, 0xFFFFFFFF, 0xFF << 32])
def test_a_mask_with_too_few_or_too_many_bits(mask: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        Marks(mask)


def test_the_option() -> None:
    options = cfg.ConfigOpts()
    conf.register(options)
    assert int(options.nova_qos.mark_mask, 16) == DEFAULT_MARK_MASK
    options.set_override("mark_mask", "0xff000000", "nova_qos")
    assert options.nova_qos.mark_mask == "0xff000000"
    for wrong in ("0x7f", "0xffffffff", "8191", "0x1ffffffff"):
        with pytest.raises(ValueError, match=r"bits|regex"):
            options.set_override("mark_mask", wrong, "nova_qos")
