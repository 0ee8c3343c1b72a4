# SPDX-License-Identifier: Apache-2.0
"""Judges the same play without and with balancing."""

from collections.abc import Mapping
from typing import Any

from tools.evaluation.records import Record
from tools.evaluation.verdict import Grid, Verdict, written

#: Of what the host reads back from its swap without balancing, and of what guests should do.
_SWAP_PERCENT, _WORK_POINTS = 100 / 3, 1.0
#: The figures, their units, and whether the model predicts them.
_ROWS = (
    ("the host read back from its swap", "in_mib", "MiB", True),
    ("the host wrote to its swap", "out_mib", "MiB", True),
    ("guests worked on", "done_mib", "MiB", False),
    ("guests should have worked on", "due_mib", "MiB", False),
    ("processor time of all QEMUs", "cpu_s", "s", False),
    ("guests read back from their own swap", "guests_in_mib", "MiB", False),
    ("major faults in guests", "major_faults", "", False),
    ("processes ended for want of memory in guests", "oom_kills", "", False),
    ("moments at which a guarantee was seen crossed", "crossings", "", False),
)


def judge(record: Record, totals: Mapping[str, Any]) -> tuple[list[Verdict], list[Grid]]:
    """Verdicts, and all figures beside what the model predicts."""
    off, on = totals["off"], totals["on"]
    model_mib = record.tables["model-on"].columns["in_mib"][-1]
    why = [f"of {written(off['in_mib'], 'MiB')} without, {written(on['in_mib'], 'MiB')} with it; "
           f"the model has {written(model_mib, 'MiB')}"]
    verdicts = [
        Verdict("read back from the host's swap with balancing, of what it is without",
                _percent(on["in_mib"], off["in_mib"]), "%", "", _SWAP_PERCENT, why),
        Verdict("moments at which a guarantee was seen crossed with balancing",
                on["crossings"], "", "", 0),
        Verdict("processes ended in guests for want of memory, more than without balancing",
                max(0, on["oom_kills"] - off["oom_kills"]), "", "", 0),
        Verdict("work that guests leave undone with balancing, more than without",
                max(0, _undone(on) - _undone(off)), "points", "", _WORK_POINTS,
                [f"guests did {written(off['done_mib'], 'MiB')} of "
                 f"{written(off['due_mib'], 'MiB')} without, {written(on['done_mib'], 'MiB')} of "
                 f"{written(on['due_mib'], 'MiB')} with it"]),
    ]
    rows = []
    for title, name, unit, is_modelled in _ROWS:
        models = [written(record.tables[model].columns[name][-1], unit) if is_modelled else "-"
                  for model in ("model-off", "model-on")]
        rows.append([title, written(off[name], unit), models[0], written(on[name], unit),
                     models[1]])
    heads = ("", "off", "off, predicted", "on", "on, predicted")
    return verdicts, [Grid("The whole play", heads, rows)]


def _percent(part: float, whole: float) -> float | None:
    """None where there is no whole: memory was not scarce."""
    return 100 * part / whole if whole else None


def _undone(play: Mapping[str, float]) -> float:
    """In percent of what guests should have worked on."""
    return 100 * (1 - play["done_mib"] / play["due_mib"])
