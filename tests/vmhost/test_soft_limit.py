# SPDX-License-Identifier: Apache-2.0
"""What a memory soft limit does on cgroup v2: who loses memory when the host is short of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.virt.host import LibvirtHost
from tests.knobs import apply, read, write
from tests.vmhost.servers import MACHINES, ModernBench, comes_true, run, scope_of
from tools.bed.domain import Shape, TestGuest
from tools.bed.errors import TestbedError

MIB = 1024
_MEMORY_MIB, _SWAP_MIB, _BUSY_S = 256, 1024, 15
#: Above what a server has on the host with all its memory, and far below.
_ABOVE_MIB, _BELOW_MIB = 512, 32
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
                      Shape(memory_mib=_MEMORY_MIB, memory_backing=_WHOLE))
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("soft"))
    try:
        site.start()
        yield site
    finally:
        site.remove()


@pytest.fixture(autouse=True)
def _whole(site: Site) -> None:
    site.renew()


def low(path: Path) -> int:
    return int((path / "memory.low").read_text()) // 2**20


class TestProtect:
    def test_groups_have_what_was_asked_for(self, site: Site) -> None:
        readings = site.limit(_ABOVE_MIB, _BELOW_MIB)
        assert [reading.applied for reading in readings] == [_ABOVE_MIB * MIB, _BELOW_MIB * MIB]
        assert all(reading.effective for reading in readings)
        assert all("protects (memory.low)" in (reading.reason or "") for reading in readings)
        assert [low(scope) for scope in site.scopes()] == [_ABOVE_MIB, _BELOW_MIB]
        assert low(MACHINES) == _ABOVE_MIB + _BELOW_MIB
        run("systemctl", "daemon-reload")
        assert [low(each) for each in (*site.scopes(), MACHINES)] == [
            _ABOVE_MIB, _BELOW_MIB, _ABOVE_MIB + _BELOW_MIB]

    def test_nothing_is_left_when_it_is_lifted(self, site: Site) -> None:
        site.limit(_ABOVE_MIB, UNLIMITED)
        assert low(MACHINES) == _ABOVE_MIB
        assert site.limit(UNLIMITED, UNLIMITED) == [Reading(UNLIMITED), Reading(UNLIMITED)]
        assert low(MACHINES) == 0
        run("systemctl", "daemon-reload")
        assert run("systemctl", "show", "machine.slice", "-p", "DropInPaths") == "DropInPaths="
        assert low(MACHINES) == 0

    def test_under_pressure_the_one_below_its_limit_is_spared(self, site: Site) -> None:
        site.limit(_ABOVE_MIB, _BELOW_MIB)
        spared, reclaimed = site.press()
        assert reclaimed > 50
        assert spared < reclaimed / 5

    def test_without_pressure_nobody_is_slowed(self, site: Site) -> None:
        site.limit(_ABOVE_MIB, _BELOW_MIB)
        resident, throttled = site.resident_mib(), site.throttled()
        stalled = site.stalled_us()
        for guest in site.guests:
            site.bench.libvirt.virsh("resume", guest.name)
        time.sleep(_BUSY_S)
        assert site.throttled() == throttled
        assert all(now - was < _BUSY_S * 10_000
                   for now, was in zip(site.stalled_us(), stalled, strict=True))
        assert all(now > was - 5
                   for now, was in zip(site.resident_mib(), resident, strict=True))

    def test_what_an_administrator_set_is_left_alone(self, site: Site) -> None:
        run("systemctl", "set-property", "--runtime", "machine.slice", "MemoryLow=64M")
        try:
            (reading, _) = site.limit(_ABOVE_MIB, UNLIMITED)
            assert low(MACHINES) == 64
            assert (reading.applied, reading.effective) == (_ABOVE_MIB * MIB, False)
            assert "64 MiB" in (reading.reason or "")
        finally:
            run("systemctl", "set-property", "--runtime", "machine.slice", "MemoryLow=0")
        write(site.bench.host.domain(site.guests[0].uuid), "memory_soft_limit", _ABOVE_MIB * MIB)
        assert low(MACHINES) == _ABOVE_MIB

    def test_a_server_that_ends_takes_its_part_along(self, site: Site) -> None:
        site.limit(_ABOVE_MIB, _BELOW_MIB)
        site.bench.libvirt.virsh("destroy", site.guests[1].name)
        with suppress(errors.QosError):
            # another agent, which set none of it; it knows no uplink here
            LibvirtHost(site.bench.libvirt.uri, site.bench.networks).tidy(correct=True, floating={})
        assert low(MACHINES) == _ABOVE_MIB


class TestThrottle:
    @pytest.fixture
    def host(self, site: Site) -> LibvirtHost:
        return LibvirtHost(site.bench.libvirt.uri, site.bench.networks, "throttle")

    def test_memory_above_the_limit_goes_without_any_pressure(
        self, site: Site, host: LibvirtHost
    ) -> None:
        before = site.resident_mib()
        assert min(before) > _MEMORY_MIB
        readings = site.limit(UNLIMITED, 64, host=host)
        assert readings[0] == Reading(UNLIMITED)
        assert (readings[1].applied, readings[1].effective) == (64 * MIB, True)
        assert "throttles (memory.high)" in (readings[1].reason or "")
        assert (site.scopes()[1] / "libvirt/memory.high").read_text().strip() == str(64 * 2**20)
        assert comes_true(lambda: site.resident_mib()[1] < 80, 60), site.resident_mib()
        assert site.resident_mib()[0] > before[0] - 20

    def test_one_kind_follows_the_other(self, site: Site, host: LibvirtHost) -> None:
        """The option was changed, and the agent started again."""
        kinds: list[Callable[[], list[Reading]]] = [
            lambda: site.limit(200, 200, host=host), lambda: site.limit(200, 200)]
        site.limit(200, 200)
        for kind, reader, (high, protected) in zip(
                kinds, (host, site.bench.host), ((200, 0), (None, 200)), strict=True):
            assert not any(each.holds(200 * MIB) for each in site.readings(reader))
            assert all(each.holds(200 * MIB) for each in kind())
            for scope in site.scopes():
                text = (scope / "libvirt/memory.high").read_text().strip()
                assert text == ("max" if high is None else str(high * 2**20))
                assert low(scope) == protected
            assert low(MACHINES) == 2 * protected
