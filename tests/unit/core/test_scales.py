# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import scales


@given(st.integers(2, 262144))
def test_shares_lie_in_the_span_of_their_weight(shares: int) -> None:
    weight = scales.cpu_weight(shares)
    least, most = scales.cpu_shares_span(weight)
    assert 1 <= weight <= 10000
    assert least <= shares <= most
    assert scales.cpu_weight(least) == scales.cpu_weight(most) == weight
    assert least == 2 or scales.cpu_weight(least - 1) == weight - 1
    assert most == 262144 or scales.cpu_weight(most + 1) == weight + 1


@given(st.integers(1, 10000))
def test_a_weight_stands_for_shares_that_give_it(weight: int) -> None:
    shares = scales.cpu_shares(weight)
    assert scales.cpu_weight(shares) == weight
    least, most = scales.cpu_shares_span(weight)
    assert least <= shares <= most


@given(st.integers(2, 262144))
def test_shares_are_alike_that_one_weight_stands_for(shares: int) -> None:
    least, most = scales.cpu_shares_alike(scales.cpu_shares(scales.cpu_weight(shares)))
    assert least <= shares <= most
    assert (least, most) == scales.cpu_shares_span(scales.cpu_weight(shares))


@pytest.mark.parametrize(("held", "alike"), [
    (133, (128, 138)), (1024, (1019, 1029)), (128, (128, 128)), (1025, (1025, 1025)),
    (102400, (102395, 262144))])
def test_shares_that_a_host_may_hold(held: int, alike: tuple[int, int]) -> None:
    assert scales.cpu_shares_alike(held) == alike


@pytest.mark.parametrize(("shares", "weight"), [
    (2, 1), (15, 1), (16, 2), (1024, 100), (1495, 146), (2048, 200), (102400, 10000),
    (262144, 10000),
])
def test_weight_of_shares(shares: int, weight: int) -> None:
    assert scales.cpu_weight(shares) == weight


def test_the_default_is_the_default_on_both_scales() -> None:
    assert scales.cpu_shares(scales.DEFAULT_CPU_WEIGHT) == scales.DEFAULT_CPU_SHARES


@given(st.integers(1, 1000))
def test_systemd_makes_of_an_io_weight_what_was_meant(weight: int) -> None:
    io = scales.systemd_io_weight(weight)
    assert 1 <= io <= 10000
    assert (io if io <= 100 else 100 + (io - 100) * 900 // 9900) == weight
