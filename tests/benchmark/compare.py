# SPDX-License-Identifier: Apache-2.0
"""Two things timed in turns, so that a noisy machine disturbs both alike, and judged."""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Step = Callable[[], object]
#: Set where a missed goal is to fail the run.
_JUDGE = "NOVA_QOS_BENCHMARK_JUDGE"


@dataclass(frozen=True)
class Goal:
    """The most that a figure may be: of the ratio, of our milliseconds, or of what they are more
    than the baseline's."""

    most: float
    of: Literal["ratio", "ms", "ms more"] = "ratio"

    def __str__(self) -> str:
        return f"<= {self.most:g}" if self.of == "ratio" else f"<= {self.most:g} {self.of}"


@dataclass(frozen=True)
class Comparison:
    """Medians in milliseconds, and the goal where there is one."""

    name: str
    ours_ms: float
    baseline_ms: float
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        """Ours to the baseline's."""
        return self.ours_ms / self.baseline_ms

    @property
    def is_met(self) -> bool:
        """Whether the goal is met; without one, it is."""
        if self.goal is None:
            return True
        figures = {"ratio": self.ratio, "ms": self.ours_ms,
                   "ms more": self.ours_ms - self.baseline_ms}
        return figures[self.goal.of] <= self.goal.most

    def row(self) -> str:
        """One line of the report."""
        verdict = "" if self.goal is None else f"{self.goal}: {'ok' if self.is_met else 'MISSED'}"
        return (f"{self.name:<58} {self.ours_ms:9.1f} {self.baseline_ms:9.1f} {self.ratio:7.3f}  "
                f"{verdict}")


HEADER = f"{'median of':<58} {'ours ms':>9} {'base ms':>9} {'ratio':>7}  goal"


def report(rows: Iterable[Comparison]) -> int:
    """Print each as it comes.

    :returns: the exit status: 1 when a goal was missed in a run that is to be judged
    """
    print(HEADER)
    missed = 0
    for row in rows:
        print(row.row(), flush=True)
        missed += not row.is_met
    return status(missed == 0)


def status(all_met: bool) -> int:
    """The exit status of a run that met its goals, or did not."""
    return 0 if all_met or os.environ.get(_JUDGE) != "1" else 1


def verdict(figure: float, most: float) -> str:
    """What is printed behind a figure that has a goal of its own."""
    return f"(goal: at most {most:g}: {'ok' if figure <= most else 'MISSED'})"


def _nothing() -> None:
    pass


def compare(
    name: str, ours: Step, baseline: Step, goal: Goal | None, rounds: int,
    before_ours: Step = _nothing, before_baseline: Step = _nothing, runs: int = 1,
) -> Comparison:
    """Time both ``rounds`` times in turns; what runs before each is not timed. With several runs,
    the one with the median ratio."""
    found = [_run(name, ours, baseline, goal, rounds, before_ours, before_baseline)
             for _ in range(runs)]
    return sorted(found, key=lambda each: each.ratio)[len(found) // 2]


def _run(
    name: str, ours: Step, baseline: Step, goal: Goal | None, rounds: int, before_ours: Step,
    before_baseline: Step,
) -> Comparison:
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
