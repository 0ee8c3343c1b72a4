# SPDX-License-Identifier: Apache-2.0
"""The report of a host as one HTML page that needs nothing beside itself: no scripts, no images,
styles and fonts from elsewhere."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from novaclient_qos.report import plots, rows
from novaclient_qos.report.figures import Figures, Server
from novaclient_qos.report.history import HUNGRY, History, Received
from novaclient_qos.report.rows import Table

_STYLE = """\
body { font: 15px/1.5 sans-serif; color: #1d2733 }
body { max-width: 68em; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em }
svg { max-width: 100%; height: auto }
.calm { color: #00704f } .tense { color: #a65d00 } .short { color: #b3261e }
.wide { overflow-x: auto } figure { margin: 0 }
figcaption, .made { color: #5f6b7a; font-size: .9em }
table { border-collapse: collapse; font-size: .9em } th { text-align: left; white-space: nowrap }
th, td { padding: .3em .7em; border-bottom: 1px solid #e1e5ea; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }"""
_NOTHING = Received()
#: What a browser or a mail program may load for the page: nothing.
_SOURCES = "default-src 'none'; style-src 'unsafe-inline'"


def page(figures: Figures, made: datetime) -> str:
    """The whole page."""
    title = f"Guarantees and priorities on {figures.state.name}"
    return "\n".join((
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_SOURCES}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{_text(title)}</title>", f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="made">{_text(f"{made:%Y-%m-%d %H:%M} UTC")}</p>',
        *_state(figures), *_capacity(figures), *_received(figures), *_settings(figures),
        "</body></html>", ""))


def _state(figures: Figures) -> Iterator[str]:
    colour = figures.state.state or "unknown"
    for place, line in enumerate(rows.head(figures.state)):
        yield f'<p class="{_text(colour)}">{_text(line)}</p>' if place == 0 else (
            f"<p>{_text(line)}</p>")


def _capacity(figures: Figures) -> Iterator[str]:
    yield "<h2>Guarantees and capacity</h2>"
    found = [(name, 100 * use.guaranteed / use.capacity,
              f"{use.guaranteed} of {use.capacity} {use.unit}")
             for name, use in figures.state.uses.items()
             if use.guaranteed is not None and use.capacity]
    if found:
        yield _figure(plots.bars(found, "percent of the capacity", "capacity"),
                      "What servers that run are guaranteed together. Beyond the line, it is more "
                      "than the host can guarantee.")
    yield from _table(rows.capacity(figures.state))


def _received(figures: Figures) -> Iterator[str]:
    history = figures.history
    yield "<h2>CPU: promised and received</h2>" if history else "<h2>CPU: promised</h2>"
    if history is not None:
        yield from (f"<p>{_text(line)}</p>" for line in rows.past(history))
    found = [_pair(figures, each) for each in sorted(
        figures.servers, key=lambda each: _lack(figures.received(each) or _NOTHING, each))]
    shown = [each for each in found if each[1:] != (None, None)][:plots.MOST_BARS]
    if shown:
        yield _figure(
            plots.pairs(shown, "percent of the host's processors", "promised"),
            "Promised is what a server gets at least while all are busy. A server that received "
            "less and had no steal wanted no more." + _left(len(shown), len(found)))
    if history is not None and history.instance is not None:
        yield from _table(rows.received(figures))
        yield from _steal(figures, history)


def _pair(figures: Figures, server: Server) -> plots.Pair:
    found = figures.received(server)
    if found is None:
        return server.called, server.promised_percent.get("cpu_priority"), None
    return server.called, found.promised_percent, found.received_percent


def _lack(found: Received, server: Server) -> tuple[float, float, str]:
    """Those that were hungry longest come first, then those that received least of what they are
    promised."""
    lack = (found.received_percent or 0.0) - (found.promised_percent or 0.0)
    return -(found.hungry_hours or 0.0), lack, server.called


def _steal(figures: Figures, history: History) -> Iterator[str]:
    if not history.steal:
        return
    yield "<h2>Steal</h2>"
    names = {each.id: each.called for each in figures.servers}
    most = sorted(history.steal, key=lambda each: -max(
        (value or 0.0 for _at_s, value in history.steal[each]), default=0.0))[:plots.MOST_CURVES]
    found = {each: (names.get(each, each), history.steal[each]) for each in most}
    yield _figure(
        plots.curves(found, 100 * HUNGRY, "percent of the time with work", "steal"),
        "The part of the time with work in which a server waited for a processor. Above the line, "
        "it counts as hungry. Times are UTC." + _left(len(found), len(history.steal)))


def _settings(figures: Figures) -> Iterator[str]:
    yield "<h2>Settings</h2>"
    yield from _table(rows.settings(figures))


def _left(shown: int, there: int) -> str:
    return f" {shown} of {there} servers are shown, those with the worst figures." if (
        shown < there) else ""


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{_text(caption)}</figcaption></figure>"


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield "<p>None.</p>"
        return
    yield '<div class="wide"><table><tr>'
    yield from (f"<th>{_text(title)}</th>" for title in table.titles)
    yield "</tr>"
    for row in table.rows:
        yield f"<tr>{''.join(_cells(row))}</tr>"
    yield "</table></div>"


def _cells(row: Sequence[object]) -> Iterator[str]:
    for cell in row:
        value, words = rows.both(cell)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        yield f"<td{' class=n' if is_number else ''}>{_text(words)}</td>"


def _text(text: str) -> str:
    """Text for the page, whatever is in it: letters that HTML has not are replaced, too."""
    return escape("".join(
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}"
        for each in text))
