# SPDX-License-Identifier: Apache-2.0
"""A control group with a limit and swap, below which libvirt puts the groups of its guests.

What guests have in memory counts there alone: nobody else on this machine loses anything. Where the
whole machine is short of memory meanwhile, the kernel may swap out others, too; what lies in our
swap file comes back when that is taken away.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tools.bed.balance.scarce import HostFigures, SwapFile, paging_mib
from tools.bed.debian import run
from tools.bed.errors import TestbedError
from tools.bed.observer import has_cgroup_v1
from tools.bed.processes import wait_until

_ROOT = Path("/sys/fs/cgroup")
#: With a hyphen, systemd would have it below another.
_NAME = "nova_qos_balance"
#: What a domain's definition says, and what libvirt makes of that, by itself and with systemd.
PARTITION, _GROUP, _SLICE = f"/{_NAME}", f"{_NAME}.partition", f"{_NAME}.slice"
#: In the division of processors, guests count together as so many processes do of which each is in
#: no group of its own: beside those of a busy machine, one is too little for all of them.
_PROCESSES, _SHARES_V1, _WEIGHT_V2 = 8, 1024, 100
#: What the kernel counts beyond what is a process's own: tables of pages, and pages under way.
_MARGIN_MIB = 24
#: More than all guests can have.
_PLENTY_MIB = 8192
_GONE_S = 20.0
_MIB = 2**20
_NO_LIMIT_V1 = "-1"


class GuestsGroup:
    """See ``scarce.Scarce``. One at a time on a machine; what an earlier one left is taken away."""

    def __init__(self, swap: Path, swap_mib: int) -> None:
        self._swap = SwapFile(swap, swap_mib)
        self._is_v1 = has_cgroup_v1()
        self._is_systemds = not self._is_v1 and Path("/run/systemd/system").exists()
        self._at_rest_mib: float | None = None
        self.budget_mib = _PLENTY_MIB

    @property
    def path(self) -> Path:
        """Where the kernel tells of memory."""
        if self._is_systemds:
            return _ROOT / _SLICE
        return (_ROOT / "memory" if self._is_v1 else _ROOT) / _GROUP

    def start(self) -> None:
        """See ``Scarce``. Raises TestbedError or OSError: this machine does not allow it."""
        self.remove()
        if self._is_systemds:
            run("systemctl", "start", _SLICE)
        for group in self._groups():
            group.mkdir(exist_ok=True)
            _inherit_processors(group)
            _weigh(group)
        self._swap.start()

    def remove(self) -> None:
        """See ``Scarce``. Of a run that was killed, guests may still be there."""
        for group in self._groups():
            if group.exists():
                _end_processes(group)
                _remove_tree(group)
        if self._is_systemds:
            run("systemctl", "stop", _SLICE)
        self._swap.remove()

    def leave(self, wanted_mib: float) -> None:
        """See ``Scarce``."""
        if self._at_rest_mib is None:
            self._at_rest_mib = self._used_mib()
        self.budget_mib = round(self._at_rest_mib + wanted_mib)
        limit = (self.budget_mib + _MARGIN_MIB) * _MIB
        self._limit(str(limit))
        print(f"guests have {self._at_rest_mib:.0f} MiB at rest, and may have {self.budget_mib}")

    def plenty(self) -> None:
        """See ``Scarce``."""
        self._limit(_NO_LIMIT_V1 if self._is_v1 else "max")
        self.budget_mib = _PLENTY_MIB

    def bring_back(self) -> None:
        """See ``Scarce``."""
        self._swap.bring_back()

    def figures(self) -> HostFigures:
        """See ``Scarce``. The kernel counts by group what comes back from the swap, and by machine
        what goes there: this one has no other swap, or nothing else to swap out."""
        stat = self._stat()
        swapped = (stat["total_swap"] if self._is_v1
                   else int((self.path / "memory.swap.current").read_text()))
        back = stat["total_workingset_refault_anon" if self._is_v1 else "workingset_refault_anon"]
        left_mib = self.budget_mib - self._used_mib()
        return HostFigures(left_mib, swapped / _MIB, back / 256, paging_mib("pswpout"))

    def _used_mib(self) -> float:
        stat = self._stat()
        names = ("total_rss", "total_shmem") if self._is_v1 else ("anon", "shmem")
        return sum(stat[name] for name in names) / _MIB

    def _stat(self) -> dict[str, int]:
        lines = (self.path / "memory.stat").read_text().splitlines()
        return {name: int(value) for name, value in map(str.split, lines)}

    def _limit(self, limit: str) -> None:
        if self._is_systemds:
            limit = limit.replace("max", "infinity")
            run("systemctl", "set-property", "--runtime", _SLICE, f"MemoryMax={limit}")
            return
        (self.path / ("memory.limit_in_bytes" if self._is_v1 else "memory.max")).write_text(limit)

    def _groups(self) -> Iterator[Path]:
        """One in each hierarchy; libvirt makes none of those itself."""
        if self._is_systemds:
            return
        if not self._is_v1:
            yield self.path
            return
        for mount in sorted(_ROOT.iterdir()):
            if (mount / "cgroup.procs").exists():
                yield mount / _GROUP


def _inherit_processors(group: Path) -> None:
    # with cgroup v1, a new group has none, and no process can be put there
    for name in ("cpuset.cpus", "cpuset.mems"):
        for above in (group.parent, group):
            file = above / name
            if file.exists() and not file.read_text().strip():
                file.write_text((above.parent / name).read_text())


def _weigh(group: Path) -> None:
    for name, one in (("cpu.shares", _SHARES_V1), ("cpu.weight", _WEIGHT_V2)):
        if (group / name).exists():
            (group / name).write_text(str(one * _PROCESSES))


def _end_processes(group: Path) -> None:
    def pids() -> list[int]:
        return [int(pid) for file in group.rglob("cgroup.procs")
                for pid in file.read_text().split()]

    for pid in pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not wait_until(lambda: not pids(), _GONE_S):
        raise TestbedError(f"{group} is not empty")


def _remove_tree(group: Path) -> None:
    def is_removed() -> bool:
        for each in (*sorted(group.rglob("*/"), reverse=True), group):
            with suppress(OSError):  # libvirt was faster, or the last process has just ended
                each.rmdir()
        return not group.exists()

    if not wait_until(is_removed, _GONE_S):
        raise TestbedError(f"{group} stays")
