# SPDX-License-Identifier: Apache-2.0
"""Whether a host can keep what its servers are promised, and what they need, from one look at all
of them. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nova_qos.core.balloon import Balloon
from nova_qos.core.room import Room
from nova_qos.core.server import Flavor
from nova_qos.core.units import KIB_PER_MIB, UNLIMITED

State = Literal["calm", "tense", "short"]

#: The part of a host's memory below which what is available is low. A balloon takes seconds to give
#: memory back, so who relieves a host must begin while there is some left: started at 15 percent,
#: hosts in simulations did not swap at all.
TENSE_SHARE = 0.15
#: The percent of the time in which some task waits for memory, from which on a host is tense. The
#: kernel tells it late, when it reclaims already; above 0, since one fault is no contention.
TENSE_PRESSURE = 1.0
#: The part below which nothing is left for anybody: the kernel itself keeps some percent as its
#: reserve and for caches of programs that run, and swaps from there on.
SHORT_SHARE = 0.05


@dataclass(frozen=True)
class Family:
    """What a host shares among its servers: ``most`` names the resource that says how much a server
    may have, ``guarantee`` the one that says how much it gets at least."""

    name: str
    unit: str
    most: str
    guarantee: str


FAMILIES = (
    Family("memory", "MiB", "memory", "memory_guarantee"),
    Family("cpu", "percent of one CPU", "cpu_limit", "cpu_guarantee"),
    Family("net", "kbit/s", "net_limit", "net_guarantee"),
    Family("net_in", "kbit/s", "net_in_limit", "net_in_guarantee"),
)


@dataclass(frozen=True)
class Placed:
    """A server that is on a host.

    By family, in the API's units: ``requested`` is the most that it is to have, ``applied`` what
    the host gives it at most (``UNLIMITED`` for no limit; None: it cannot be read), ``guaranteed``
    what it gets at least, 0 for nothing. ``balloon`` is that of a guest whose figures are known.
    One that does not run has none of these.
    """

    flavor: Flavor
    runs: bool
    requested: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, float | None] = field(default_factory=dict)
    guaranteed: Mapping[str, int] = field(default_factory=dict)
    balloon: Balloon | None = None


def need_mib(server: Placed, reserve_mib: int) -> int:
    """The memory that a server needs of its host, in MiB::

        max(guarantee, min(applied, applied - usable + reserve))

    What a guest uses cannot be taken without making it swap, and to leave it only that would have
    it swap at its next allocation: hence the reserve that the agent leaves to guests that it takes
    memory from. More than it has a guest cannot be using. What is guaranteed has to be there
    whenever the guest wants it, whether it uses it now or not, so that its need is no less.

    A guest whose balloon driver does not live, or whose report is overdue or missing, cannot give
    anything back: it needs all that it has, and as long as nobody can read that, its flavor's
    memory. A server that does not run needs nothing.

    :param reserve_mib: what is left to a guest beyond what it uses
    """
    if not server.runs:
        return 0
    applied = server.applied.get("memory")
    used = has = server.flavor.memory_mib if applied is None else math.ceil(applied)
    balloon = server.balloon
    if balloon is not None and balloon.alive and not balloon.overdue:
        used_kib = balloon.actual_kib - balloon.usable_kib
        used = min(has, math.ceil(used_kib / KIB_PER_MIB) + reserve_mib)
    return max(used, server.guaranteed.get("memory", 0))


@dataclass(frozen=True)
class Use:
    """The sums of one family over the servers of a host that run; ``UNLIMITED`` where one of them
    has no limit. ``unread``: of how many nobody can tell what is applied. ``capacity`` as
    ``Room.capacity`` has it."""

    capacity: int | None
    guaranteed: int
    requested: int
    applied: float
    unread: int

    @property
    def short(self) -> int:
        """By how much the guarantees are more than the capacity."""
        return 0 if self.capacity is None else max(0, self.guaranteed - self.capacity)


@dataclass(frozen=True)
class Summary:
    """All servers of a host together.

    ``flavors_mib`` is what all of them were sold, as placement counts it, and ``sold_mib`` the same
    of those that run; ``needs_mib`` what these need, and ``unmanaged_mib`` the part of it that
    belongs to guests which cannot give memory back.
    """

    servers: int
    running: int
    uses: Mapping[str, Use]
    flavors_mib: int
    sold_mib: int
    needs_mib: int
    unmanaged_mib: int

    @property
    def fitting_ratio(self) -> float | None:
        """The allocation ratio of memory with which placement would sell as much as servers like
        these would leave room for: what those that run were sold, over what they need. None while
        nothing runs. It has no cushion."""
        # rounded down: too high a ratio sells what is not there
        return math.floor(100 * self.sold_mib / self.needs_mib) / 100 if self.needs_mib else None


def summary(servers: Collection[Placed], room: Room, reserve_mib: int) -> Summary:
    """All servers of a host together.

    :param reserve_mib: see ``need_mib``
    """
    running = [each for each in servers if each.runs]
    needs = [need_mib(each, reserve_mib) for each in running]
    return Summary(
        len(servers), len(running), {each.name: _use(each, running, room) for each in FAMILIES},
        flavors_mib=sum(each.flavor.memory_mib for each in servers),
        sold_mib=sum(each.flavor.memory_mib for each in running),
        needs_mib=sum(needs),
        unmanaged_mib=sum(need for each, need in zip(running, needs, strict=True)
                          if each.balloon is None or not each.balloon.alive))


def _use(family: Family, running: Sequence[Placed], room: Room) -> Use:
    applied = [_most(family, each, each.applied.get(family.name)) for each in running]
    read = [each for each in applied if each is not None]
    return Use(
        room.capacity.get(family.name),
        sum(each.guaranteed.get(family.name, 0) for each in running),
        int(_whole([_most(family, each, each.requested.get(family.name)) or 0
                    for each in running])),
        round(_whole(read), 3), len(applied) - len(read))


def _most(family: Family, server: Placed, value: float | None) -> float | None:
    # without a limit, the CPU time that a server can use ends at its processors
    return 100 * server.flavor.vcpus if family.name == "cpu" and value == UNLIMITED else value


def _whole(values: Sequence[float]) -> float:
    return UNLIMITED if UNLIMITED in values else sum(values)


@dataclass(frozen=True)
class Judgement:
    """The state of a host, why, and by how much it is short of memory.

    ``promised_mib``: what its servers are guaranteed, or what they need, is so much more than it
    can ever give them. ``now_mib``: so much of that is missing at this moment. The first goes away
    when guarantees are reduced or moved, the second also when any server that needs memory is.
    """

    state: State
    promised_mib: int
    now_mib: int
    reasons: Sequence[str]

    @property
    def conditions(self) -> set[str]:
        """What is true of the host, for who remembers since when."""
        return {self.state, *(name for name, mib in (
            ("promised", self.promised_mib), ("now", self.now_mib)) if mib)}


def judge(summary: Summary, room: Room, unbalanced: Sequence[str] = ()) -> Judgement:
    """The state of a host.

    It is ``short`` where guarantees of anything are above its capacity, or needs above its memory;
    ``now`` where what is available is very low, too, so that needs are not met. With needs that fit
    and little available, somebody has more than he needs: the host is ``tense``, and balloons can
    help.

    :param unbalanced: why balloons cannot help, where balancing has found that
    """
    memory_mib = summary.uses["memory"].capacity or 0
    lacking_mib = max(0, summary.needs_mib - memory_mib)
    is_low = room.available_mib < SHORT_SHARE * room.memory_mib
    short = [*_above_capacity(summary), *_needs(lacking_mib, memory_mib, summary), *unbalanced]
    tense = list(_signs(room))
    return Judgement(
        "short" if short else "tense" if tense else "calm",
        max(summary.uses["memory"].short, lacking_mib),
        lacking_mib if is_low else 0, (*short, *tense))


def _above_capacity(summary: Summary) -> Iterator[str]:
    for family in FAMILIES:
        use = summary.uses[family.name]
        if use.short:
            yield (f"{family.guarantee}: its servers are guaranteed {use.guaranteed} {family.unit} "
                   f"together, {use.short} more than it can guarantee")


def _needs(lacking_mib: int, memory_mib: int, summary: Summary) -> Iterator[str]:
    if lacking_mib:
        yield (f"memory: its servers need {summary.needs_mib} MiB together, {lacking_mib} more "
               f"than the {memory_mib} that it has for them")


def _signs(room: Room) -> Iterator[str]:
    if room.available_mib < TENSE_SHARE * room.memory_mib:
        yield (f"memory: {room.available_mib} of {room.memory_mib} MiB are available, less than "
               f"{TENSE_SHARE:.0%}")
    if room.memory_pressure >= TENSE_PRESSURE:
        yield (f"memory: tasks have waited for it in {room.memory_pressure:g} percent of the last "
               "10 s")
