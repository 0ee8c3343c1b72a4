# SPDX-License-Identifier: Apache-2.0
"""Judges what guarantees refuse: less memory, and more than the host has."""

from collections.abc import Sequence

from tools.evaluation import split
from tools.evaluation.promises import Promised
from tools.evaluation.records import Record
from tools.evaluation.timings import Answered
from tools.evaluation.verdict import Grid, Verdict, largest, written

_WITHIN_MIB, _ANSWER_S = 1.0, 1.0
_ALL_PERCENT = 100


def judge_memory(
    record: Record, attempts: Sequence[Answered], guaranteed_mib: float
) -> tuple[list[Verdict], list[Grid]]:
    """One server: it gets down to its guarantee, and below it only without."""
    table = record.tables["balloons"]
    above, tried = record.phase("as guaranteed"), record.phase("less was asked for")
    least = min(table.between("VM1.actual_mib", above.until_s, tried.until_s))
    taken = [each for each in attempts if not each.is_error]
    given = record.phase("guaranteed")
    answer = record.exchanges[0]
    verdicts = [
        Verdict("time until a memory guarantee is in force, as nova answers",
                answer.answered_s - given.asked_s, "s", "", _ANSWER_S),
        Verdict(f"of {len(attempts)} requests for less memory than is guaranteed, nova takes",
                len(taken), "", "", 0, [each.operation for each in taken]),
        Verdict("memory below the guarantee after them, at most", max(0.0, guaranteed_mib - least),
                "MiB", "", _WITHIN_MIB),
    ]
    rows = []
    for name in (above.name, "without a guarantee"):
        phase = record.phase(name)
        held = split.reach_s(table, "actual_mib", phase, within=_WITHIN_MIB)
        rows.append([name, f"{phase.due['VM1']:g} MiB",
                     f"{table.at('VM1.actual_mib', phase.until_s):.0f} MiB",
                     "-" if held is None else written(held, "s")])
    heads = ("VM1", "requested", "actual", "reached after")
    return verdicts, [Grid("Beside the memory guarantee", heads, rows)]


def judge_promises(promised: Sequence[Promised]) -> tuple[list[Verdict], list[Grid]]:
    """A host that is asked for more than it has."""
    verdicts = [Verdict(
        "of what the host can guarantee, promised at most",
        largest(_ALL_PERCENT * each.guaranteed / each.capacity for each in promised), "%", "",
        _ALL_PERCENT)]
    rows = [[each.setting, f"{each.servers} x {each.each} {each.unit}", str(each.refused),
             f"{each.guaranteed} {each.unit}", f"{each.capacity} {each.unit}"]
            for each in promised]
    heads = ("guarantee", "requested", "refused", "promised then", "the host can guarantee")
    return verdicts, [Grid("Guarantees of more than there is", heads, rows)]
