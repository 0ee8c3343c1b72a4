# SPDX-License-Identifier: Apache-2.0
"""What virsh and the kernel tell of guests and host while they play."""

import csv
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from tools.bed.balance.parts import Part
from tools.bed.balance.scarce import HostFigures, Scarce
from tools.bed.errors import TestbedError
from tools.bed.libvirtd import Libvirt

_SAMPLE_S = 1.0
#: A guest with less than this part of its memory usable has nothing to spare.
_BARE = 0.03
#: Balloons are exact to so many MiB.
_EXACT_MIB = 8


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
    host_left_mib: float
    host_swapped_mib: float
    host_in_mib: float
    host_out_mib: float


class Recorder:
    """Samples host and guests; a QEMU that is late, of which libvirt has nothing to tell, is left
    out for that moment."""

    def __init__(self, libvirt: Libvirt, scarce: Scarce) -> None:
        self._libvirt, self._scarce = libvirt, scarce
        self.samples: list[Sample] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Sample meanwhile."""
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
        stats, host = domain_statistics(self._libvirt), self._scarce.figures()
        at_s = time.monotonic() - began_s
        self.samples += [_sample(at_s, name, each, host)
                         for name, each in stats.items() if "usable" in each]


def _sample(at_s: float, name: str, guest: Mapping[str, str], host: HostFigures) -> Sample:
    return Sample(
        at_s, name, mib(guest, "current"), mib(guest, "usable"), mib(guest, "rss"),
        mib(guest, "swap_in"), int(guest.get("major_fault", 0)), host.left_mib, host.swapped_mib,
        host.in_mib, host.out_mib)


def domain_statistics(libvirt: Libvirt) -> dict[str, dict[str, str]]:
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


def crossings(samples: Sequence[Sample], part: Part) -> list[Sample]:
    """When a guest had less than its guarantee while it had nothing to spare."""
    return [each for each in samples if each.name == part.name
            and each.actual_mib < part.guarantee_mib - _EXACT_MIB
            and each.usable_mib < _BARE * part.memory_mib]


def save(samples: Sequence[Sample], file: Path) -> None:
    """As CSV."""
    names = [field.name for field in fields(Sample)]
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        writer.writerows([getattr(each, name) for name in names] for each in samples)
