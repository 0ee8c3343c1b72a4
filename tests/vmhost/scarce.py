# SPDX-License-Identifier: Apache-2.0
"""Servers on a host whose memory can be made scarce."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.virt.host import LibvirtHost
from tests.knobs import apply, read
from tests.vmhost.servers import ModernBench, comes_true, run, scope_of
from tools.bed.domain import Shape, TestGuest
from tools.bed.errors import TestbedError

MIB, MEMORY_MIB = 1024, 256
_SWAP_MIB = 1024
_SWAPPINESS = Path("/proc/sys/vm/swappiness")
#: Of the root, so of the whole host: memory.low is heeded as under any other pressure.
_RECLAIM = Path("/sys/fs/cgroup/memory.reclaim")
#: All its memory lies on the host from the start; what the guest does with it is of no matter.
_WHOLE = '<memoryBacking><allocation mode="immediate"/></memoryBacking>'


class Site:
    """Two servers with as much memory, on a host with swap whose memory can be made scarce.

    They stand still, unless a test says otherwise, so that none needs its memory more.
    """

    def __init__(self, place: Path) -> None:
        self.bench = ModernBench(place)
        self.guests = [
            TestGuest(self.bench.libvirt, self.bench.images, name,
                      Shape(memory_mib=MEMORY_MIB, memory_backing=_WHOLE))
            for name in ("spared", "reclaimed")]
        self._swap = place / "swap"

    def start(self) -> None:
        run("fallocate", "-l", f"{_SWAP_MIB}M", self._swap)
        self._swap.chmod(0o600)
        run("mkswap", self._swap)
        run("swapon", self._swap)
        for guest in self.guests:
            guest.start("--paused")

    def renew(self) -> None:
        """Let both have all their memory again, and no limits."""
        for guest in self.guests:
            with suppress(TestbedError):
                self.bench.libvirt.virsh("destroy", guest.name)
            guest.start("--paused")
        self.bench.host.tidy(correct=True, floating={})

    def remove(self) -> None:
        for guest in self.guests:
            guest.remove()
        self.bench.remove()
        run("swapoff", self._swap)

    def limit(self, *mib: int, host: LibvirtHost | None = None) -> list[Reading]:
        """Set soft limits, -1 for none; what is read back."""
        host = host or self.bench.host
        return [
            apply(host.domain(guest.uuid), {"memory_soft_limit": _kib(each)}, 1.0)[
                "memory_soft_limit"]
            for guest, each in zip(self.guests, mib, strict=True)]

    def guarantee(self, *mib: int) -> list[Reading]:
        """Guarantee memory, -1 for none; what is read back."""
        return [
            apply(self.bench.host.domain(guest.uuid), {"memory_guarantee": each}, 1.0)[
                "memory_guarantee"]
            for guest, each in zip(self.guests, mib, strict=True)]

    def readings(self, host: LibvirtHost) -> list[Reading]:
        return [read(host.domain(guest.uuid), "memory_soft_limit") for guest in self.guests]

    def scopes(self) -> list[Path]:
        return [scope_of(self.bench.libvirt, guest) for guest in self.guests]

    def resident_mib(self) -> list[float]:
        return [int((scope / "memory.current").read_text()) / 2**20 for scope in self.scopes()]

    def throttled(self) -> list[int]:
        """How often each was slowed for being above memory.high."""
        return [_word(scope / "libvirt" / "memory.events", "high") for scope in self.scopes()]

    def stalled_us(self) -> list[int]:
        """For how long each has waited for memory."""
        return [_stalled_us(scope / "memory.pressure") for scope in self.scopes()]

    def press(self) -> list[float]:
        """Let the kernel take memory from the whole host until servers have lost some, as it does
        when it is short of it; what of each has gone to the swap, in MiB."""

        def enough() -> bool:
            # little at a time: what is still being written counts as not to be had, and where
            # nothing is to be had the kernel takes what is protected; fails when it gets less
            with suppress(OSError):
                _RECLAIM.write_text("4M")
            return sum(self._swapped_mib()) > 100

        with _tuned():
            comes_true(enough, 240)
        lost = self._swapped_mib()
        print(f"swapped out: {lost} MiB")
        return lost

    def _swapped_mib(self) -> list[float]:
        return [int((scope / "memory.swap.current").read_text()) / 2**20
                for scope in self.scopes()]


@contextmanager
def _tuned() -> Iterator[None]:
    """Memory of programs goes before what is cached from files, of which a host has plenty."""
    before = _SWAPPINESS.read_text()
    _SWAPPINESS.write_text("200")
    yield
    _SWAPPINESS.write_text(before)


def _kib(mib: int) -> int:
    return UNLIMITED if mib == UNLIMITED else mib * MIB


def _word(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines()
                if line.split()[0] == name)


def _stalled_us(file: Path) -> int:
    # no pressure is measured where the kernel was told not to
    try:
        return int(file.read_text().splitlines()[0].rpartition("total=")[2])
    except OSError:
        return 0
