# SPDX-License-Identifier: Apache-2.0
"""The plan of a host: what each of its servers gets, given what all of them ask for. Pure.

The kernel has no minimum of CPU time. A guarantee of it is a weight that is raised until the
server's part of the host is as large; the weights of all servers decide how far that is.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED

#: Weights are whole numbers, so a part may miss its guarantee by as much.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Capacity:
    """What a host has for its servers.

    ``cpu_percent`` is 100 for each processor that they may share, ``memory_mib`` what the host
    does not keep for itself. ``most_shares`` is the largest number of CPU shares that it can hold.
    """

    cpu_percent: int
    memory_mib: int
    most_shares: int


@dataclass(frozen=True)
class Asked:
    """What one server asks for: CPU shares, and what it is guaranteed of CPU time (in percent of
    one CPU) and of memory; 0 = nothing."""

    shares: int
    cpu_percent: int = 0
    memory_mib: int = 0


@dataclass(frozen=True)
class Granted:
    """What one server gets: the CPU shares to write, and as much of its guarantees as the host
    can keep."""

    shares: int
    cpu_percent: int = 0
    memory_mib: int = 0


def plan(all_asked: Mapping[str, Asked], capacity: Capacity) -> dict[str, Granted]:
    """What each server gets.

    Guarantees that are more than the host has are all scaled down by one factor.
    """
    percent = _scaled({name: each.cpu_percent for name, each in all_asked.items()},
                      capacity.cpu_percent)
    memory_mib = _scaled({name: each.memory_mib for name, each in all_asked.items()},
                         capacity.memory_mib)
    shares = _raised(all_asked, percent, capacity)
    whole = sum(shares.values())
    return {
        name: Granted(
            shares[name],
            kept(asked.cpu_percent, capacity.cpu_percent * shares[name] / whole),
            math.floor(memory_mib[name]))
        for name, asked in all_asked.items()}


def require_room(all_asked: Mapping[str, Asked], name: str, capacity: Capacity) -> None:
    """Refuse what a server asks for where the host cannot keep it beside what it has promised to
    its other servers.

    :raises HostRefused: with the numbers
    """
    asked = all_asked[name]
    others = [each for other, each in all_asked.items() if other != name]
    if asked.cpu_percent:
        require_left("cpu_guarantee", "percent of one CPU", asked.cpu_percent,
                 (each.cpu_percent for each in others), capacity.cpu_percent)
        granted = plan(all_asked, capacity)[name]
        if granted.cpu_percent < asked.cpu_percent:
            raise errors.HostRefused(
                f"cpu_guarantee: {asked.cpu_percent} percent of one CPU would need more than the "
                f"{capacity.most_shares} CPU shares that this host can give a server; with them "
                f"it gets {granted.cpu_percent}. Lower the priorities of others, or ask for less")
    if asked.memory_mib:
        require_left("memory_guarantee", "MiB", asked.memory_mib,
                 (each.memory_mib for each in others), capacity.memory_mib)


def cpu_readings(
    shares: Reading, asked: Asked | None, granted: Granted, all_percent: Iterable[int],
    capacity: Capacity,
) -> dict[str, Reading]:
    """The CPU priority and guarantee of a server, which its host holds as one number of shares.

    :param shares: that number, as it was read
    :param all_percent: what all servers of the host are guaranteed
    """
    if asked is None or not asked.cpu_percent:
        return {"cpu_priority": shares, "cpu_guarantee": Reading(UNLIMITED)}
    if not shares.holds(granted.shares):
        # another program changed them; with more, the guarantee is kept nevertheless
        part = asked.cpu_percent * (shares.applied or 0) // granted.shares
        return {"cpu_priority": shares, "cpu_guarantee": Reading(min(part, asked.cpu_percent))}
    priority = shares if granted.shares == asked.shares else replace(
        shares, reason="raised by cpu_guarantee", span=(asked.shares, asked.shares),
        details={**shares.details, "asked": asked.shares})
    why_less = overdrawn("cpu_guarantee", "percent of one CPU", all_percent, capacity.cpu_percent)
    return {"cpu_priority": priority, "cpu_guarantee": reading_of(
        asked.cpu_percent, granted.cpu_percent, why_less or (
            f"cpu_guarantee: with the most CPU shares that this host can give a server, it gets "
            f"{granted.cpu_percent} percent of one CPU"))}


def why_less_memory(all_mib: Iterable[int], capacity: Capacity) -> str | None:
    """Say by how much the memory that servers are guaranteed is more than the host has; None when
    it can keep all."""
    return overdrawn("memory_guarantee", "MiB", all_mib, capacity.memory_mib)


def reading_of(asked: int, granted: int, why_less: str | None) -> Reading:
    """The reading of a guarantee that is kept, or kept in part."""
    if granted == asked:
        return Reading(asked)
    return Reading(granted, effective=False, reason=why_less, span=(asked, asked),
                   details={"asked": asked})


def overdrawn(field: str, unit: str, guarantees: Iterable[int], most: int) -> str | None:
    """Say by how much what servers are guaranteed is more than the host has; None when it can keep
    all."""
    whole = sum(guarantees)
    if whole <= most:
        return None
    return (f"{field}: this host's servers are guaranteed {whole} {unit} together and can have "
            f"{most}, so all their guarantees are reduced in proportion")


def require_left(field: str, unit: str, asked: int, others: Iterable[int], most: int) -> None:
    """Refuse a guarantee that the host cannot keep beside those of its other servers.

    :raises HostRefused: with the numbers
    """
    promised = sum(others)
    if asked + promised > most:
        raise errors.HostRefused(
            f"{field}: this host can guarantee {most} {unit} to its servers and has promised "
            f"{promised} to others, so {max(0, most - promised)} are left, less than {asked}")


def _scaled(guarantees: Mapping[str, int], capacity: int) -> dict[str, float]:
    whole = sum(guarantees.values())
    factor = min(1.0, capacity / whole) if whole else 1.0
    return {name: each * factor for name, each in guarantees.items()}


def _raised(
    all_asked: Mapping[str, Asked], percent: Mapping[str, float], capacity: Capacity
) -> dict[str, int]:
    """The shares of each server: its own, or as many as its guarantee needs where they are too few.

    With L the level at which sum(max(guarantee, L x shares)) is all that there is, a server gets
    max(shares, guarantee / L) shares.
    """
    level = max(
        _level(all_asked, percent, capacity.cpu_percent),
        # where a server would need more shares than there can be, all get less in proportion
        max(percent.values(), default=0.0) / capacity.most_shares)
    return {name: max(asked.shares, min(math.ceil(percent[name] / level), capacity.most_shares))
            if percent[name] else asked.shares for name, asked in all_asked.items()}


def _level(all_asked: Mapping[str, Asked], percent: Mapping[str, float], whole: float) -> float:
    """The percent of one CPU that one share stands for, for those that are not raised."""
    left, shares = whole, sum(each.shares for each in all_asked.values())
    # those that are furthest below their guarantee first: after one that is not, none is
    for name in sorted(all_asked, key=lambda name: -percent[name] / all_asked[name].shares):
        asked = all_asked[name]
        if percent[name] * shares <= left * asked.shares or shares == asked.shares:
            break
        left, shares = left - percent[name], shares - asked.shares
    return left / shares if shares else 0.0


def kept(asked: int, part: float) -> int:
    """How much of a guarantee a part keeps, which is a whole number of something and may be a
    little less."""
    return asked if part >= asked * (1 - _ROUNDING) else math.floor(part)
