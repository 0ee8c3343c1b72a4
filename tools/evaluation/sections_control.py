# SPDX-License-Identifier: Apache-2.0
"""The report's sections on what the thesis did not have: limits, guarantees, what is received, and
policies."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.evaluation import judge_limits, plots, records
from tools.evaluation.records import Phase
from tools.evaluation.verdict import Section


def _cpu_limits(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-limits")
    section.add(judge_limits.judge(record, judge_limits.CPU, "limits"),
                "Each server's CPU time in percent of one processor; dotted: VM1's limit",
                plots.cpu_time(record, _percent))


def _cpu_guarantees(section: Section, directory: Path) -> None:
    record = records.load(directory / "cpu-guarantees")
    section.add(judge_limits.judge_guarantee(record),
                "Each server's CPU time in percent of one processor; dotted: what VM1 is "
                "guaranteed", plots.cpu_time(record, _percent))


def _percent(phase: Phase) -> Mapping[str, float]:
    return {label: 100 * part for label, part in phase.due.items()}


#: As that of ``sections``.
PLAN: tuple[tuple[str, str, str, str, Callable[[Section, Path], None]], ...] = (
    ("cpu-limits", "cpu-limits", "CPU limits", """
        Three guests compute all the time, bound to the same processor. By its shares VM1 would
        have eight tenths of it; it is limited to 30 percent, and then to 60.""", _cpu_limits),
    ("cpu-limits", "cpu-guarantees", "CPU guarantees", """
        The same, where VM1 would have a seventeenth by its shares. It is guaranteed 100 percent of
        a CPU, and then VM2 gets eight times its shares. A guarantee is of all processors of the
        host, so VM1 should have at least that part of what the three have of the one that they are
        bound to.""", _cpu_guarantees),
)
