# SPDX-License-Identifier: Apache-2.0
"""Plots of a host's report, as SVG to put into a page. Needs matplotlib."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# matplotlib has types for most of itself, and none for dates
_DATES: Any = dates
#: For eyes of every kind.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a5195", "#5f6b7a")
_GREY, _PROMISED, _RECEIVED = "#5f6b7a", "#b8c2cc", "#0072B2"
_STYLE: Any = {
    "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": _GREY, "axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY,
    "axes.grid": True, "grid.color": "#e6e9ed", "grid.linewidth": 0.8, "axes.axisbelow": True,
    "legend.frameon": False, "figure.facecolor": "white",
    # letters stay letters, and a name with dollar signs is no formula
    "svg.fonttype": "none", "font.family": "sans-serif", "text.parse_math": False,
}
_WIDTH, _BAR, _EDGES, _LONGEST = 9.0, 0.2, 1.1, 32
#: How many servers a plot can show.
MOST_BARS, MOST_CURVES = 40, len(_COLOURS)

#: What is promised and received, by name.
Pair = tuple[str, float | None, float | None]
Points = Sequence[tuple[float, float | None]]


def pairs(found: Sequence[Pair], label: str, about: str) -> str:
    """Promised beside received, a pair of bars for each server; one bar where nothing is known of
    what was received."""
    both = any(received is not None for _name, _promised, received in found)

    def draw(axes: Axes) -> None:
        places = range(len(found))
        height = 0.38 if both else 0.6
        axes.barh([place - height / 2 if both else place for place in places],
                  [promised or 0 for _name, promised, _received in found], height,
                  color=_PROMISED, label="promised")
        if both:
            axes.barh([place + height / 2 for place in places],
                      [received or 0 for _name, _promised, received in found], height,
                      color=_RECEIVED, label="received")
        _name_bars(axes, [name for name, *_ in found])
        axes.set_xlabel(label)
        _legend(axes)

    return _svg(draw, _EDGES + (2 if both else 1) * _BAR * len(found), about)


def bars(found: Sequence[tuple[str, float, str]], label: str, about: str) -> str:
    """A bar for each name, in percent, with words at its end; a line stands at 100."""
    def draw(axes: Axes) -> None:
        axes.barh(range(len(found)), [percent for _name, percent, _words in found], 0.6, color=[
            _COLOURS[1] if percent > 100 else _RECEIVED for _name, percent, _words in found])
        for place, (_name, percent, words) in enumerate(found):
            axes.annotate(words, (percent, place), (4, 0), textcoords="offset points", va="center")
        axes.axvline(100, color=_GREY, linewidth=1)
        axes.set_xlim(0, 1.45 * max(100.0, *(percent for _name, percent, _words in found)))
        _name_bars(axes, [name for name, *_ in found])
        axes.set_xlabel(label)

    return _svg(draw, _EDGES + 1.6 * _BAR * len(found), about)


def curves(
    found: Mapping[str, tuple[str, Points]], threshold: float, label: str, about: str
) -> str:
    """A curve over time for each name, by id, with a line at a threshold."""
    def draw(axes: Axes) -> None:
        for colour, (name, points) in zip(_COLOURS, found.values(), strict=False):
            axes.plot([_day(at_s) for at_s, _value in points],
                      [float("nan") if value is None else value for _at_s, value in points],
                      color=colour, linewidth=1.6, label=_cut(name), marker=".", markersize=2.5)
        axes.axhline(threshold, color=_GREY, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_ylim(bottom=0)
        axes.xaxis.axis_date(UTC)
        locator: Any = axes.xaxis.get_major_locator()
        axes.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator, tz=UTC))
        axes.set_ylabel(label)
        _legend(axes)

    return _svg(draw, 3.4, about)


def _svg(draw: Callable[[Axes], None], height: float, about: str) -> str:
    # no ids are alike in one page
    style = {**_STYLE, "svg.hashsalt": about}
    with warnings.catch_warnings(), mpl.rc_context(style):
        # letters that our font lacks are drawn with one of the reader's
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(
            ("Date", "Creator", "Format", "Type")))
    drawn = out.getvalue()
    # of the document alone that is embedded in a page
    return drawn[drawn.index("<svg"):]


def _name_bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_cut(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8.5)


def _day(at_s: float) -> float:
    return float(_DATES.date2num(datetime.fromtimestamp(at_s, UTC)))


def _cut(name: str) -> str:
    # XML has no control characters, and a legend leaves out what begins with an underscore
    seen = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)
    seen = f"\N{ZERO WIDTH SPACE}{seen}" if seen.startswith("_") else seen
    return seen if len(seen) <= _LONGEST else f"{seen[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}"
