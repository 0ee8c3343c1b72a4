# SPDX-License-Identifier: Apache-2.0
"""A guest's memory balloon, judged by what its driver reports."""

import math
import threading
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from nova_qos.core.balloon import Balloon
from nova_qos.virt.definition import Definition

#: A driver that missed this many reports in a row is taken for dead.
_PERIODS = 3
#: How long a report may be under way from guest to libvirt.
TRANSIT_S = 1
#: While a balloon goes on moving, a report that counts is never nearer than this.
_LEAST_DUE_S = 0.2


@dataclass(frozen=True)
class Report:
    """The statistics that libvirt holds of a balloon, in KiB and seconds since 1970.

    ``most_kib`` is what the domain was defined with. QEMU takes the size of the balloon from the
    guest and checks nothing: one larger than the guest makes a size beyond all memory.
    """

    figures: Mapping[str, int]
    most_kib: int

    @property
    def actual_kib(self) -> int:
        return min(max(0, self.figures["actual"]), self.most_kib)

    @property
    def usable_kib(self) -> int:
        # guests older than Linux 4.6 do not tell what is usable
        return self.figures.get("usable", self.figures.get("unused", 0))

    @property
    def came_from_guest(self) -> bool:
        return "unused" in self.figures or "available" in self.figures

    @property
    def last_update_s(self) -> int:
        return self.figures.get("last_update", 0)


def why_not_alive(
    definition: Definition, report: Report, silent_s: float | None = None
) -> str | None:
    """Say what is missing for a living balloon driver; None when it lives.

    :param silent_s: for how long the driver has reported nothing, where that is too long; None
        where it is not, or where the driver cannot report just now, as in a paused guest
    """
    if definition.balloon_model is None:
        return "the server has no memory balloon device"
    if not definition.balloon_model.startswith("virtio"):
        return f"its balloon device is {definition.balloon_model}, not virtio"
    if definition.stats_period_s <= 0:
        return "balloon statistics are off ([libvirt] mem_stats_period_seconds in nova.conf)"
    if not report.came_from_guest:
        return "the guest's balloon driver has reported nothing"
    if silent_s is not None:
        return f"the guest's balloon driver has reported nothing for {silent_s:.0f} s"
    return None


def moves_silently(definition: Definition, report: Report) -> bool:
    """Whether a driver that has reported nothing has moved the balloon nevertheless."""
    return not report.came_from_guest and report.actual_kib < definition.memory_kib


@dataclass
class _Watched:
    """What is known of one balloon; times are monotonic, ``last_update`` only compared."""

    #: When it was last looked at, and when it was last told to move.
    noted_s: float = -math.inf
    told_s: float = -math.inf
    #: The size that was seen last, and the one that it was told last (None: nothing yet). With
    #: ``turned``, it had that size when it was told, but had been told another just before.
    actual_kib: int | None = None
    told_kib: int | None = None
    turned: bool = False
    #: The last report, the one before it, and when the last one came.
    last_update_s: int | None = None
    earlier_update_s: int | None = None
    came_s: float = -math.inf
    #: Whether no report has come since the balloon moved; the size (None: not known yet) and the
    #: last report when it was last seen to move.
    moved: bool = False
    moved_to_kib: int | None = None
    moved_after_s: int | None = None
    #: Since when the driver owes a report.
    owing_s: float | None = None


@dataclass(frozen=True)
class Timing:
    """How a report stands in time, in seconds.

    ``age_s``: since the report came. ``stale``: it is older than a living driver's, in a guest that
    runs. ``outdated``: the balloon has moved since. ``owing_for_s``: for how long the driver has
    owed the next one. ``turned``: the balloon has the size that it was told last, but may still be
    about to move towards an earlier one, and back.
    """

    age_s: float
    stale: bool
    outdated: bool
    owing_for_s: float
    turned: bool = False


class Movements:
    """When balloons moved and drivers reported last, as far as this process caused or saw it; for
    many threads.

    What a guest could spare before its balloon moved says nothing about now. The host's clock may
    be set at any time, so a new report is one with another time, not a later one, and ages are
    counted here. How old a report was when it was first seen is what the clock says, but no more
    than the time since the look before, and a wrong answer is corrected by the next report.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._all: dict[str, _Watched] = {}

    def started(self, server_uuid: str, memory_kib: int) -> None:
        """Record that a balloon was told to move to a size."""
        with self._lock:
            watched = self._all.setdefault(server_uuid, _Watched())
            if memory_kib != watched.told_kib:
                watched.turned = (watched.moved and watched.told_kib is not None
                                  and memory_kib == watched.actual_kib)
            watched.told_s, watched.told_kib = self._clock(), memory_kib
            watched.moved, watched.moved_to_kib, watched.owing_s = True, None, None

    def note(
        self, server_uuid: str, definition: Definition, report: Report, paused: bool
    ) -> Timing:
        """Record a report, and say how it stands in time."""
        with self._lock:
            now_s = self._clock()
            watched = self._all.setdefault(server_uuid, _Watched())
            watched.actual_kib = report.actual_kib
            # figures of a snapshot may be older than what was noted since
            if report.last_update_s != watched.earlier_update_s:
                self._date(watched, report, now_s)
                _follow(watched, report)
            age_s = now_s - watched.came_s
            stale = (report.came_from_guest and not paused
                     and age_s > _PERIODS * definition.stats_period_s + TRANSIT_S)
            if not stale and not watched.moved:
                watched.owing_s = None
            elif watched.owing_s is None:
                watched.owing_s = now_s
            owing_for_s = 0.0 if watched.owing_s is None else now_s - watched.owing_s
            turned = watched.turned and watched.moved and report.came_from_guest and not stale
            return Timing(age_s, stale, watched.moved, owing_for_s, turned)

    def retain(self, server_uuids: Container[str], listed_s: float) -> None:
        """Drop all other servers: they had ended when these were listed (monotonic)."""
        with self._lock:
            self._all = {uuid: watched for uuid, watched in self._all.items()
                         if uuid in server_uuids or max(watched.noted_s, watched.told_s) > listed_s}

    def _date(self, watched: _Watched, report: Report, now_s: float) -> None:
        if report.last_update_s != watched.last_update_s:
            age_s = max(0.0, self._wall() - report.last_update_s)
            watched.came_s = now_s - min(age_s, now_s - watched.noted_s)
            watched.earlier_update_s = watched.last_update_s
            watched.last_update_s = report.last_update_s
        watched.noted_s = now_s


def _follow(watched: _Watched, report: Report) -> None:
    if not watched.moved:
        return
    if watched.moved_to_kib != report.actual_kib:
        watched.moved_to_kib, watched.moved_after_s = report.actual_kib, report.last_update_s
        watched.owing_s = None
    elif watched.moved_after_s != report.last_update_s:
        watched.moved = False


def judged(
    definition: Definition, report: Report, paused: bool, movements: Movements, server_uuid: str
) -> Balloon:
    """The balloon that a report tells of; the report is noted.

    After a movement, or where it is overdue, the next report is due within a period of the
    statistics, and a second for its way. Until then the driver counts as alive. A driver that is
    overdue and reports nothing in that time is dead.
    """
    timing = movements.note(server_uuid, definition, report, paused)
    stale = timing.stale
    late = stale or (timing.outdated and report.came_from_guest and not paused)
    rest_s = definition.stats_period_s + TRANSIT_S - timing.owing_for_s
    due_s = max(0.0 if stale else _LEAST_DUE_S, rest_s) if late else 0.0
    why_not = why_not_alive(
        definition, report, timing.age_s if stale and due_s == 0 else None)
    usable_kib = 0 if timing.outdated and not paused else report.usable_kib
    return Balloon(why_not is None, why_not, report.actual_kib, usable_kib,
                   definition.autodeflates, paused, due_s, overdue=stale and due_s > 0)
