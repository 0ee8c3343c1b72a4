# SPDX-License-Identifier: Apache-2.0
"""What part of a host each of its servers gets while all of them are busy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A server's claim: its weight, None where it takes no part, and its number of vCPUs."""

    weight: float | None
    vcpus: int


def in_proportion(claims: Sequence[Claim], host_vcpus: int) -> list[float | None]:
    """Percent of the host for each claim, by weight alone; None where there is no weight."""
    whole = sum(claim.weight or 0 for claim in claims)
    return [100 * claim.weight / whole if claim.weight else None for claim in claims]


def among_processors(claims: Sequence[Claim], host_vcpus: int) -> list[float | None]:
    """Percent of the host's CPU time for each claim; None where there is no weight.

    Weighted max-min fairness, found by filling with water: all are given time in proportion to
    their weights; no server can use more than its own vCPUs, and what it leaves is divided
    among the others in the same way. Less than 100 in sum where all vCPUs together are fewer
    than the host's.
    """
    percent: list[float | None] = [None] * len(claims)
    weights = {place: claim.weight for place, claim in enumerate(claims) if claim.weight}
    left, weight_left = float(host_vcpus), sum(weights.values())
    # those first that reach their limit first: after one that does not, none does
    for place in sorted(weights, key=lambda place: claims[place].vcpus / weights[place]):
        given = min(claims[place].vcpus, left * weights[place] / weight_left)
        percent[place] = 100 * given / host_vcpus
        left, weight_left = left - given, weight_left - weights[place]
    return percent


#: How each resource is divided that is divided at all.
RULES: Mapping[str, Callable[[Sequence[Claim], int], list[float | None]]] = {
    "cpu_priority": among_processors,
    "io_priority": in_proportion,
    "net_priority": in_proportion,
}
