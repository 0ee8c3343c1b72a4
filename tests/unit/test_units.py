# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos import errors, units

FACTORS = {"": 1, "M": 1, "MB": 1, "MiB": 1, "G": 1024, "GB": 1024, "GiB": 1024,
           "T": 1024**2, "TB": 1024**2, "TiB": 1024**2}
NO_SIZES = ["", " ", "M", "1K", "1KiB", "1GG", "1 G B", "0x10", "1e3", "nan", "inf", "1,5G", ".5G",
            "1.G", "--1", "+1", "5\u06f0", "1" * 16, "1.1234567G", "512M\n1", "512MiBs"]


@pytest.mark.parametrize(("text", "mib"), [
    ("512", 512), ("512M", 512), ("1G", 1024), ("1.5GiB", 1536), ("1tb", 1024**2), ("0", 0),
    (" 2 G ", 2048), ("0.5G", 512), ("-1", -1), ("1099511627776", 2**40),
])
def test_size(text: str, mib: int) -> None:
    assert units.parse_size_mib(text) == mib


@pytest.mark.parametrize("text", NO_SIZES)
def test_no_size(text: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="like 512, 512M, 1G"):
        units.parse_size_mib(text)


@pytest.mark.parametrize("text", ["1.5", "0.1M", "1.1G", "999999999999999.000001T"])
def test_parts_of_a_mib_are_refused(text: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="not a whole number of MiB"):
        units.parse_size_mib(text)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**6 - 1), st.sampled_from(sorted(FACTORS)))
def test_size_is_exact_or_refused(whole: int, millionths: int, unit: str) -> None:
    exact = (whole + Fraction(millionths, 10**6)) * FACTORS[unit]
    text = f"{whole}.{millionths:06}{unit}"
    if exact.denominator == 1:
        assert units.parse_size_mib(text) == exact
    else:
        with pytest.raises(errors.InvalidSetting):
            units.parse_size_mib(text)


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        size = units.parse_size_mib(text)
    except errors.InvalidSetting:
        return
    assert isinstance(size, int)


@given(st.integers(2, 262144))
def test_shares_lie_in_the_span_of_their_weight(shares: int) -> None:
    weight = units.cpu_weight(shares)
    least, most = units.cpu_shares_span(weight)
    assert 1 <= weight <= 10000
    assert least <= shares <= most
    assert units.cpu_weight(least) == units.cpu_weight(most) == weight
    assert least == 2 or units.cpu_weight(least - 1) == weight - 1
    assert most == 262144 or units.cpu_weight(most + 1) == weight + 1


@given(st.integers(1, 10000))
def test_a_weight_stands_for_shares_that_give_it(weight: int) -> None:
    shares = units.cpu_shares(weight)
    assert units.cpu_weight(shares) == weight
    least, most = units.cpu_shares_span(weight)
    assert least <= shares <= most


@pytest.mark.parametrize(("shares", "weight"), [
    (2, 1), (15, 1), (16, 2), (1024, 100), (1495, 146), (2048, 200), (102400, 10000),
    (262144, 10000),
])
def test_weight_of_shares(shares: int, weight: int) -> None:
    assert units.cpu_weight(shares) == weight


def test_the_default_is_the_default_on_both_scales() -> None:
    assert units.cpu_shares(units.DEFAULT_CPU_WEIGHT) == units.DEFAULT_CPU_SHARES


@given(st.integers(1, 1000))
def test_systemd_makes_of_an_io_weight_what_was_meant(weight: int) -> None:
    io = units.systemd_io_weight(weight)
    assert 1 <= io <= 10000
    assert (io if io <= 100 else 100 + (io - 100) * 900 // 9900) == weight
