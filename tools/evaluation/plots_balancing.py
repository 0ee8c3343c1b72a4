# SPDX-License-Identifier: Apache-2.0
"""Memory by guest over time, without and with balancing, beside what the model predicts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tools.evaluation.plots import STYLE, png
from tools.evaluation.records import Record

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_GREY, _SWAP = "#5f6b7a", "#c9ced6"
_SIZE, _DPI = (9.0, 5.6), 110
_PANELS: Mapping[str, str] = {
    "off": "without balancing", "on": "with balancing",
    "model-off": "without, predicted", "model-on": "with balancing, predicted"}


def resident(record: Record, names: Sequence[str], budget_mib: float) -> bytes:
    """What the host has of each guest with its QEMU, and above it what lies in the swap."""
    def draw(axes: Any, table: str) -> None:
        seen = record.tables[table]
        axes.stackplot(
            seen.times, *(seen.columns[f"{name}.rss_mib"] for name in names),
            seen.columns["swapped_mib"], labels=[*names, "in the host's swap"],
            colors=[*_COLOURS[:len(names)], _SWAP], linewidth=0)
        axes.axhline(budget_mib, color="black", linewidth=1.0, linestyle="--")

    return _panels(draw)


def balloons(record: Record, names: Sequence[str]) -> bytes:
    """The size of each balloon, so what its guest has."""
    def draw(axes: Any, table: str) -> None:
        seen = record.tables[table]
        for name, colour in zip(names, _COLOURS, strict=False):
            axes.plot(seen.times, seen.columns[f"{name}.actual_mib"], color=colour, label=name,
                      linewidth=1.6)

    return _panels(draw)


def _panels(draw: Callable[[Any, str], None]) -> bytes:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
        for axes, (table, title) in zip(
                figure.subplots(2, 2, sharex=True, sharey=True).flat, _PANELS.items(), strict=True):
            draw(axes, table)
            axes.set_title(title, fontsize=9.5, color=_GREY)
            axes.set_ylim(0)
            axes.set(xlabel="seconds", ylabel="MiB")
            axes.label_outer()
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=5)
        return png(figure)
