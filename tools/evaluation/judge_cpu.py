# SPDX-License-Identifier: Apache-2.0
"""Judges the experiments with CPU shares."""

from collections.abc import Mapping

from tools.evaluation import split
from tools.evaluation.records import Phase, Record, Table
from tools.evaluation.verdict import Grid, Verdict, largest, signed_percent, written

BAND, WINDOW_S = 0.05, 0.3
_TARGET_PERCENT, _TARGET_S = 3.0, 1.0
_BUSY = 0.99


def judge_turns(record: Record) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.4."""
    table = record.tables["host"]
    least = min(min(_alone(table, phase).values()) for phase in record.phases)
    verdict = Verdict("of its processor, each takes while it is alone, at least", 100 * least, "%",
                      "all of it")
    return [verdict], [_grid(table, record.phases)]


def judge_shares(record: Record) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.5."""
    table = record.tables["host"]
    phases = [phase for phase in record.phases if phase.due]
    changed = [phase for phase in phases if phase.typed_s < phase.asked_s]
    held = {phase.name: _held(table, phase) for phase in phases}
    verdicts = [
        _accuracy("accuracy of the split", table, phases),
        Verdict(f"time until a change holds (within {BAND:.0%} over the next {WINDOW_S:g} s)",
                largest(held[phase.name] for phase in changed), "s", "5 to 10 s", _TARGET_S,
                [each for phase in changed for each in why(table, phase)]),
        Verdict("the same, since the first command of the change was typed",
                largest(_since_typed(phase, held[phase.name]) for phase in changed), "s",
                "5 to 10 s"),
    ]
    return verdicts, [_grid(table, phases)]


def judge_bursts(record: Record) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.6."""
    table = record.tables["host"]
    phases = [phase for phase in record.phases if phase.due]
    alone = [phase for phase in phases if len(phase.due) == 1]
    verdicts = [
        _accuracy("accuracy of the split", table, [each for each in phases if len(each.due) > 1]),
        Verdict("of its processor, VM1 with 100 shares takes while it is alone",
                100 * min(_alone(table, phase)["VM1"] for phase in alone), "%",
                "throttled, too"),
    ]
    return verdicts, [_grid(table, phases)]


def _alone(table: Table, phase: Phase) -> Mapping[str, float]:
    """What who is alone takes of the processor, after a second."""
    return split.rates(table, "cpu_s", phase.due)(phase.asked_s + 1, phase.until_s)


def _seen(table: Table, phase: Phase) -> split.Seen:
    return split.parts(table, "cpu_s", phase.due)


def _held(table: Table, phase: Phase) -> float | None:
    return split.hold_s(_seen(table, phase), split.fractions(phase.due), phase,
                        band=BAND, window_s=WINDOW_S)


def _since_typed(phase: Phase, held_s: float | None) -> float | None:
    return None if held_s is None else held_s + phase.asked_s - phase.typed_s


def _settled(table: Table, phase: Phase) -> dict[str, float]:
    return split.settled(_seen(table, phase), split.fractions(phase.due), phase,
                         _held(table, phase))


def _accuracy(what: str, table: Table, phases: list[Phase]) -> Verdict:
    off = {phase.name: max(map(abs, _settled(table, phase).values())) for phase in phases}
    worst = max(off, key=lambda name: off[name])
    found = [each for phase in phases if phase.name == worst for each in why(table, phase)]
    return Verdict(what, 100 * off[worst], "%", "", _TARGET_PERCENT, found)


def why(table: Table, phase: Phase) -> list[str]:
    """What kept the scheduler from having its way."""
    found = []
    span = phase.until_s - phase.asked_s
    for label, part in split.rates(table, "wanted_s", phase.due)(
            phase.asked_s, phase.until_s).items():
        if part < _BUSY:
            found.append(f"the virtual CPU of {label} wanted to run {part:.1%} of the time only")
    stolen = (table.at("host.stolen_s", phase.until_s)
              - table.at("host.stolen_s", phase.asked_s)) / span
    if stolen > 1 - _BUSY:
        found.append(f"{stolen:.1%} of the processor was not there: this machine is a virtual one")
    return found


def _grid(table: Table, phases: list[Phase]) -> Grid:
    rows = []
    for phase in phases:
        held, errors = _held(table, phase), _settled(table, phase)
        taken = split.rates(table, "cpu_s", phase.due)(phase.asked_s, phase.until_s)
        rows.append([phase.name, _list(phase.due), "-" if held is None else written(held, "s"),
                     ", ".join(f"{label} {error}" for label, error in _signed(errors).items()),
                     f"{sum(taken.values()):.0%}"])
    return Grid("Each phase", (
        "phase", "shares", "holds after", "then off by", "of the processor, together"), rows)


def _signed(errors: Mapping[str, float]) -> dict[str, str]:
    return {label: signed_percent(error) for label, error in errors.items()}


def _list(due: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {value:g}" for label, value in due.items())
