# SPDX-License-Identifier: Apache-2.0
"""The report's section on balancing."""

import json
from collections.abc import Callable
from pathlib import Path

from tools.evaluation import judge_balancing, plots_balancing, records
from tools.evaluation.verdict import Section


def _fill(section: Section, directory: Path) -> None:
    record = records.load(directory / "balancing")
    totals = json.loads((directory / "balancing" / "totals.json").read_text())
    section.add(
        judge_balancing.judge(record, totals),
        "What the host has in memory of each guest with its QEMU; dashed: what they may have "
        "together, in which QEMU's program and libraries do not count",
        plots_balancing.resident(record, totals["names"], totals["budget_mib"]))
    section.add(([], []), "The balloon of each guest, which is what the guest has",
                plots_balancing.balloons(record, totals["names"]))


#: As those of ``sections``.
BALANCING: tuple[str, str, str, str, Callable[[Section, Path], None]] = (
    "balancing", "balancing", "Balancing", """
        Four guests of 384 MiB, one with a guarantee of 288, beside the cloud, in a control
        group with a limit and swap: it holds 850 MiB more than all have at rest. They work
        on sets of 32 to 260 MiB that move, each page once in 20 s, and each reads 8 MiB/s
        of files, which fill all memory that it has. They play the same twice: all balloons
        empty, then balanced. The thresholds in MiB are smaller than the defaults, which are
        made for guests of gigabytes. The model is the one that the rule was chosen on, with
        the same guests and thresholds; without balancing it swaps more, since its host
        reads a swapped page back before a guest fills it from a file. KSM is left alone.""", _fill)
