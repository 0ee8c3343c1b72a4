# SPDX-License-Identifier: Apache-2.0
"""Plots of what was seen, each like the figure of the thesis that it answers."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tools.evaluation.judge_api import MANY, NOVAS, ONE, PAIRS, Speed, held_s
from tools.evaluation.records import Exchange, Phase, Record, Table
from tools.evaluation.timings import Answered, Change, Way

#: For eyes of every kind; the three servers, in the order of their labels.
COLOURS = {"VM1": "#0072B2", "VM2": "#D55E00", "VM3": "#009E73"}
_WIDTHS = {"VM1": 2.8, "VM2": 2.0, "VM3": 1.3}
_GREY, _OURS, _NOVAS = "#5f6b7a", "#0072B2", "#b8c2cc"
_NAMES_IN_A_ROW = 5
_SIZE, _DPI = (9.0, 3.9), 110
#: How all plots look.
STYLE: Any = {
    "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": _GREY, "axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY,
    "axes.grid": True, "grid.color": "#e6e9ed", "grid.linewidth": 0.8, "legend.frameon": False,
    "figure.facecolor": "white", "axes.axisbelow": True,
}


def rates(
    record: Record, table: str, quantity: str, *, scale: float, label: str, smooth_s: float,
    due: Callable[[Phase], Mapping[str, float]] | None = None, top: float | None = None,
) -> bytes:
    """Each server's rate over time, from columns that only grow, ``scale`` times.

    :param due: what is due in a phase in the plot's unit, drawn as a thin line
    """
    seen = record.tables[table]
    curves = {name: _slopes(seen, f"{name}.{quantity}", smooth_s, scale) for name in COLOURS}
    return _timeline(record, curves, label, due, top)


def cpu_time(record: Record, due: Callable[[Phase], Mapping[str, float]]) -> bytes:
    """Each server's CPU time; ``due`` in percent of a processor."""
    return rates(record, "host", "cpu_s", scale=100, label="% of a processor", smooth_s=0.5,
                 top=105, due=due)


def levels(record: Record, table: str, quantity: str, *, label: str, thin: str = "",
           due: Callable[[Phase], Mapping[str, float]] | None = None) -> bytes:
    """Each server's level over time; ``thin``, as TABLE.QUANTITY, is drawn beside it, dashed."""
    seen = record.tables[table]
    curves = {name: (seen.times, seen.columns[f"{name}.{quantity}"]) for name in COLOURS}
    beside = {}
    if thin:
        other, _, what = thin.partition(".")
        table_of_it = record.tables[other]
        beside = {name: (table_of_it.times, table_of_it.columns[f"{name}.{what}"])
                  for name in COLOURS}
    return _timeline(record, curves, label, due, None, beside)


_Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def _timeline(
    record: Record, curves: _Curves, label: str,
    due: Callable[[Phase], Mapping[str, float]] | None, top: float | None,
    beside: _Curves | None = None,
) -> bytes:
    with mpl.rc_context(STYLE):
        figure, axes = _figure()
        for name, (times, values) in (beside or {}).items():
            axes.plot(times, values, color=COLOURS[name], linewidth=1.0, linestyle=(0, (3, 2)),
                      alpha=0.7)
        for name, (times, values) in curves.items():
            # the first is the widest: lines that lie on each other are all seen
            axes.plot(times, values, color=COLOURS[name], linewidth=_WIDTHS[name], label=name)
        for phase in record.phases if due else ():
            for name, level in due(phase).items() if due else ():
                axes.hlines(level, phase.asked_s, phase.until_s, color=COLOURS[name],
                            linewidth=0.9, linestyle=":")
        _mark(axes, record.phases, record.exchanges)
        axes.set_xlabel("seconds")
        axes.set_ylabel(label)
        axes.set_ylim(0, top)
        axes.set_xlim(min(times[0] for times, _ in curves.values()),
                      max(phase.until_s for phase in record.phases))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return png(figure)


def _mark(axes: Any, phases: Sequence[Phase], exchanges: Sequence[Exchange]) -> None:
    """Name the phases above, and draw a line where a request reached nova."""
    named = [phase for phase in phases if phase.due]
    for number, phase in enumerate(named):
        above = 0.06 * (number % 2) if len(named) > _NAMES_IN_A_ROW else 0.0
        axes.text((phase.asked_s + phase.until_s) / 2, 1.02 + above, phase.name, fontsize=8,
                  color=_GREY, ha="center", va="bottom", transform=axes.get_xaxis_transform())
        axes.axvspan(phase.asked_s, phase.until_s, color="#f4f6f8", zorder=0)
    for number, exchange in enumerate(exchanges):
        axes.axvline(exchange.sent_s, color=_GREY, linewidth=0.8, linestyle="--")
        *_, server, value = exchange.words.split()
        axes.annotate(f"{server.rpartition('-')[2].upper()} {value}",
                      (exchange.sent_s, 0.02 + 0.06 * (number % 2)), rotation=0, fontsize=7.5,
                      xycoords=axes.get_xaxis_transform(), color=_GREY, ha="right",
                      xytext=(-2, 0), textcoords="offset points")


def _slopes(
    table: Table, column: str, smooth_s: float, scale: float
) -> tuple[list[float], list[float]]:
    step = smooth_s / 4
    times, values = [], []
    moment = table.times[0] + smooth_s / 2
    while moment <= table.times[-1] - smooth_s / 2:
        grown = (table.at(column, moment + smooth_s / 2) - table.at(column, moment - smooth_s / 2))
        times.append(moment)
        values.append(grown / smooth_s * scale)
        moment += step
    return times, values


_MEASURES: tuple[tuple[str, Callable[[Speed], float]], ...] = (
    ("requests a second", lambda speed: speed.per_s), ("p50, ms", lambda speed: speed.p50_ms),
    ("p99, ms", lambda speed: speed.p99_ms))


def load(answered: Sequence[Answered]) -> bytes:
    """Throughput and latency of each pair, under each load."""
    looks = [(operation, _OURS if operation == ours else _NOVAS, "//" if number else "")
             for number, (ours, novas) in enumerate(PAIRS) for operation in (ours, novas)]
    return _speeds(answered, looks)


def many(answered: Sequence[Answered]) -> bytes:
    """The same of a change of several servers, beside one of one server and nova's own."""
    return _speeds(answered, [(MANY, _OURS, ""), (ONE, "#56B4E9", ""), (NOVAS, _NOVAS, "")])


def _speeds(answered: Sequence[Answered], looks: Sequence[tuple[str, str, str]]) -> bytes:
    """Bars of operations, each with its colour and hatching."""
    loads = sorted({each.clients for each in answered})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
        for axes, (title, of) in zip(figure.subplots(1, 3), _MEASURES, strict=True):
            for number, (operation, colour, hatch) in enumerate(looks):
                heights = [of(Speed.of([each for each in answered if (
                    each.clients, each.operation) == (clients, operation)])) for clients in loads]
                places = [index + (number - (len(looks) - 1) / 2) * 0.2
                          for index in range(len(loads))]
                axes.bar(places, heights, 0.18, label=operation, color=colour, hatch=hatch,
                         edgecolor="white")
            axes.set_title(title, fontsize=9.5, color=_GREY)
            axes.set_xticks(range(len(loads)), [f"{clients} clients" for clients in loads])
            axes.grid(visible=False, axis="x")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=4)
        return png(figure)


def peers(changes: Sequence[Change]) -> bytes:
    """The time until the host holds a change, by each way, on a scale of powers of ten."""
    resources = list(dict.fromkeys(each.resource for each in changes))
    colours = dict(zip(Way, (_NOVAS, _OURS, "#56B4E9", "#E69F00"), strict=True))
    with mpl.rc_context(STYLE):
        figure, axes = _figure()
        for number, way in enumerate(Way):
            places = [index + (number - 1.5) * 0.2 for index in range(len(resources))]
            heights = [held_s(changes, resource, way) * 1000 for resource in resources]
            axes.bar(places, heights, 0.18, label=way.named, color=colours[way])
        axes.set_yscale("log")
        axes.set_ylabel("ms until the host holds it")
        axes.set_xticks(range(len(resources)), resources)
        axes.grid(visible=False, axis="x")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return png(figure)


def edits(changes: Sequence[Change]) -> bytes:
    """Of each edit of a policy, when each server held it."""
    edits_made = list(dict.fromkeys((each.way, each.round) for each in changes))
    places = {edit: number + 1 for number, edit in enumerate(edits_made)}
    with mpl.rc_context(STYLE):
        figure, axes = _figure()
        for number, (label, colour) in enumerate(COLOURS.items()):
            own = [each for each in changes if each.resource == label]
            axes.plot([places[each.way, each.round] + (number - 1) * 0.15 for each in own],
                      [each.held_s for each in own], "o", color=colour, label=label)
        for way in dict.fromkeys(way for way, _ in edits_made):
            axes.annotate(way.named, (places[way, 0], 1.01), fontsize=8, color=_GREY,
                          xycoords=axes.get_xaxis_transform())
        axes.set_xticks(list(places.values()))
        axes.set_xlabel("edit")
        axes.set_ylabel("seconds until the server holds it")
        axes.set_ylim(0, 1.1 * max(each.held_s for each in changes))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return png(figure)


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    return figure, figure.subplots()


def png(figure: Figure) -> bytes:
    """A figure as a file."""
    buffer = io.BytesIO()
    # the same figures give the same file
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
