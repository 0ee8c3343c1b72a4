# SPDX-License-Identifier: Apache-2.0
"""The product's planner as a controller of the simulator."""

from collections.abc import Mapping
from typing import Any

from nova_qos.agent.balance.guests import GuestNow
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.ksm import KsmNow, Merging
from nova_qos.agent.balance.plan import Plan, Planner
from nova_qos.agent.balance.thresholds import Thresholds


class Product:
    """Drives the planner with what the simulator lets an agent see."""

    name = "product"

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self.stats_period = self._thresholds.calm_report_s
        self.last: Plan | None = None

    def start(self, host: Any) -> None:
        """Begin a run."""
        self.planner, self._merging = Planner(self._thresholds), Merging(self._thresholds)

    def due(self, t: int) -> bool:
        """The host is watched each second."""
        return True

    def tick(self, view: Any, t: int) -> Mapping[str, float]:
        """The targets of this second."""
        host = HostNow(view.total, view.available, view.psi_some10)
        looks = self.planner.watch(t, host)
        targets = {}
        if looks:
            self.last = self.planner.look(t, host, {
                name: _guest(seen) for name, seen in view.guests.items() if seen["driver"]})
            targets = self.last.targets_mib
        self._merge(view, t)
        self.stats_period = self.planner.report_period_s
        return targets

    def _merge(self, view: Any, t: int) -> None:
        now = KsmNow({name: str(value) for name, value in view.ksm.items()}, view.ksm_saved)
        written = self._merging.decide(t, self.planner.state == "tense", view.total, now)
        view.ksm.update({name: int(value) for name, value in written.items()})


def _guest(seen: Mapping[str, Any]) -> GuestNow:
    return GuestNow(
        actual_mib=seen["actual"], target_mib=seen["target"], most_mib=seen["max"],
        flavor_mib=seen["max"], guarantee_mib=seen["guarantee"], weight=seen["weight"],
        resident_mib=seen["rss"], usable_mib=seen["usable"], caches_mib=seen["disk_caches"],
        reported_actual_mib=seen["actual_then"], swapped_in_mib=seen["swap_in"],
        faulted_mib=seen["major_fault"], read_mib=seen["rd"], reported_s=seen["last_update"])
