# SPDX-License-Identifier: Apache-2.0
"""Judges the experiments with memory and its soft limit."""

from tools.evaluation import split
from tools.evaluation.records import Phase, Record
from tools.evaluation.verdict import Grid, Verdict, largest, written

_WITHIN_MIB, _TARGET_S = 1.0, 3.0
_SPARE_S = 20.0


def judge_memory(record: Record) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.2."""
    table = record.tables["balloons"]
    moves = list(zip(_moves(record), record.exchanges, strict=True))
    held = {exchange.words: split.reach_s(table, "actual_mib", phase, within=_WITHIN_MIB)
            for phase, exchange in moves}
    off = []
    for phase, _ in moves:
        off += [abs(table.at(f"{label}.actual_mib", phase.until_s) - due)
                for label, due in phase.due.items()]
    slowest = [f"nova answered {exchange.words.partition(' ')[2]} after "
               f"{exchange.answered_s - exchange.sent_s:.1f} s" for _, exchange in moves]
    verdicts = [
        Verdict("what is actual, beside what was asked for: largest difference", max(off), "MiB",
                "", _WITHIN_MIB),
        Verdict("time until 512 MiB have moved out of a server or into it",
                largest(held.values()), "s", "5 s", _TARGET_S, slowest),
        Verdict("the same, since the command was typed", largest(
            None if took is None else took + exchange.sent_s - exchange.typed_s
            for took, (_, exchange) in zip(held.values(), moves, strict=True)), "s", "5 s"),
    ]
    rows = [[exchange.words, _seconds(held[exchange.words]),
             written(exchange.answered_s - exchange.sent_s, "s"),
             written(exchange.ended_s - exchange.typed_s, "s")] for _, exchange in moves]
    heads = ("command", "moved after", "nova answered after", "the command took")
    return verdicts, [Grid("Each move", heads, rows)]


def judge_soft_limit(record: Record, spare_mib: float) -> tuple[list[Verdict], list[Grid]]:
    """Figure 5.3."""
    table = record.tables["host"]
    before, after = record.phase("at first"), record.phase("after the change")
    took = split.reach_s(table, "resident_mib", after, within=spare_mib)
    last = split.means(table, "resident_mib", after.due)(
        max(after.asked_s, after.until_s - _SPARE_S), after.until_s)
    below = max(due - last[label] for label, due in after.due.items())
    verdicts = [
        Verdict(f"time until each has what it is promised now, within {spare_mib:g} MiB",
                took, "s", "about 100 s"),
        Verdict("promised and not there, at the end", max(below, 0.0), "MiB"),
        Verdict("time until the promise itself stands in the group", _promised_s(record), "s"),
    ]
    first = split.means(table, "resident_mib", before.due)(
        max(before.asked_s, before.until_s - _SPARE_S), before.until_s)
    rows = [[label, f"{before.due[label]:g} MiB", f"{first[label]:.0f} MiB",
             f"{after.due[label]:g} MiB", f"{last[label]:.0f} MiB"] for label in after.due]
    heads = ("server", "soft limit at first", "has then", "soft limit afterwards", "has at the end")
    return verdicts, [Grid("Under pressure", heads, rows)]


def _promised_s(record: Record) -> float | None:
    return split.reach_s(record.tables["host"], "promised_mib", record.phase("after the change"),
                         within=1.0)


def _moves(record: Record) -> list[Phase]:
    """The phases that begin with a command."""
    return [phase for phase in record.phases if phase.typed_s < phase.asked_s]


def _seconds(moment_s: float | None) -> str:
    return "-" if moment_s is None else written(moment_s, "s")
