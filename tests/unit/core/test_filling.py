# SPDX-License-Identifier: Apache-2.0
"""Weighted max-min fairness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core.filling import water_filling

CLAIMS = st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 1e5)), max_size=20)


@pytest.mark.parametrize(("whole", "weights", "limits", "parts"), [
    (90, [1, 2], [1000, 1000], [30, 60]),
    # the heavy one is full, and leaves the rest
    (90, [1, 2], [1000, 20], [70, 20]),
    (90, [1, 1, 1], [10, 20, 1000], [10, 20, 60]),
    (900, [1, 2], [10, 20], [10, 20]),
    (0, [1, 2], [10, 20], [0, 0]),
    (50, [], [], [])])
def test_parts(
    whole: float, weights: list[float], limits: list[float], parts: list[float]
) -> None:
    assert water_filling(whole, weights, limits) == pytest.approx(parts)


@given(st.floats(0, 1e6), CLAIMS)
def test_nobody_exceeds_its_limit_and_nothing_is_wasted(
    whole: float, claims: list[tuple[float, float]]
) -> None:
    weights, limits = [each[0] for each in claims], [each[1] for each in claims]
    parts = water_filling(whole, weights, limits)
    assert all(0 <= part <= limit for part, limit in zip(parts, limits, strict=True))
    assert sum(parts) == pytest.approx(min(whole, sum(limits)), abs=1e-3)
