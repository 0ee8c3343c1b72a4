# SPDX-License-Identifier: Apache-2.0
"""The picture of before and after in README.rst, drawn from the figures of the evaluation's page.

``python -m tools.before_after`` draws it again; a test compares it. The page is written by
``tools/evaluate.sh --write-doc`` from a run on real guests: no figure stands in this file.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]
README, MEASURED = _ROOT / "README.rst", _ROOT / "doc/source/admin/evaluation.rst"
_BEGIN, _END = ".. picture-begins\n", ".. picture-ends\n"
_WIDEST = 20
_NUMBERS = re.compile(r"(VM\d) ([+-]?[\d.]+)")
_HEAD = f"{'':<20}{'before':<32}{'after':<32}in force after\n"

Parts = dict[str, float]


class Change(NamedTuple):
    """What servers received before and after settings changed while all of them were busy."""

    resource: str
    unit: str
    before: Parts
    after: Parts
    #: From the last request until the new division was there and stayed.
    held_s: str


def picture() -> str:
    """The block of README.rst as it is to be."""
    drawn = [line for change in changes(MEASURED.read_text()) for line in _lines(change)]
    return "::\n\n" + "".join(f"    {line}".rstrip() + "\n" for line in (_HEAD, *drawn)) + "\n"


def changes(page: str) -> Iterator[Change]:
    """Those of the page that reallocate while every server wants more."""
    yield _memory(_table(page, "Memory, figure 5.2", "Each move"))
    before, after, *_ = _table(page, "CPU shares, figure 5.5", "Each phase")
    yield Change("CPU time", "%", _divided(before, 100), _divided(after, 100), after[2])
    before, after = _table(page, "I/O weights change while all write", "Each phase")
    yield Change("disk writes", "MiB/s", _divided(before), _divided(after), after[2])
    before, *_, after = _table(page, "Network priorities, figure 5.11", "Each phase")
    yield Change("network, sent", "Mbit/s", _parts(before[2]), _parts(after[2]), after[3])


def _memory(moves: list[list[str]]) -> Change:
    """Two moves, and two back to what was there before."""
    sizes = [(f"VM{each[0].split()[2][-1]}", float(each[0].split()[3])) for each in moves]
    there, back = dict(sizes[:2]), dict(sizes[2:])
    return Change("memory", "MiB", dict(sorted(back.items())), there,
                  f"{sum(float(move[1].removesuffix(' s')) for move in moves[:2]):.2g} s")


def _divided(phase: list[str], total: float = 0) -> Parts:
    """What each received of a phase that tells weights, how far off them it was, and the sum."""
    weights, off = _parts(phase[1]), _parts(phase[3])
    total = total or float(phase[4].split()[0])
    return {name: total * weight / sum(weights.values()) * (1 + off[name] / 100)
            for name, weight in weights.items()}


def _parts(cell: str) -> Parts:
    return {name: float(value) for name, value in _NUMBERS.findall(cell)}


def _table(page: str, section: str, title: str) -> list[list[str]]:
    """The cells of a table, row by row, without its head."""
    text = page.partition(f"\n{section}\n")[2].partition(f".. list-table:: {title}\n")[2]
    body = re.match(r"(?:   .*\n|\n)+", text)
    if body is None:
        raise ValueError(f"the evaluation's page has no table '{title}' in '{section}'")
    rows = re.split(r"^   \* - ", body[0], flags=re.MULTILINE)[2:]
    return [[cell.strip() for cell in re.split(r"^     - ", row, flags=re.MULTILINE)]
            for row in rows]


def _lines(change: Change) -> Iterator[str]:
    largest = max(*change.before.values(), *change.after.values())
    for place, name in enumerate(change.before):
        bars = "".join(
            f"{'#' * round(_WIDEST * parts[name] / largest)} {_told(parts[name])}".ljust(32)
            for parts in (change.before, change.after))
        label = (change.resource, change.unit)[place] if place < 2 else ""
        held = "at once" if change.held_s == "0 s" else change.held_s
        yield f"{label:<14}{name.lower():<6}{bars}{held if place == 0 else ''}\n"
    yield "\n"


def _told(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def drawn(readme: str) -> str:
    """README.rst with the picture as it is to be."""
    head, _, rest = readme.partition(_BEGIN)
    return f"{head}{_BEGIN}\n{picture()}{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    README.write_text(drawn(README.read_text()))
