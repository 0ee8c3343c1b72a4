# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as a whole, as the API tells of them; ``nova_qos.client`` asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: Whether the agent of a host answers; ``older``: it does not know the question; ``unknown``: the
#: host's cell does not answer.
Agent = Literal["up", "down", "older", "unknown"]
State = Literal["calm", "tense", "short"]
#: The families of resources that a host shares among its servers, and what the kernel tells the
#: pressure of.
FAMILIES, PRESSED = ("memory", "cpu", "net", "net_in"), ("memory", "cpu", "io")


@dataclass(frozen=True)
class Use:
    """The sums of one family of resources over the servers that run, in ``unit``.

    ``capacity`` is what can be guaranteed to all of them; None for nothing. ``requested`` and
    ``applied`` are the most that they are to have, and have; -1: one of them has no limit.
    ``short``: by how much ``guaranteed`` is more than the capacity. ``unread``: of how many servers
    nobody can tell what is applied. All are None where nobody has told.
    """

    unit: str
    capacity: int | None
    guaranteed: int | None
    requested: int | None
    applied: float | None
    short: int | None
    unread: int | None


@dataclass(frozen=True)
class Memory(Use):
    """Memory in MiB: the host's own, and what placement sold of it.

    ``total`` and ``available`` are the kernel's. ``flavors`` is the sum of the flavors of all
    servers, ``flavors_running`` of those that run, ``needs`` what these need, and
    ``needs_unmanaged`` the part of it that belongs to guests which cannot give memory back.
    ``allocation_ratio`` is placement's, ``fitting_ratio`` the one that fits the servers there.
    """

    total: int | None
    available: int | None
    flavors: int | None
    flavors_running: int | None
    needs: int | None
    needs_unmanaged: int | None
    allocation_ratio: float | None
    fitting_ratio: float | None


@dataclass(frozen=True)
class Pressure:
    """The percent of the last ten seconds in which some, and all, tasks have waited."""

    some: float | None
    full: float | None


@dataclass(frozen=True)
class Short:
    """So many MiB are missing, since then (ISO 8601, UTC)."""

    mib: int
    since: str


@dataclass(frozen=True)
class Placed:
    """A server of a host; memory and disk in MiB.

    ``need`` is what it needs of the host's memory, ``guaranteed`` what it is guaranteed, by
    ``FAMILIES``; ``resident`` what its QEMU has of the host's memory, None where nobody can tell,
    and ``disk`` what its disks on the host hold at most. ``fixed`` says why it cannot move.
    """

    id: str
    name: str
    running: bool
    flavor: int
    need: int
    guaranteed: Mapping[str, int]
    applied: float | None
    resident: int | None
    disk: int
    fixed: str | None
    paused: bool
    memory_priority: int


@dataclass(frozen=True)
class Balancing:
    """What balancing does on a host; memory in MiB, the others are numbers of servers.

    ``mode`` is off, report or on, ``state`` as ``HostState`` has it, and ``reasons`` say why.
    ``room`` is there for the servers that are ``managed``; these have ``lent`` of their guarantees,
    and are ``lacking`` what they need. Some are ``distressed``: they swap for lack of memory; some
    hold (``holds``) what they took back; ``stuck``: a balloon does not follow; ``stale``: a guest
    has not reported lately. ``moves`` counts how often a balloon was told another size.
    """

    mode: str | None
    state: State | None
    reasons: Sequence[str] | None
    room: int | None
    managed: int | None
    unmanaged: int | None
    lent: int | None
    lacking: int | None
    distressed: int | None
    holds: int | None
    stuck: int | None
    stale: int | None
    moves: int | None


@dataclass(frozen=True)
class PoliciesCopy:
    """What a host has of the named policies: their ``revision``, None for nothing, and the age of
    that in seconds; ``reason`` says why its agent could not fetch them last time."""

    revision: int | None
    age_s: int | None
    reason: str | None


@dataclass(frozen=True)
class HostState:
    """A compute host as a whole.

    ``age_s`` is the age of what the agent has told, in seconds, None where it has told nothing;
    ``reason`` says why it does not answer now. ``state``, since when, and ``reasons`` why; where it
    is short of memory, ``promised`` tells by how much what its servers are guaranteed or need is
    more than it has, ``now`` how much of that is missing at this moment. ``placed`` are its
    servers, None where they were not requested or not told.
    """

    name: str
    agent: Agent
    reason: str | None
    age_s: int | None
    servers: int | None
    running: int | None
    cpus: int | None
    state: State | None
    since: str | None
    reasons: Sequence[str]
    promised: Short | None
    now: Short | None
    memory: Memory
    uses: Mapping[str, Use]
    pressure: Mapping[str, Pressure]
    balancing: Balancing
    policies: PoliciesCopy
    placed: Sequence[Placed] | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "HostState":
        """The host as the API describes it; what an API of another release leaves out is None."""
        short = body.get("short") or {}
        memory = _fields(Memory, body.get("memory") or {})
        return cls(
            body["name"], body.get("agent", "unknown"), body.get("reason"), body.get("age_s"),
            body.get("servers"), body.get("running"), body.get("cpus"), body.get("state"),
            body.get("since"), body.get("reasons") or [], _short(short.get("promised")),
            _short(short.get("now")), memory,
            {name: memory if name == "memory" else _fields(Use, body.get(name) or {})
             for name in FAMILIES},
            {name: _fields(Pressure, (body.get("pressure") or {}).get(name) or {})
             for name in PRESSED},
            _fields(Balancing, body.get("balancing") or {}),
            _fields(PoliciesCopy, body.get("policies") or {}),
            None if body.get("placed") is None else [
                _fields(Placed, each) for each in body["placed"]])


def _fields(kind: type[Any], body: Mapping[str, Any]) -> Any:
    return kind(**{name: body.get(name) for name in kind.__dataclass_fields__})


def _short(body: Mapping[str, Any] | None) -> Short | None:
    return Short(body["mib"], body["since"]) if body else None
