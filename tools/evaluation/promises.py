# SPDX-License-Identifier: Apache-2.0
"""What hosts promised when they were asked for too much, as it lies in a CSV file."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tools.evaluation import records

_FILE = "promised.csv"


@dataclass(frozen=True)
class Promised:
    """Each of so many ``servers`` asked for so much of a guarantee; so many were refused, and then
    the host had promised ``guaranteed`` of its ``capacity``."""

    setting: str
    unit: str
    each: int
    servers: int
    refused: int
    guaranteed: int
    capacity: int


def save(promised: Iterable[Promised], directory: Path) -> None:
    """Write them below the directory."""
    heads = [field.name for field in fields(Promised)]
    records.write_rows(directory / _FILE, heads, map(astuple, promised))


def load(directory: Path) -> list[Promised]:
    """What ``save`` has written."""
    return [Promised(row.pop("setting"), row.pop("unit"),
                     **{name: int(value) for name, value in row.items()})
            for row in records.read_rows(directory / _FILE)]
