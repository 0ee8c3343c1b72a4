# SPDX-License-Identifier: Apache-2.0
"""Servers on a host whose memory can be made scarce."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
#: Whether the kernel has its multi-generational LRU on, by y and n.
GENERATIONS = Path("/sys/kernel/mm/lru_gen/enabled")
#: From Linux 6.12 on, a huge page that is split to be reclaimed loses what holds zeros only, as all
#: memory of a guest that stands still: that would not go to the swap.
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
#: What is reserved as huge pages is neither had by others nor swapped out, and costs no time.
_RESERVED, _PAGE_MIB = Path("/proc/sys/vm/nr_hugepages"), 2
#: Servers are to lose so much. So much is left after that; a program that may be killed takes it, a
#: little at a time, and keeps it out of the swap.
_LOST_MIB, _LEFT_MIB, _STEP_MIB = 100, 384, 16
_TAKE = """
import ctypes, mmap, pathlib, sys
pathlib.Path("/proc/self/oom_score_adj").write_text("1000")
libc, held = ctypes.CDLL(None), []
for line in sys.stdin:
    size = int(line) << 20
    held.append(mmap.mmap(-1, size))
    address = ctypes.addressof(ctypes.c_char.from_buffer(held[-1]))
    print(libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)), flush=True)
"""
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
        self._swap, self._settings = place / "swap", ExitStack()

    def start(self) -> None:
        self._settings.enter_context(kernel_setting(_HUGE_PAGES, "never"))
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
        self._settings.close()

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
        """Let another program take memory of the host until servers have lost some; what of each
        has gone to the swap, in MiB."""
        def enough() -> bool:
            is_enough = sum(self._swapped_mib()) > _LOST_MIB
            if not is_enough:
                take(_STEP_MIB)
            return is_enough

        available_mib = _word(Path("/proc/meminfo"), "MemAvailable:") // MIB
        pages = max(0, available_mib - _LEFT_MIB) // _PAGE_MIB
        # memory of programs goes before what is cached from files, of which a host has plenty
        with (_taker() as take, kernel_setting(_SWAPPINESS, "200"),
              kernel_setting(_RESERVED, str(pages))):
            comes_true(enough, 240)
            lost = self._swapped_mib()
        print(f"swapped out: {lost} MiB")
        return lost

    def _swapped_mib(self) -> list[float]:
        return [int((scope / "memory.swap.current").read_text()) / 2**20
                for scope in self.scopes()]


@contextmanager
def _taker() -> Iterator[Callable[[int], None]]:
    """A program that takes so many MiB more at each call, and gives all of them back in the end."""
    with subprocess.Popen([sys.executable, "-c", _TAKE], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as program:
        asked, told = program.stdin, program.stdout
        assert asked
        assert told

        def take(mib: int) -> None:
            print(mib, file=asked, flush=True)
            assert told.readline() == "0\n"

        yield take


@contextmanager
def kernel_setting(file: Path, value: str) -> Iterator[None]:
    """Has that value meanwhile, where the kernel has such a setting."""
    if not file.exists():
        yield
        return
    before = file.read_text()
    # some show all that can be chosen
    chosen = re.search(r"\[(\w+)\]", before)
    file.write_text(value)
    try:
        yield
    finally:
        file.write_text(chosen[1] if chosen else before)


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
