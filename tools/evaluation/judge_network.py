# SPDX-License-Identifier: Apache-2.0
"""Judges the experiments with network bandwidth."""

from collections.abc import Mapping

from tools.evaluation import split
from tools.evaluation.records import Phase, Record, Table
from tools.evaluation.verdict import Grid, Verdict, largest, signed_percent, written

BAND, WINDOW_S = 0.05, 0.5
#: Of an Ethernet frame of 1514 bytes, what TCP carries for its user and what iperf3 counts.
DATA_SHARE = 1448 / 1514
_TARGET_PERCENT, _TARGET_S = 3.0, 1.0
_ALWAYS = 0.98
#: iperf3 tells of an interval when it is over.
_LATE_S = 1.2


def judge(record: Record, rate_mbit: float, lends: bool) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.10, or with ``lends`` 5.11."""
    table, outside = record.tables["uplink"], record.tables["outside"]
    phases = [phase for phase in record.phases if phase.due]
    held = {phase.name: _held(table, phase) for phase in phases}
    arrived = {phase.name: received(outside, phase, held[phase.name]) for phase in phases}
    worst = max(phases, key=lambda phase: _largest(arrived[phase.name]))
    verdicts = [Verdict(
        "accuracy of the rates, as received", 100 * _largest(arrived[worst.name]), "%", "",
        _TARGET_PERCENT, why(table, worst))]
    if lends:
        verdicts += _times(table, phases, held)
    alone = next(phase for phase in phases if len(phase.due) == 1)
    used = _sent(table, alone)["VM3"]
    verdicts.append(Verdict(
        f"of {rate_mbit:g} Mbit/s, VM3 uses while it is alone", 100 * used / rate_mbit, "%",
        "all of it" if lends else "its own rate"))
    rows = [[phase.name, _row(phase.due), _row(_sent(table, phase)),
             "-" if held[phase.name] is None else written(held[phase.name] or 0.0, "s"),
             ", ".join(f"{label} {signed_percent(error)}"
                       for label, error in arrived[phase.name].items())] for phase in phases]
    heads = ("phase", "due, Mbit/s", "tc: sent", "holds after", "iperf3: received, off by")
    return verdicts, [Grid("Each phase", heads, rows)]


def _times(
    table: Table, phases: list[Phase], held: Mapping[str, float | None]
) -> list[Verdict]:
    changed = [phase for phase in phases if phase.typed_s < phase.asked_s]
    traffic = [phase for phase in phases if phase not in changed][1:]
    criterion = f"within {BAND:.0%} over the next {WINDOW_S:g} s"
    return [
        Verdict(f"time until others have what one leaves, or it has its own again ({criterion})",
                largest(held[phase.name] for phase in traffic), "s", "", _TARGET_S,
                [each for phase in traffic for each in why(table, phase)]),
        Verdict(f"time until a change of priorities holds ({criterion})",
                largest(held[phase.name] for phase in changed), "s", "", _TARGET_S,
                [each for phase in changed for each in why(table, phase)]),
    ]


def _held(table: Table, phase: Phase) -> float | None:
    return split.hold_s(split.rates(table, "sent_mbit", phase.due), phase.due, phase,
                        band=BAND, window_s=WINDOW_S)


def _sent(table: Table, phase: Phase) -> Mapping[str, float]:
    return split.rates(table, "sent_mbit", phase.due)(phase.asked_s + 1.0, phase.until_s)


def received(outside: Table, phase: Phase, held_s: float | None) -> dict[str, float]:
    """By how much of what was due each was off, as iperf3 tells, once it was held."""
    seen = split.means(outside, "received_mbit_s", phase.due)
    due = {label: mbit * DATA_SHARE for label, mbit in phase.due.items()}
    return split.settled(seen, due, phase, (held_s or 0.0) + _LATE_S)


def _largest(errors: Mapping[str, float]) -> float:
    return max(map(abs, errors.values()))


def why(table: Table, phase: Phase) -> list[str]:
    """What those did who should have sent as much as they could."""
    waiting = split.means(table, "waits", phase.due)(phase.asked_s, phase.until_s)
    idle = [f"at {1 - part:.0%} of the looks at tc no packet of {label} was waiting: its guest "
            "sent too slowly" for label, part in waiting.items() if part < _ALWAYS]
    return idle or ["tc saw packets of all of them waiting all the time"]


def _row(values: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {value:.1f}" for label, value in values.items())
