# SPDX-License-Identifier: Apache-2.0
"""A play without and with balancing that nobody made, with figures that are known."""

import json
from pathlib import Path
from typing import Any

from tools.evaluation import records
from tools.evaluation.records import Record, Table

NAMES = ("one", "two")


def table(in_mib: float, swapped_mib: float = 0.0) -> Table:
    moments = [float(at_s) for at_s in range(11)]
    columns = {f"{name}.{what}_mib": [300.0 + at_s for at_s in moments]
               for name in NAMES for what in ("actual", "rss")}
    return Table(moments, {
        **columns, "swapped_mib": [swapped_mib] * 11,
        "in_mib": [in_mib * at_s / 10 for at_s in moments], "out_mib": [2 * in_mib] * 11})


def record() -> Record:
    return Record({"off": table(300, 100), "on": table(60), "model-off": table(600, 200),
                   "model-on": table(0)})


def totals(**on: float) -> dict[str, Any]:
    play = {"in_mib": 300.0, "out_mib": 600.0, "done_mib": 900, "due_mib": 1000, "cpu_s": 12.5,
            "guests_in_mib": 0.0, "major_faults": 3, "oom_kills": 1, "crossings": 4}
    return {"budget_mib": 650, "names": NAMES, "off": play,
            "on": {**play, "in_mib": 60.0, "done_mib": 950, "crossings": 0, **on}}


def write(directory: Path) -> None:
    records.save(record(), directory / "balancing")
    (directory / "balancing" / "totals.json").write_text(json.dumps(totals()))
