# SPDX-License-Identifier: Apache-2.0
"""The part of a host that each of its servers gets while all of them are busy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nova_qos.core.filling import water_filling


@dataclass(frozen=True)
class Claim:
    """A server's claim: its weight, None where it takes no part, and its number of vCPUs."""

    weight: float | None
    vcpus: int


#: The percentage of the host for each claim, None where it has no weight; given the claims and the
#: number of the host's processors.
Rule = Callable[[Sequence[Claim], int], list[float | None]]


def in_proportion(claims: Sequence[Claim], host_vcpus: int) -> list[float | None]:
    """Percent of the host for each claim, by weight alone; None where there is no weight."""
    whole = sum(claim.weight or 0 for claim in claims)
    return [100 * claim.weight / whole if claim.weight else None for claim in claims]


def among_processors(claims: Sequence[Claim], host_vcpus: int) -> list[float | None]:
    """Percent of the host's CPU time for each claim; None where there is no weight.

    Weighted max-min fairness, computed by water-filling: each server gets time in proportion to its
    weight, but no more than its own vCPUs can use, and the others divide what it leaves in the same
    way. The sum is less than 100 where all vCPUs together are fewer than the host's processors.
    """
    weighted = [place for place, claim in enumerate(claims) if claim.weight]
    given = water_filling(
        host_vcpus, [claims[place].weight or 0 for place in weighted],
        [claims[place].vcpus for place in weighted])
    percent: list[float | None] = [None] * len(claims)
    for place, vcpus in zip(weighted, given, strict=True):
        percent[place] = 100 * vcpus / host_vcpus
    return percent
