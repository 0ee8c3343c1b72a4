# SPDX-License-Identifier: Apache-2.0
"""Weighted max-min fairness. Pure."""

from collections.abc import Sequence


def water_filling(
    whole: float, weights: Sequence[float], limits: Sequence[float]
) -> list[float]:
    """Divide a whole among claimants in proportion to their weights, none above its limit.

    What a claimant at its limit leaves is divided among the others in the same way. The sum is less
    than the whole where all are at their limits.

    :param weights: each above 0
    """
    parts = [0.0] * len(weights)
    left, weight_left = whole, sum(weights)
    # in the order in which they reach their limit: after one that does not reach it, none does
    for place in sorted(range(len(weights)), key=lambda place: limits[place] / weights[place]):
        parts[place] = min(limits[place], left * weights[place] / weight_left)
        left, weight_left = left - parts[place], weight_left - weights[place]
    return parts
