# SPDX-License-Identifier: Apache-2.0
"""A host that has promised its servers more memory than it has, and guests whose working sets move.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.bed.balance.parts import END, Pace, Part
from tools.bed.balance.recorder import Recorder, Sample, domain_statistics, mib
from tools.bed.balance.scarce import Scarce
from tools.bed.domain import Shape, TestGuest, memballoon_xml
from tools.bed.errors import TestbedError
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import Libvirt
from tools.bed.processes import wait_until
from tools.bed.together import together

#: How often guests report while nobody balances: nova's default.
CALM_REPORT_S = 10
_QUIET_S, _POLL_S = 120, 0.5


@dataclass(frozen=True)
class Played:
    """What came of one play: of the host what it swapped in and out, in MiB, and by guest what it
    worked on and should have, in MiB, the processor time of its QEMU, what it swapped in, its major
    faults, and how often it ran out of memory."""

    host_in_mib: float
    host_out_mib: float
    done_mib: Mapping[str, int]
    due_mib: Mapping[str, int]
    cpu_s: Mapping[str, float]
    swap_in_mib: Mapping[str, float]
    major_faults: Mapping[str, int]
    oom_kills: Mapping[str, int]
    samples: Sequence[Sample]

    @property
    def done_percent(self) -> dict[str, float]:
        """By guest, of what it should have worked on."""
        return {name: 100 * done / self.due_mib[name] for name, done in self.done_mib.items()}


class Overcommitted:
    """Such a host: guests by their parts, and memory that can be made scarce."""

    def __init__(
        self, libvirt: Libvirt, images: GuestImages, parts: Sequence[Part], pace: Pace,
        scarce: Scarce, shape: Shape | None = None,
    ) -> None:
        """:param shape: what guests have beside memory, swap, and a balloon that reports"""
        self.libvirt, self.parts, self.pace, self.scarce = libvirt, parts, pace, scarce
        alike = replace(shape or Shape(), memballoon=memballoon_xml(CALM_REPORT_S))
        self.guests = {part.name: TestGuest(
            libvirt, images, part.name,
            replace(alike, memory_mib=part.memory_mib, swap_mib=part.memory_mib))
            for part in parts}

    @property
    def servers(self) -> dict[str, dict[str, int]]:
        """As nova knows them: the memory of the flavor, and settings."""
        return {self.guests[part.name].uuid: {
            "memory_mib": part.memory_mib,
            **({"memory_guarantee": part.guarantee_mib} if part.guarantee_mib else {})}
            for part in self.parts}

    def start(self) -> None:
        """Boot all guests."""
        together(lambda guest: guest.start(), list(self.guests.values()))

    def begin(self) -> None:
        """Let all guests play their parts."""
        together(self.perform, self.parts)

    def perform(self, part: Part) -> None:
        """Let the guest of this name play that instead of what it plays."""
        self.guests[part.name].run(part.command(self.pace))

    def end(self) -> None:
        """End what guests do, and give them as much memory as they want."""
        self.scarce.plenty()
        together(lambda guest: guest.run(f"{END}; echo 3 > /proc/sys/vm/drop_caches"),
                 list(self.guests.values()))

    def quiet(self) -> None:
        """End what guests do, let all have their memory again, and bring back what was swapped."""
        self.end()
        for part in self.parts:
            self.libvirt.virsh("setmem", part.name, f"{part.memory_mib}M", "--live")
        if not wait_until(self.is_whole, _QUIET_S, _POLL_S):
            raise TestbedError(f"balloons are not empty: {self.actual_mib()}")
        self.scarce.bring_back()

    def actual_mib(self) -> dict[str, float]:
        """The balloons' sizes."""
        return {name: mib(each, "current")
                for name, each in domain_statistics(self.libvirt).items()}

    def is_whole(self) -> bool:
        """Whether all guests have all their memory."""
        actual_mib = self.actual_mib()
        return all(actual_mib.get(part.name) == part.memory_mib for part in self.parts)

    def play(self, seconds: float) -> Played:
        """Let all guests play their parts for so long, and say what came of it."""
        before, host = domain_statistics(self.libvirt), self.scarce.figures()
        ooms, cpu_before_s = self.oom_kills(), self._cpu_s()
        recorder = Recorder(self.libvirt, self.scarce)
        self.begin()
        with recorder.recording():
            time.sleep(seconds)
        host_after, after = self.scarce.figures(), domain_statistics(self.libvirt)
        worked = {name: self._worked(guest) for name, guest in self.guests.items()}
        return Played(
            host_after.in_mib - host.in_mib, host_after.out_mib - host.out_mib,
            {name: done for name, (done, _) in worked.items()},
            {name: due for name, (_, due) in worked.items()},
            self._grown(self._cpu_s(), cpu_before_s.__getitem__),
            self._grown({name: mib(after[name], "swap_in") for name in self.guests},
                        lambda name: mib(before[name], "swap_in")),
            {name: int(after[name].get("major_fault", 0)) - int(before[name].get("major_fault", 0))
             for name in self.guests},
            {name: number - ooms[name] for name, number in self.oom_kills().items()},
            recorder.samples)

    def oom_kills(self) -> dict[str, int]:
        """How often each guest's kernel has ended a process for want of memory."""
        return {name: int(guest.run("grep ^oom_kill /proc/vmstat").split()[1])
                for name, guest in self.guests.items()}

    def qemu_pids(self) -> dict[str, int]:
        """By guest: another one means that it was ended meanwhile."""
        return {name: self.libvirt.qemu_pid(name) for name in self.guests}

    def _cpu_s(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self.qemu_pids().items()}

    def _grown(
        self, after: Mapping[str, float], before: Callable[[str], float]
    ) -> dict[str, float]:
        return {name: after[name] - before(name) for name in self.guests}

    def _worked(self, guest: TestGuest) -> tuple[int, int]:
        done, due = map(int, guest.run("cat /tmp/worked").split())
        return done, due


def cpu_s(pid: int) -> float:
    """The processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
