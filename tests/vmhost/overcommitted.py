# SPDX-License-Identifier: Apache-2.0
"""A host that has promised its servers more memory than it has, and guests whose working sets move.
"""

import csv
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from tests.vmhost.servers import IMAGES, SystemLibvirt, comes_true, run
from tools.bed.domain import Shape, TestGuest, memballoon_xml
from tools.bed.errors import TestbedError
from tools.bed.guest import GuestImages
from tools.bed.together import together

_HUGE_PAGES, _HUGE_MIB = Path("/proc/sys/vm/nr_hugepages"), 2
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_CALM_REPORT_S, _SAMPLE_S = 10, 2.0
#: Of the working sets, and what all guests have alike of it.
_EACH_S, _COMMON_MIB = 45, 8
_QUIET_S = 120
#: What a guest may compute, of one processor.
_VCPU_PERCENT = 30
#: Ends what a guest plays.
_END = "kill $(cat /tmp/reader); killall -q work-memory dd"


@dataclass(frozen=True)
class Part:
    """What one guest plays: its memory, its guarantee (0 = none), and how large its working set is
    for how long, again and again; MiB and seconds."""

    name: str
    memory_mib: int
    steps: Sequence[tuple[int, int]]
    guarantee_mib: int = 0

    @property
    def command(self) -> str:
        """Plays it in the guest: the working set, and files that are read again and again."""
        words = " ".join(f"{size} {for_s}" for size, for_s in self.steps)
        reading = (f"at=0; while :; do dd if=/dev/vdb of=/dev/null bs=1M count=8 skip=$at; "
                   f"at=$(((at + 8) % {self.memory_mib})); sleep 2; done")
        return (f"{_END}; rm -f /tmp/worked; "
                f"work-memory {_EACH_S} {_COMMON_MIB} {words} >/dev/null 2>&1 & "
                f"({reading}) >/dev/null 2>&1 & echo $! > /tmp/reader")


@dataclass(frozen=True)
class Sample:
    """One moment of one guest and of the host; MiB, seconds since the recording's start, and
    counters since the guest's, or the host's."""

    at_s: float
    name: str
    actual_mib: float
    usable_mib: float
    rss_mib: float
    swap_in_mib: float
    major_faults: int
    host_available_mib: float
    host_swapped_mib: float
    host_swap_in_mib: float


@dataclass(frozen=True)
class Played:
    """What came of one play: of the host what it swapped in and out, in MiB, and by guest what it
    worked on of what it should have, what it swapped in, its major faults, and how often it ran out
    of memory."""

    host_in_mib: float
    host_out_mib: float
    done_percent: Mapping[str, float]
    swap_in_mib: Mapping[str, float]
    major_faults: Mapping[str, int]
    oom_kills: Mapping[str, int]
    samples: Sequence[Sample]


class Recorder:
    """Samples host and guests with virsh and the kernel's files."""

    def __init__(self, libvirt: SystemLibvirt) -> None:
        self._libvirt = libvirt
        self.samples: list[Sample] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        ended, began_s = threading.Event(), time.monotonic()

        def record() -> None:
            while not ended.wait(_SAMPLE_S):
                with suppress(TestbedError):
                    self._sample(began_s)

        thread = threading.Thread(target=record)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _sample(self, began_s: float) -> None:
        stats = domain_statistics(self._libvirt)
        host, at_s = host_memory(), time.monotonic() - began_s
        self.samples += [Sample(
            at_s, name, mib(each, "current"), mib(each, "usable"), mib(each, "rss"),
            mib(each, "swap_in"), int(each.get("major_fault", 0)), host["MemAvailable"],
            host["SwapTotal"] - host["SwapFree"], paging("pswpin"))
            for name, each in stats.items()]


def domain_statistics(libvirt: SystemLibvirt) -> dict[str, dict[str, str]]:
    """What virsh tells of each running guest's balloon."""
    found: dict[str, dict[str, str]] = {}
    name = ""
    for line in libvirt.virsh("domstats", "--balloon", "--nowait").splitlines():
        key, _, value = line.strip().partition("=")
        if line.startswith("Domain: "):
            name = line.split("'")[1]
            found[name] = {}
        elif key.startswith("balloon."):
            found[name][key.removeprefix("balloon.")] = value
    return found


def mib(figures: Mapping[str, str], name: str) -> float:
    """One of those in MiB; 0 where it is not told."""
    return int(figures.get(name, 0)) / 1024


def host_memory() -> dict[str, float]:
    """/proc/meminfo of the host in MiB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) / 1024 for name, rest in (
        line.split(":", 1) for line in lines)}


def paging(counter: str) -> float:
    """A counter of pages of the host, in MiB."""
    return next(int(line.split()[1]) / 256 for line in
                Path("/proc/vmstat").read_text().splitlines() if line.split()[0] == counter)


class Overcommitted:
    """Such a host: guests by their parts, swap, and as little memory as is said."""

    def __init__(self, place: Path, parts: Sequence[Part], swap_mib: int) -> None:
        self.place, self.parts = place, parts
        self.libvirt = SystemLibvirt(place)
        images = GuestImages.build(IMAGES)
        self.guests = {part.name: TestGuest(
            self.libvirt, images, part.name,
            Shape(memory_mib=part.memory_mib, swap_mib=part.memory_mib, kvm=True,
                  memballoon=memballoon_xml(_CALM_REPORT_S)))
            for part in parts}
        self._swap, self._swap_mib = place / "swap", swap_mib

    @property
    def servers(self) -> dict[str, dict[str, int]]:
        """As nova knows them: the memory of the flavor, and settings."""
        return {self.guests[part.name].uuid: {
            "memory_mib": part.memory_mib,
            **({"memory_guarantee": part.guarantee_mib} if part.guarantee_mib else {})}
            for part in self.parts}

    def start(self) -> None:
        """Add the swap, and boot all guests."""
        run("fallocate", "-l", f"{self._swap_mib}M", self._swap)
        self._swap.chmod(0o600)
        run("mkswap", self._swap)
        run("swapon", self._swap)
        together(lambda guest: guest.start(), list(self.guests.values()))
        for name in self.guests:
            # guests that leave no processor time to their QEMUs make these look as if they hung
            self.libvirt.virsh("schedinfo", name, "--live", f"vcpu_quota={_VCPU_PERCENT * 1000}",
                               "vcpu_period=100000")

    def remove(self) -> None:
        """Take all of it away."""
        self.leave_free(None)
        self.libvirt.destroy_domains()
        run("swapoff", self._swap)

    def leave_free(self, wanted_mib: float | None) -> None:
        """Have so much of the host's memory available now, and take the rest away; None gives back
        what was taken."""
        _HUGE_PAGES.write_text("0")
        if wanted_mib is None:
            return
        _DROP_CACHES.write_text("3")
        take_mib = host_memory()["MemAvailable"] - wanted_mib
        assert take_mib > 0, f"the host has no {wanted_mib} MiB to leave"
        _HUGE_PAGES.write_text(str(int(take_mib / _HUGE_MIB)))
        print(f"available: {host_memory()['MemAvailable']:.0f} MiB")

    def begin(self) -> None:
        """Let all guests play their parts."""
        together(lambda part: self.guests[part.name].run(part.command), self.parts)

    def end(self) -> None:
        """End what guests do, and give the host its memory back."""
        self.leave_free(None)
        together(lambda guest: guest.run(f"{_END}; echo 3 > /proc/sys/vm/drop_caches"),
                 list(self.guests.values()))

    def quiet(self) -> None:
        """End what guests do, let all have their memory again, and bring back what was swapped."""
        self.end()
        for part in self.parts:
            self.libvirt.virsh("setmem", part.name, f"{part.memory_mib}M", "--live")
        assert comes_true(lambda: all(
            mib(each, "current") == self._part(name).memory_mib
            for name, each in domain_statistics(self.libvirt).items()), _QUIET_S)
        run("swapoff", self._swap)
        run("swapon", self._swap)

    def play(self, seconds: float) -> Played:
        """Let all guests play their parts for so long, and say what came of it."""
        before, in_mib, out_mib = (
            domain_statistics(self.libvirt), paging("pswpin"), paging("pswpout"))
        ooms = self.oom_kills()
        recorder = Recorder(self.libvirt)
        self.begin()
        with recorder.recording():
            time.sleep(seconds)
        in_mib, out_mib = paging("pswpin") - in_mib, paging("pswpout") - out_mib
        after = domain_statistics(self.libvirt)
        return Played(
            in_mib, out_mib, {name: self._done_percent(name) for name in self.guests},
            {name: mib(after[name], "swap_in") - mib(before[name], "swap_in")
             for name in self.guests},
            {name: int(after[name].get("major_fault", 0)) - int(before[name].get("major_fault", 0))
             for name in self.guests},
            {name: number - ooms[name] for name, number in self.oom_kills().items()},
            recorder.samples)

    def oom_kills(self) -> dict[str, int]:
        """How often each guest's kernel has ended a process for want of memory."""
        return {name: int(guest.run("grep ^oom_kill /proc/vmstat").split()[1])
                for name, guest in self.guests.items()}

    def _done_percent(self, name: str) -> float:
        done, due = map(int, self.guests[name].run("cat /tmp/worked").split())
        return 100 * done / due

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)


def crossings(samples: Sequence[Sample], part: Part) -> list[Sample]:
    """When a guest had less than its guarantee while it had nothing to spare."""
    bare_mib = 0.03 * part.memory_mib
    return [each for each in samples if each.name == part.name
            and each.actual_mib < part.guarantee_mib - 8 and each.usable_mib < bare_mib]


def save(samples: Sequence[Sample], file: Path) -> None:
    """As CSV."""
    names = [field.name for field in fields(Sample)]
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([getattr(each, name) for name in names] for each in samples)
