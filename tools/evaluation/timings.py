# SPDX-License-Identifier: Apache-2.0
"""Requests and changes that were timed one by one, as they lie in CSV files."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.evaluation import records

_LOAD_HEADS = ("clients", "operation", "round", "started_s", "seconds", "status")
_LOAD_FILE = "requests.csv"
_CHANGE_HEADS = ("resource", "way", "round", "held_s", "ended_s")
_CHANGE_FILE = "changes.csv"


@dataclass(frozen=True)
class Answered:
    """A request under load, by so many clients: it was sent so long after the first of all, and
    took so long. ``status`` 0: nobody answered."""

    clients: int
    operation: str
    round: int
    started_s: float
    seconds: float
    status: int

    @property
    def is_error(self) -> bool:
        return not 200 <= self.status < 300


class Way(enum.StrEnum):
    """How a change is asked for."""

    BARE = "bare"
    API = "API"
    NOVA = "nova"
    OPENSTACK = "openstack"

    @property
    def named(self) -> str:
        """For people."""
        return {Way.BARE: "virsh or tc", Way.API: "nova's API", Way.NOVA: "the command nova",
                Way.OPENSTACK: "the command openstack"}[self]


@dataclass(frozen=True)
class Change:
    """A change: the host held it so long after it was begun, and asking was over after so long."""

    resource: str
    way: Way
    round: int
    held_s: float
    ended_s: float


def save_answered(answered: Iterable[Answered], directory: Path) -> None:
    """Write them below the directory."""
    records.write_rows(directory / _LOAD_FILE, _LOAD_HEADS, (
        (each.clients, each.operation, each.round, each.started_s, each.seconds, each.status)
        for each in answered))


def load_answered(directory: Path) -> list[Answered]:
    """What ``save_answered`` has written."""
    return [Answered(int(row["clients"]), row["operation"], int(row["round"]),
                     float(row["started_s"]), float(row["seconds"]), int(row["status"]))
            for row in records.read_rows(directory / _LOAD_FILE)]


def save_changes(changes: Iterable[Change], directory: Path) -> None:
    """Write them below the directory."""
    records.write_rows(directory / _CHANGE_FILE, _CHANGE_HEADS, (
        (each.resource, each.way, each.round, each.held_s, each.ended_s) for each in changes))


def load_changes(directory: Path) -> list[Change]:
    """What ``save_changes`` has written."""
    return [Change(row["resource"], Way(row["way"]), int(row["round"]), float(row["held_s"]),
                   float(row["ended_s"])) for row in records.read_rows(directory / _CHANGE_FILE)]
