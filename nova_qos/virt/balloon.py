# SPDX-License-Identifier: Apache-2.0
"""A guest's memory balloon, judged by what its driver reports."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.virt.definition import Definition

#: A driver that missed this many reports in a row is taken for gone.
_PERIODS = 3


@dataclass(frozen=True)
class Report:
    """The statistics that libvirt holds of a balloon, in KiB and seconds since the epoch."""

    figures: Mapping[str, int]

    @property
    def actual_kib(self) -> int:
        return self.figures["actual"]

    @property
    def usable_kib(self) -> int:
        # Guests older than Linux 4.6 do not tell what is usable.
        return self.figures.get("usable", self.figures.get("unused", 0))

    @property
    def came_from_guest(self) -> bool:
        return "unused" in self.figures or "available" in self.figures

    @property
    def last_update_s(self) -> int:
        return self.figures.get("last_update", 0)


def why_not_alive(definition: Definition, report: Report, paused: bool) -> str | None:
    """Say what is missing for a living balloon driver; None when it lives.

    A paused guest reports nothing: what it reported before counts.
    """
    if definition.balloon_model is None:
        return "the server has no memory balloon device"
    if not definition.balloon_model.startswith("virtio"):
        return f"its balloon device is {definition.balloon_model}, not virtio"
    if definition.stats_period_s <= 0:
        return "balloon statistics are off ([libvirt] mem_stats_period_seconds in nova.conf)"
    if not report.came_from_guest:
        return "the guest's balloon driver has reported nothing"
    if not paused and is_stale(definition, report):
        age_s = int(time.time()) - report.last_update_s
        return f"the guest's balloon driver has reported nothing for {age_s} s"
    return None


def is_stale(definition: Definition, report: Report) -> bool:
    """Whether a report is older than a living driver's."""
    return report.last_update_s < time.time() - _PERIODS * definition.stats_period_s - 1


class Movements:
    """When balloons moved last, as far as this process caused or saw it; for many threads.

    What a guest could spare before its balloon moved says nothing about now.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moved: dict[str, tuple[int | None, float]] = {}

    def started(self, server_uuid: str) -> None:
        """A balloon was told to move."""
        with self._lock:
            self._moved[server_uuid] = (None, time.time())

    def outdates(self, server_uuid: str, report: Report) -> bool:
        """Take note of a report, and say whether it is older than the last movement."""
        with self._lock:
            actual_kib, moved_s = self._moved.get(server_uuid, (None, 0.0))
            if moved_s and actual_kib != report.actual_kib:
                moved_s = time.time()
                self._moved[server_uuid] = (report.actual_kib, moved_s)
            elif report.last_update_s > moved_s:
                self._moved.pop(server_uuid, None)
            return report.last_update_s <= moved_s
