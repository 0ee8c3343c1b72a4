# SPDX-License-Identifier: Apache-2.0
"""A guest's memory balloon, judged by what its driver reports."""

import threading
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass

from nova_qos.core.balloon import Balloon
from nova_qos.virt.definition import Definition

#: A driver that missed this many reports in a row is taken for dead.
_PERIODS = 3
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


def why_not_alive(definition: Definition, report: Report, is_excused: bool) -> str | None:
    """Say what is missing for a living balloon driver; None when it lives.

    :param is_excused: the driver cannot report just now, as in a paused guest: what it reported
        before counts
    """
    if definition.balloon_model is None:
        return "the server has no memory balloon device"
    if not definition.balloon_model.startswith("virtio"):
        return f"its balloon device is {definition.balloon_model}, not virtio"
    if definition.stats_period_s <= 0:
        return "balloon statistics are off ([libvirt] mem_stats_period_seconds in nova.conf)"
    if not report.came_from_guest:
        return "the guest's balloon driver has reported nothing"
    if not is_excused and is_stale(definition, report):
        age_s = int(time.time()) - report.last_update_s
        return f"the guest's balloon driver has reported nothing for {age_s} s"
    return None


def is_stale(definition: Definition, report: Report) -> bool:
    """Whether a report is older than a living driver's."""
    return report.last_update_s < time.time() - _PERIODS * definition.stats_period_s - 1


def owes_report(definition: Definition, report: Report, paused: bool) -> bool:
    """Whether a guest that runs, and whose driver has reported before, is late with a report."""
    return report.came_from_guest and not paused and is_stale(definition, report)


class Movements:
    """When balloons moved last, as far as this process caused or saw it; for many threads.

    What a guest could spare before its balloon moved says nothing about now.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The size at the last report, None at the start, and the time of the last movement.
        self._moved: dict[str, tuple[int | None, float]] = {}
        #: Since when a driver owes a report (monotonic).
        self._owing: dict[str, float] = {}

    def started(self, server_uuid: str) -> None:
        """Record that a balloon was told to move."""
        with self._lock:
            self._moved[server_uuid] = (None, time.time())
            self._owing.pop(server_uuid, None)

    def note(self, server_uuid: str, report: Report, owes: bool) -> None:
        """Record a report.

        :param owes: it is too old for a guest that runs
        """
        with self._lock:
            actual_kib, moved_s = self._moved.get(server_uuid, (None, 0.0))
            if moved_s and actual_kib != report.actual_kib:
                self._moved[server_uuid] = (report.actual_kib, time.time())
                self._owing.pop(server_uuid, None)
            elif report.last_update_s > moved_s:
                self._moved.pop(server_uuid, None)
            if owes or server_uuid in self._moved:
                self._owing.setdefault(server_uuid, time.monotonic())
            else:
                self._owing.pop(server_uuid, None)

    def outdates(self, server_uuid: str, report: Report) -> bool:
        """Whether a report is older than the last movement."""
        with self._lock:
            return report.last_update_s <= self._moved.get(server_uuid, (None, 0.0))[1]

    def owing_for_s(self, server_uuid: str) -> float:
        """For how many seconds a driver has owed a report."""
        with self._lock:
            now_s = time.monotonic()
            return now_s - self._owing.get(server_uuid, now_s)

    def retain(self, server_uuids: Container[str], listed_s: float) -> None:
        """Drop all other servers: they had ended when these were listed (s since 1970)."""
        with self._lock:
            self._moved = {uuid: moved for uuid, moved in self._moved.items()
                           if uuid in server_uuids or moved[1] > listed_s}
            self._owing = {uuid: since for uuid, since in self._owing.items()
                           if uuid in server_uuids}


def judged(
    definition: Definition, report: Report, paused: bool, movements: Movements, server_uuid: str
) -> Balloon:
    """The balloon that a report tells of; the report is noted.

    After a movement, or where it is overdue, the next report is due within a period of the
    statistics, and a second for its way. Until then the driver counts as alive. A driver that is
    overdue and reports nothing in that time is dead.
    """
    stale = owes_report(definition, report, paused)
    movements.note(server_uuid, report, stale)
    outdated = movements.outdates(server_uuid, report)
    late = stale or (outdated and report.came_from_guest and not paused)
    rest_s = definition.stats_period_s + 1 - movements.owing_for_s(server_uuid)
    due_s = max(0.0 if stale else _LEAST_DUE_S, rest_s) if late else 0.0
    why_not = why_not_alive(definition, report, paused or due_s > 0)
    usable_kib = 0 if outdated and not paused else report.usable_kib
    return Balloon(why_not is None, why_not, report.actual_kib, usable_kib,
                   definition.autodeflates, paused, due_s, overdue=stale and due_s > 0)
