# SPDX-License-Identifier: Apache-2.0
"""Judges the experiments with I/O weights."""

from collections.abc import Mapping

from tools.evaluation import split
from tools.evaluation.records import Phase, Record, Table
from tools.evaluation.verdict import Grid, Verdict, signed_percent, written

BAND, WINDOW_S = 0.10, 1.0
_TARGET_PERCENT, _TARGET_S = 10.0, 1.0
_BUSY = 0.95
_EDGE_S = 1.0


def judge_job(
    record: Record, job_mib: float, rate_mib: float, thesis: str
) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.7: each has written so much."""
    table, (phase,) = record.tables["host"], record.phases
    ends = {label: split.first_s(table, f"{label}.written_mib", job_mib - 0.01)
            for label in phase.due}
    first = min((end for end in ends.values() if end is not None), default=phase.until_s)
    # at both edges not all of the writers of a server are at work
    together = Phase(phase.name, phase.typed_s, phase.asked_s + _EDGE_S,
                     max(first, phase.asked_s + 3 * _EDGE_S) - _EDGE_S, phase.due)
    errors = _errors(table, together, 0.0)
    due = finish_s(phase.due, job_mib, rate_mib)
    verdict = Verdict("accuracy of the split while all write", _percent(errors), "%", thesis,
                      _TARGET_PERCENT, _why(table, together, rate_mib))
    rows = [[label, f"{weight:g}", signed_percent(errors[label]), written(due[label], "s"),
             _after(ends[label], phase.asked_s)] for label, weight in phase.due.items()]
    heads = ("server", "weight", "off by", f"{job_mib:g} MiB written: due after", "seen after")
    return [verdict], [Grid("The job", heads, rows)]


def judge_change(record: Record, rate_mib: float) -> tuple[list[Verdict], list[Grid]]:
    """The weights change while all write."""
    table = record.tables["host"]
    phases = [phase for phase in record.phases if phase.due]
    *_, changed = phases
    held = {phase.name: split.hold_s(
        split.parts(table, "written_mib", phase.due), split.fractions(phase.due), phase,
        band=BAND, window_s=WINDOW_S) for phase in phases}
    errors = {phase.name: _errors(table, phase, held[phase.name]) for phase in phases}
    worst = max(phases, key=lambda phase: _percent(errors[phase.name]))
    took = held[changed.name]
    verdicts = [
        Verdict("accuracy of the split before and after the change",
                _percent(errors[worst.name]), "%", "not quite the case", _TARGET_PERCENT,
                _why(table, worst, rate_mib)),
        Verdict(f"time until the change holds (within {BAND:.0%} over the next {WINDOW_S:g} s)",
                took, "s", "", _TARGET_S, _why(table, changed, rate_mib)),
        Verdict("the same, since the first command of the change was typed",
                None if took is None else took + changed.asked_s - changed.typed_s, "s"),
    ]
    rows = [[phase.name, ", ".join(f"{label} {weight:g}" for label, weight in phase.due.items()),
             _after(held[phase.name], 0.0),
             ", ".join(f"{label} {signed_percent(error)}"
                       for label, error in errors[phase.name].items()),
             f"{_carried(table, phase):.1f} MiB/s"] for phase in phases]
    heads = ("phase", "weights", "holds after", "then off by", "together")
    return verdicts, [Grid("Each phase", heads, rows)]


def finish_s(weights: Mapping[str, float], job: float, rate: float) -> dict[str, float]:
    """When each has done its job, all of the same size, if those that still have something to do
    share the rate by their weights."""
    left, ends, now = dict.fromkeys(weights, job), {}, 0.0
    while left:
        whole = sum(weights[label] for label in left)
        speeds = {label: rate * weights[label] / whole for label in left}
        step = min(left[label] / speeds[label] for label in left)
        now += step
        left = {label: amount - step * speeds[label] for label, amount in left.items()}
        for label in [label for label, amount in left.items() if amount <= job * 1e-9]:
            ends[label] = now
            del left[label]
    return ends


def _errors(table: Table, phase: Phase, after_s: float | None) -> dict[str, float]:
    return split.settled(split.parts(table, "written_mib", phase.due),
                         split.fractions(phase.due), phase, after_s)


def _percent(errors: Mapping[str, float]) -> float:
    return 100 * max(map(abs, errors.values()))


def _carried(table: Table, phase: Phase) -> float:
    seen = split.rates(table, "written_mib", phase.due)(phase.asked_s, phase.until_s)
    return sum(seen.values())


def _why(table: Table, phase: Phase, rate_mib: float) -> list[str]:
    carried = _carried(table, phase)
    if carried < _BUSY * rate_mib:
        return [f"the guests asked for {carried:.1f} of the disk's {rate_mib:g} MiB/s only: it was "
                "not always busy, and then weights mean nothing"]
    return [f"the disk was busy all the time ({carried:.1f} of {rate_mib:g} MiB/s): it is bfq that "
            "divided it so"]


def _after(moment_s: float | None, begin_s: float) -> str:
    return "-" if moment_s is None else written(moment_s - begin_s, "s")
