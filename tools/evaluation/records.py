# SPDX-License-Identifier: Apache-2.0
"""What was seen in an experiment, as it lies in CSV files; times are seconds since its start."""

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PHASES, _EXCHANGES = "phases", "commands"
_PHASE_HEADS = ("phase", "typed_s", "asked_s", "until_s")
_EXCHANGE_HEADS = ("command", "typed_s", "sent_s", "answered_s", "ended_s")


@dataclass(frozen=True)
class Table:
    """Numbers over time: ascending ``times``, and as many values in each column."""

    times: Sequence[float]
    columns: Mapping[str, Sequence[float]]

    def at(self, column: str, time_s: float) -> float:
        """The value at that time, on a straight line between the two nearest; before the first
        and after the last, that one.

        :raises ValueError: there is no row at all
        """
        if not self.times:
            raise ValueError(f"nothing was seen of {column}")
        values = self.columns[column]
        after = bisect_left(self.times, time_s)
        if after == 0 or after == len(self.times):
            return values[min(after, len(values) - 1)]
        before = after - 1
        part = (time_s - self.times[before]) / (self.times[after] - self.times[before])
        return values[before] + part * (values[after] - values[before])

    def between(self, column: str, begin_s: float, end_s: float) -> Sequence[float]:
        """The values seen from begin to end, both included."""
        first, last = bisect_left(self.times, begin_s), bisect_right(self.times, end_s)
        return self.columns[column][first:last]


@dataclass(frozen=True)
class Exchange:
    """A command: when it was typed, when its request reached nova, when nova had answered, when
    the command ended."""

    words: str
    typed_s: float
    sent_s: float
    answered_s: float
    ended_s: float


@dataclass(frozen=True)
class Phase:
    """A time in which the same is ``due``: what each server should have, those that take part.

    Everything for it was asked by ``asked_s``; the first of its commands was typed at ``typed_s``.
    """

    name: str
    typed_s: float
    asked_s: float
    until_s: float
    due: Mapping[str, float]


@dataclass
class Record:
    """All of one experiment."""

    tables: dict[str, Table] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    def phase(self, name: str) -> Phase:
        """The phase of that name.

        :raises KeyError: there is none
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)


def save(record: Record, directory: Path) -> None:
    """Write a CSV file for each table, one for the phases, and one for the commands."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, table in record.tables.items():
        columns = list(table.columns)
        rows = zip(table.times, *(table.columns[each] for each in columns), strict=True)
        write_rows(directory / f"{name}.csv", ("seconds", *columns), rows)
    labels = sorted({label for phase in record.phases for label in phase.due})
    write_rows(directory / f"{_PHASES}.csv", (*_PHASE_HEADS, *labels), (
        (phase.name, phase.typed_s, phase.asked_s, phase.until_s,
         *(phase.due.get(label, "") for label in labels)) for phase in record.phases))
    write_rows(directory / f"{_EXCHANGES}.csv", _EXCHANGE_HEADS, (
        (each.words, each.typed_s, each.sent_s, each.answered_s, each.ended_s)
        for each in record.exchanges))


def load(directory: Path) -> Record:
    """What ``save`` has written there.

    :raises OSError: there is nothing
    """
    record = Record()
    for row in read_rows(directory / f"{_PHASES}.csv"):
        name, typed, asked, until = (row.pop(head) for head in _PHASE_HEADS)
        due = {label: float(value) for label, value in row.items() if value}
        record.phases.append(Phase(name, float(typed), float(asked), float(until), due))
    for row in read_rows(directory / f"{_EXCHANGES}.csv"):
        words, *times = (row[head] for head in _EXCHANGE_HEADS)
        record.exchanges.append(Exchange(words, *map(float, times)))
    for path in sorted(directory.glob("*.csv")):
        if path.stem not in (_PHASES, _EXCHANGES):
            record.tables[path.stem] = _read_table(path)
    return record


def write_rows(path: Path, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file; numbers with a fraction have at most six digits of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        for row in rows:
            writer.writerow([round(cell, 6) if isinstance(cell, float) else cell for cell in row])


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by their heads."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _read_table(path: Path) -> Table:
    with path.open(newline="") as file:
        heads, *rows = csv.reader(file)
    values = [[float(row[index]) for row in rows] for index in range(len(heads))]
    return Table(values[0], dict(zip(heads[1:], values[1:], strict=True)))
