# SPDX-License-Identifier: Apache-2.0
"""What was measured, beside what the thesis has and beside what is wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NEVER = "not before the phase ended"
_UNEXPLAINED = "nothing of what was looked at explains it"


@dataclass(frozen=True)
class Verdict:
    """One figure. ``ours`` None: what was waited for did not come. ``target``: the most that it
    may be; None: there is none. ``why``: what else was seen, for a figure that misses it."""

    what: str
    ours: float | None
    unit: str
    thesis: str = ""
    target: float | None = None
    why: Sequence[str] = ()

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.ours is not None and self.ours <= self.target

    @property
    def ours_written(self) -> str:
        return NEVER if self.ours is None else written(self.ours, self.unit)

    @property
    def target_written(self) -> str:
        if self.target is None:
            return ""
        return "none" if self.target == 0 else f"at most {written(self.target, self.unit)}"

    @property
    def missed_by(self) -> str:
        """By how much, and why; empty where it is not missed."""
        if self.met is not False or self.target is None:
            return ""
        by = ("" if self.ours is None
              else f"by {written(self.ours - self.target, self.unit)}: ")
        return by + ("; ".join(self.why) or _UNEXPLAINED)


@dataclass(frozen=True)
class Grid:
    """A table of the report."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A plot of the report: a PNG file."""

    name: str
    title: str
    png: bytes


@dataclass
class Section:
    """One experiment of the report. ``absent``: why there is nothing of it."""

    name: str
    title: str
    text: str
    verdicts: list[Verdict] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    absent: str = ""

    def add(
        self, judged: tuple[Sequence[Verdict], Sequence[Grid]], title: str, png: bytes
    ) -> None:
        """Another plot, and what was judged by the same figures."""
        self.verdicts += judged[0]
        self.grids += judged[1]
        number = len(self.pictures) + 1
        name = self.name if number == 1 else f"{self.name}-{number}"
        self.pictures.append(Picture(name, title, png))


def written(value: float, unit: str) -> str:
    """A number with its unit, as exact as one wants to read it."""
    digits = 0 if unit in ("ms", "") or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}".rstrip()


def signed_percent(error: float) -> str:
    """0.0312 is +3.1 %."""
    return f"{error * 100:+.1f} %"


def largest(values: Iterable[float | None]) -> float | None:
    """The largest; None if one of them never came.

    :raises ValueError: there are none
    """
    found = list(values)
    return None if None in found else max(value for value in found if value is not None)
