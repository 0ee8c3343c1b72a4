# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import errors, units

FACTORS = {"": 1, "M": 1, "MB": 1, "MiB": 1, "G": 1024, "GB": 1024, "GiB": 1024,
           "T": 1024**2, "TB": 1024**2, "TiB": 1024**2}
NO_SIZES = ["", " ", "M", "1K", "1KiB", "1GG", "1 G B", "0x10", "1e3", "nan", "inf", "1,5G", ".5G",
            "1.G", "--1", "+1", "5\u06f0", "1" * 16, "1.1234567G", "512M\n1", "512MiBs"]


@pytest.mark.parametrize(("text", "mib"), [
    ("512", 512), ("512M", 512), ("1G", 1024), ("1.5GiB", 1536), ("1tb", 1024**2), ("0", 0),
    (" 2 G ", 2048), ("0.5G", 512), ("-1", -1), ("1099511627776", 2**40),
])
def test_size(text: str, mib: int) -> None:
    assert units.MIB.parse(text) == mib


@pytest.mark.parametrize("text", NO_SIZES)
def test_no_size(text: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="like 512, 512M, 1G"):
        units.MIB.parse(text)


@pytest.mark.parametrize("text", ["1.5", "0.1M", "1.1G", "999999999999999.000001T"])
def test_parts_of_a_mib_are_refused(text: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="not a whole number of MiB"):
        units.MIB.parse(text)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**6 - 1), st.sampled_from(sorted(FACTORS)))
def test_size_is_exact_or_refused(whole: int, millionths: int, unit: str) -> None:
    exact = (whole + Fraction(millionths, 10**6)) * FACTORS[unit]
    text = f"{whole}.{millionths:06}{unit}"
    if exact.denominator == 1:
        assert units.MIB.parse(text) == exact
    else:
        with pytest.raises(errors.InvalidSetting):
            units.MIB.parse(text)


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    try:
        size = units.MIB.parse(text)
    except errors.InvalidSetting:
        return
    assert isinstance(size, int)


def test_a_value_of_the_host_is_shown_in_the_unit_of_the_api() -> None:
    assert units.MIB.to_host(3) == 3072
    assert units.MIB.from_host(3072) == 3
    assert units.MIB.from_host(3073) == 3.001
    assert units.MIB.from_host(None) is None
    assert units.MIB.to_host(units.UNLIMITED) == units.MIB.from_host(units.UNLIMITED) == -1


def test_a_value_is_held_as_far_as_scales_can_tell() -> None:
    exact = units.Unit("weight", "weight")
    assert exact.holds(100, 100)
    assert not exact.holds(101, 100)
    assert not exact.holds(None, 100)
    coarse = units.Unit("trial", "trial", alike=lambda applied: (applied - 2, applied + 2))
    assert [value for value in range(10) if coarse.holds(5, value)] == [3, 4, 5, 6, 7]
    assert not coarse.holds(None, 5)
    assert units.MIB.holds(0.5, 0) is False


def test_a_unit_reads_what_people_write() -> None:
    assert units.MIB.parse("1.5G") == 1536
    assert units.Unit("shares", "shares").parse("-5") == -5
    with pytest.raises(errors.InvalidSetting, match="'1G' is not a whole number"):
        units.Unit("shares", "shares").parse("1G")
