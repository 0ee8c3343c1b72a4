# SPDX-License-Identifier: Apache-2.0
"""The memory of the host and of its guests, for balancing."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nova_qos.core import errors
from nova_qos.core.guest import Guest
from nova_qos.core.room import MemoryNow
from nova_qos.core.units import KIB_PER_MIB
from nova_qos.virt import balloon, groups
from nova_qos.virt.balloon import Movements, Report
from nova_qos.virt.calls import Calls
from nova_qos.virt.definition import Definition
from nova_qos.virt.definitions import Definitions
from nova_qos.virt.inventory import Inventory, Listed
from nova_qos.virt.kernel import Kernel
from nova_qos.virt.ksm import KernelKsm
from nova_qos.virt.session import LIVE, Session, is_between_hosts, is_still

_READ = re.compile(r"block\.\d+\.rd\.bytes")
#: What of a group's memory.stat only its own processes have: the page cache can go at any time, and
#: so can what a balloon took of huge pages that the kernel has not split yet, which is in neither.
#: With cgroup v1 the sums over the groups below, then those of v2.
_OWN = {False: ("total_rss", "total_shmem"), True: ("anon", "shmem")}


class GuestsMemory:
    """See ``host_memory.HostMemory``; used by many threads."""

    def __init__(
        self, calls: Calls, inventory: Inventory, definitions: Definitions, movements: Movements,
        kernel: Kernel, budget_mib: int = 0,
    ) -> None:
        """:param budget_mib: what all servers may use together, 0 = all that the host has"""
        self._calls, self._inventory = calls, inventory
        self._definitions, self._movements = definitions, movements
        self._kernel, self._budget_mib = kernel, budget_mib
        self.ksm = KernelKsm()

    def now(self) -> MemoryNow:
        """See ``host_memory.HostMemory``."""
        now = self._kernel.memory_now()
        if not self._budget_mib:
            return now
        left_mib = self._budget_mib - self._used_mib()
        return MemoryNow(min(now.memory_mib, self._budget_mib), min(now.available_mib, left_mib),
                         now.pressure)

    def guests(self) -> Mapping[str, Guest | errors.QosError]:
        """See ``host_memory.HostMemory``."""
        found: dict[str, Guest | errors.QosError] = {}
        for server_uuid, listed in self._inventory.list(disks=True).items():
            try:
                found[server_uuid] = self._guest(server_uuid, listed)
            except errors.QosError as error:
                found[server_uuid] = error
        return found

    def set_report_period(self, server_uuid: str, period_s: int) -> None:
        """See ``host_memory.HostMemory``."""
        session = Session(self._calls, server_uuid, self._definitions)
        session.call_at_rest(lambda domain: domain.setMemoryStatsPeriod(period_s, LIVE))
        # libvirt tells nobody that the definition has changed
        self._definitions.forget(server_uuid)

    def _guest(self, server_uuid: str, listed: Listed) -> Guest:
        definition, figures = listed.definition, listed.balloon
        if not isinstance(definition, Definition):
            raise errors.HostRefused(definition.message)
        if definition.pinned:
            raise errors.HostCannot(definition.pinned)
        if is_between_hosts(listed.state):
            raise errors.ServerNotRunning("it is migrating between two hosts")
        if figures is None:
            raise errors.HostRefused("its QEMU does not answer")
        report, paused = Report(figures, definition.memory_kib), is_still(listed.state)
        why_not = balloon.why_not_alive(definition, report)
        if why_not:
            raise errors.HostCannot(why_not)
        timing = self._movements.note(server_uuid, definition, report, paused)
        return Guest(
            report.actual_kib, figures.get("rss", 0), report.usable_kib,
            figures.get("disk_caches", 0), figures.get("swap_in", 0),
            figures.get("major_fault", 0), _read_bytes(listed.record), timing.age_s,
            report.last_update_s, definition.stats_period_s, paused)

    def _used_mib(self) -> float:
        """What the processes of all servers' groups have in memory."""
        root = self._kernel.groups if self._kernel.is_unified else groups.v1_root(
            "memory", self._kernel.mounts)
        if root is None:
            raise errors.HostRefused("no control group tells the memory of servers")
        used, machines = 0, self._inventory.machines()
        for group in groups.domains(root):
            # those of another libvirt's domains have no part in what ours may use
            if groups.machine_of(group) in machines:
                with suppress(FileNotFoundError, ProcessLookupError):
                    lines = (group.path / "memory.stat").read_text().splitlines()
                    figures = dict(map(str.split, lines))
                    used += sum(int(figures[name]) for name in _OWN[self._kernel.is_unified])
        return used / 1024 / KIB_PER_MIB


def _read_bytes(record: Mapping[str, Any]) -> int:
    return sum(number for name, number in record.items() if _READ.fullmatch(name))
