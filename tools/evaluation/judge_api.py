# SPDX-License-Identifier: Apache-2.0
"""Judges the load on the API, and the ways to make a change."""

import statistics
from collections.abc import Sequence

from tools.evaluation import split
from tools.evaluation.timings import Answered, Change, Way
from tools.evaluation.verdict import Grid, Verdict

#: Ours, and nova's own that it stands beside.
PAIRS = (("get-qos", "show"), ("set-cpu-priority", "lock and unlock"))


def judge_load(answered: Sequence[Answered]) -> tuple[list[Verdict], list[Grid]]:
    """Ratios to nova's own actions under the same load."""
    refused = [each for each in answered if each.is_error]
    kinds = sorted({f"{each.operation}: {each.status}" for each in refused})
    verdicts = [Verdict(f"errors in {len(answered)} requests", len(refused), "", "", 0, kinds)]
    rows, ratios = [], []
    for clients in sorted({each.clients for each in answered}):
        speeds = {}
        for operation in [name for pair in PAIRS for name in pair]:
            own = [each for each in answered
                   if (each.clients, each.operation) == (clients, operation)]
            speeds[operation] = Speed.of(own)
            rows.append([f"{clients} clients", operation, *speeds[operation].cells()])
        for ours, theirs in PAIRS:
            ratios.append([f"{clients} clients", f"{ours} / {theirs}",
                           *speeds[ours].ratios(speeds[theirs])])
    return verdicts, [
        Grid("Ratios", ("load", "ours / nova's", "throughput", "p50", "p99"), ratios),
        Grid("Figures", ("load", "operation", "requests a second", "p50", "p99"), rows)]


class Speed:
    """Of one operation under one load."""

    def __init__(self, per_s: float, p50_ms: float, p99_ms: float) -> None:
        self.per_s, self.p50_ms, self.p99_ms = per_s, p50_ms, p99_ms

    @classmethod
    def of(cls, answered: Sequence[Answered]) -> "Speed":
        """
        :raises ValueError: there are none
        """
        rounds = {each.round for each in answered}
        span = 0.0
        for number in rounds:
            own = [each for each in answered if each.round == number]
            span += (max(each.started_s + each.seconds for each in own)
                     - min(each.started_s for each in own))
        times = [each.seconds * 1000 for each in answered]
        return cls(len(answered) / span, split.percentile(times, 0.5),
                   split.percentile(times, 0.99))

    def cells(self) -> list[str]:
        return [f"{self.per_s:.1f}", f"{self.p50_ms:.0f} ms", f"{self.p99_ms:.0f} ms"]

    def ratios(self, other: "Speed") -> list[str]:
        return [f"{self.per_s / other.per_s:.2f}", f"{self.p50_ms / other.p50_ms:.2f}",
                f"{self.p99_ms / other.p99_ms:.2f}"]


def judge_peers(changes: Sequence[Change]) -> tuple[list[Verdict], list[Grid]]:
    """Medians of the time until the host holds a change, and ratios to the bare tool."""
    rows = []
    for resource in dict.fromkeys(each.resource for each in changes):
        medians = {way: held_s(changes, resource, way) for way in Way}
        floor = medians[Way.BARE]
        rows.append([resource, *(
            f"{median * 1000:.0f} ms" + ("" if way is Way.BARE else f" ({median / floor:.1f})")
            for way, median in medians.items())])
    heads = ("resource", *(way.named for way in Way))
    return [], [Grid("Until the host holds it: median, and ratio to the bare tool", heads, rows)]


def held_s(changes: Sequence[Change], resource: str, way: Way) -> float:
    """The median of the time until the host holds a change."""
    return statistics.median(
        each.held_s for each in changes if (each.resource, each.way) == (resource, way))
