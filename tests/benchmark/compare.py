# SPDX-License-Identifier: Apache-2.0
"""Two things timed in turns, so that a noisy machine disturbs both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Step = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Medians in milliseconds, and the ratio that a goal is set for."""

    name: str
    ours_ms: float
    baseline_ms: float
    goal: str

    def row(self) -> str:
        """One line of the report."""
        ratio = self.ours_ms / self.baseline_ms
        return (f"{self.name:<58} {self.ours_ms:9.1f} {self.baseline_ms:9.1f} {ratio:7.2f}  "
                f"{self.goal}")


HEADER = f"{'median of':<58} {'ours ms':>9} {'base ms':>9} {'ratio':>7}  goal"


def _nothing() -> None:
    pass


def compare(
    name: str, ours: Step, baseline: Step, goal: str, rounds: int,
    before_ours: Step = _nothing, before_baseline: Step = _nothing,
) -> Comparison:
    """Time both ``rounds`` times in turns; what runs before each is not timed."""
    times: dict[str, list[float]] = {"ours": [], "baseline": []}
    for _ in range(rounds + 2):
        for key, before, step in (
            ("ours", before_ours, ours), ("baseline", before_baseline, baseline)
        ):
            before()
            start = time.perf_counter()
            step()
            times[key].append((time.perf_counter() - start) * 1000)
    # the first two rounds warm caches and connections
    ours_ms, baseline_ms = (statistics.median(values[2:]) for values in times.values())
    return Comparison(name, ours_ms, baseline_ms, goal)
