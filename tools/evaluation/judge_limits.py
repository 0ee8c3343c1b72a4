# SPDX-License-Identifier: Apache-2.0
"""Judges limits, guarantees and shares that are due in numbers, such as of Mbit/s."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.evaluation import judge_cpu, judge_network, split
from tools.evaluation.records import Phase, Record, Table
from tools.evaluation.sizes import GUARANTEED_PHASE
from tools.evaluation.verdict import Grid, Verdict, largest, signed_percent, written

_TARGET_S = 1.0
_GUARANTEE_POINTS = 3.0
_RECEIVED_PERCENT = 3.0
_ALL = 0.98
Why = Callable[[Table, Phase], list[str]]


def _unexplained(table: Table, phase: Phase) -> list[str]:
    return []


def _why_less_cpu(table: Table, phase: Phase) -> list[str]:
    """A limit can only be seen where the servers have the processor for themselves."""
    taken = sum(split.rates(table, "cpu_s", _labels(table))(phase.asked_s, phase.until_s).values())
    found = judge_cpu.why(table, phase)
    if taken < _ALL:
        found.append(f"the servers had {taken:.0%} of the processor, and others the rest")
    return found


@dataclass(frozen=True)
class Measure:
    """What is due in a second: columns LABEL.QUANTITY of a table, which only grow; how far off it
    may be, and within which band and over which time it counts as held."""

    table: str
    quantity: str
    unit: str
    target_percent: float
    band: float
    window_s: float
    scale: float = 1.0
    why: Why = _unexplained


CPU = Measure("host", "cpu_s", "% of a processor", 3.0, judge_cpu.BAND, judge_cpu.WINDOW_S, 100,
              _why_less_cpu)
WRITTEN = Measure("host", "written_mib", "MiB/s", 3.0, 0.10, 1.0)
REQUESTS = Measure("host", "requests", "requests/s", 3.0, 0.10, 1.0)
SENT = Measure("uplink", "sent_mbit", "Mbit/s", 2.0, judge_network.BAND, judge_network.WINDOW_S,
               why=judge_network.why)
RECEIVED = Measure("receiver", "received_mbit", "Mbit/s", 3.0, judge_network.BAND,
                   judge_network.WINDOW_S, why=judge_network.why)
#: The same as the servers' taps pass it on.
ARRIVED = Measure("taps", "arrived_mbit", "Mbit/s", 3.0, judge_network.BAND,
                  judge_network.WINDOW_S)


def judge(record: Record, measure: Measure, what: str) -> tuple[list[Verdict], list[Grid]]:
    """How exactly, and how soon, each server had what was due.

    :param what: such as "limits"
    """
    table = record.tables[measure.table]
    phases = [phase for phase in record.phases if phase.due]
    held = {phase.name: _held(table, measure, phase) for phase in phases}
    off = {phase.name: _off(split.settled(_seen(table, measure, phase), phase.due, phase,
                                          held[phase.name]), phase) for phase in phases}
    worst = max(phases, key=lambda phase: _largest(off[phase.name]))
    changed = [phase for phase in phases if phase.typed_s < phase.asked_s]
    verdicts = [
        Verdict(f"accuracy of {what}", 100 * _largest(off[worst.name]), "%", "",
                measure.target_percent, measure.why(table, worst)),
        Verdict(f"time until a change of {what} holds (within {measure.band:.0%} over the next "
                f"{measure.window_s:g} s)", largest(held[phase.name] for phase in changed), "s", "",
                _TARGET_S, [each for phase in changed for each in measure.why(table, phase)])]
    if others := [phase for phase in phases if phase not in changed][1:]:
        verdicts.append(Verdict(
            "time until others have what one leaves, or it has its own again",
            largest(held[phase.name] for phase in others), "s", "", _TARGET_S,
            [each for phase in others for each in measure.why(table, phase)]))
    rows = [[phase.name, _row(phase.due, measure.scale),
             _row(_settled(table, measure, phase, held[phase.name]), measure.scale),
             _after(held[phase.name]), _signed(off[phase.name])] for phase in phases]
    heads = ("phase", f"due, {measure.unit}", "seen", "holds after", "then off by")
    return verdicts, [Grid(f"Each phase of {what}", heads, rows)]


def judge_sent(record: Record, what: str) -> tuple[list[Verdict], list[Grid]]:
    """What servers send: as tc counts it, and as iperf3 receives it."""
    verdicts, grids = judge(record, SENT, what)
    table, outside = record.tables[SENT.table], record.tables["outside"]
    off = max(_largest(_off(
        judge_network.received(outside, phase, _held(table, SENT, phase)), phase))
        for phase in record.phases if phase.due)
    return [*verdicts, Verdict(f"accuracy of {what}, as received", 100 * off, "%", "",
                               _RECEIVED_PERCENT)], grids


def judge_received(record: Record, what: str) -> tuple[list[Verdict], list[Grid]]:
    """What servers receive: as tc counts it, and as their taps pass it on."""
    verdicts, grids = judge(record, RECEIVED, what)
    (accuracy, *_), passed_on = judge(record, ARRIVED, f"{what}, as the taps pass it on")
    return [*verdicts, accuracy], [*grids, *passed_on]


def judge_guarantee(record: Record) -> tuple[list[Verdict], list[Grid]]:
    """Whether, and how soon, a server had at least the part of CPU time that it is guaranteed."""
    table = record.tables["host"]
    phases = [phase for phase in record.phases if phase.due]
    held = {phase.name: _held_at_least(table, phase) for phase in phases}
    parts = {phase.name: _parts(table, phase)(
        phase.asked_s + (held[phase.name] or 0.0), phase.until_s) for phase in phases}
    missing = {phase.name: max(0.0, *(100 * (due - parts[phase.name][label])
                                      for label, due in phase.due.items())) for phase in phases}
    worst = max(phases, key=lambda phase: missing[phase.name])
    verdicts = [
        Verdict("of what is guaranteed, missing", missing[worst.name], "points", "",
                _GUARANTEE_POINTS, judge_cpu.why(table, worst)),
        Verdict(f"time until it is there (but for {judge_cpu.BAND:.0%} over the next "
                f"{judge_cpu.WINDOW_S:g} s)", largest(held.values()), "s", "", _TARGET_S,
                [each for phase in phases for each in judge_cpu.why(table, phase)])]
    rows = [[phase.name, _row(phase.due, 100), _row(parts[phase.name], 100),
             _after(held[phase.name])] for phase in record.phases if phase.due]
    heads = ("phase", "at least due, % of what all have", "seen", "holds after")
    return verdicts, [Grid("Each phase of the guarantee", heads, rows)]


def _seen(table: Table, measure: Measure, phase: Phase) -> split.Seen:
    return split.rates(table, measure.quantity, phase.due)


def _off(errors: Mapping[str, float], phase: Phase) -> Mapping[str, float]:
    """Who has more than is guaranteed is not off: what idle servers leave is lent to all."""
    if phase.name != GUARANTEED_PHASE:
        return errors
    return {label: min(error, 0.0) for label, error in errors.items()}


def _held(table: Table, measure: Measure, phase: Phase) -> float | None:
    seen = _seen(table, measure, phase)
    return split.hold_s(_at_most_due(seen, phase) if phase.name == GUARANTEED_PHASE else seen,
                        phase.due, phase, band=measure.band, window_s=measure.window_s)


def _at_most_due(seen: split.Seen, phase: Phase) -> split.Seen:
    return lambda begin_s, end_s: {
        label: min(amount, phase.due[label]) for label, amount in seen(begin_s, end_s).items()}


def _settled(
    table: Table, measure: Measure, phase: Phase, held_s: float | None
) -> Mapping[str, float]:
    return _seen(table, measure, phase)(phase.asked_s + (held_s or 0.0), phase.until_s)


def _parts(table: Table, phase: Phase) -> split.Seen:
    """The parts of those to whom something is due, of what all servers have."""
    everybody = _labels(table)
    all_parts = split.parts(table, "cpu_s", everybody)
    return lambda begin_s, end_s: {
        label: part for label, part in all_parts(begin_s, end_s).items() if label in phase.due}


def _labels(table: Table) -> dict[str, None]:
    return dict.fromkeys(name.partition(".")[0] for name in table.columns
                         if name.endswith(".cpu_s"))


def _held_at_least(table: Table, phase: Phase) -> float | None:
    return split.hold_s(_at_most_due(_parts(table, phase), phase), phase.due, phase,
                        band=judge_cpu.BAND, window_s=judge_cpu.WINDOW_S)


def _largest(errors: Mapping[str, float]) -> float:
    return max(map(abs, errors.values()))


def _row(values: Mapping[str, float], scale: float) -> str:
    return ", ".join(f"{label} {value * scale:.1f}" for label, value in values.items())


def _signed(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {signed_percent(error)}" for label, error in errors.items())


def _after(held_s: float | None) -> str:
    return "-" if held_s is None else written(held_s, "s")
