# SPDX-License-Identifier: Apache-2.0
"""Balancing: guests whose working sets move, in a control group that holds too little for all."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from tools.bed.balance.machine import on_this_machine
from tools.bed.balance.model.predicted import Moment, predicted
from tools.bed.balance.overcommitted import Played
from tools.bed.balance.plays import FULL
from tools.bed.balance.recorder import Sample
from tools.bed.balance.site import Site as Bed
from tools.evaluation import records
from tools.evaluation.records import Record, Table
from tools.evaluation.site import Site

#: Without balancing, with it, and what the model predicts for both.
MODES, MODELS = ("off", "on"), ("model-off", "model-on")
#: What of a play is one number, beside the tables.
TOTALS = "totals.json"
DIRECTORY = "balancing"


def perform(_site: Site, out: Path) -> None:
    """The same play without and with balancing; the cloud's servers have no part in it."""
    place = out / DIRECTORY
    with on_this_machine(FULL.parts, FULL.pace) as bed:
        for mode in MODES:
            print(f"  balancing {mode}: {FULL.play_s:g} s", flush=True)
            bed.play(mode, FULL.play_s, FULL.available_mib)
        record = Record({**{mode: _seen(bed.played[mode].samples) for mode in MODES},
                         **dict(zip(MODELS, _models(bed), strict=True))})
        totals = {mode: _totals(bed, mode, bed.played[mode]) for mode in MODES}
        budget_mib = bed.host.scarce.budget_mib
    records.save(record, place)
    (place / TOTALS).write_text(json.dumps({
        "budget_mib": budget_mib, "names": [part.name for part in FULL.parts], **totals}, indent=1))


def _totals(bed: Bed, mode: str, played: Played) -> dict[str, float]:
    return {
        "in_mib": played.host_in_mib, "out_mib": played.host_out_mib,
        "done_mib": sum(played.done_mib.values()), "due_mib": sum(played.due_mib.values()),
        "cpu_s": sum(played.cpu_s.values()), "guests_in_mib": sum(played.swap_in_mib.values()),
        "major_faults": sum(played.major_faults.values()),
        "oom_kills": sum(played.oom_kills.values()), "crossings": bed.crossings(mode)}


def _seen(samples: Sequence[Sample]) -> Table:
    """A row for each moment of which all guests are known."""
    first, rows = samples[0], []
    for at_s, each in groupby(samples, lambda sample: sample.at_s):
        found = list(each)
        if len(found) == len(FULL.parts):
            guests = {f"{sample.name}.{name}": getattr(sample, name) for sample in found
                      for name in ("actual_mib", "rss_mib", "usable_mib")}
            host = found[0]
            rows.append((at_s, {**guests, "swapped_mib": host.host_swapped_mib,
                                "in_mib": host.host_in_mib - first.host_in_mib,
                                "out_mib": host.host_out_mib - first.host_out_mib}))
    return _table(rows)


def _models(bed: Bed) -> Iterable[Table]:
    at_rest_mib = bed.host.scarce.budget_mib - FULL.available_mib
    for options in (None, bed.options):
        moments = predicted(FULL.parts, FULL.pace, round(FULL.play_s), at_rest_mib,
                            bed.host.scarce.budget_mib, options)
        yield _table([(float(at_s), _row(moment)) for at_s, moment in enumerate(moments)])


def _row(moment: Moment) -> dict[str, float]:
    guests = {f"{name}.{what}": mib for what, by_name in (
        ("actual_mib", moment.actual_mib), ("rss_mib", moment.resident_mib))
        for name, mib in by_name.items()}
    return {**guests, "swapped_mib": moment.swapped_mib, "in_mib": moment.in_mib,
            "out_mib": moment.out_mib}


def _table(rows: Sequence[tuple[float, dict[str, float]]]) -> Table:
    return Table([at_s for at_s, _ in rows],
                 {name: [row[name] for _, row in rows] for name in rows[0][1]})
