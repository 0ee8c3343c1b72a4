# SPDX-License-Identifier: Apache-2.0
"""What a memory soft limit does on cgroup v2: who loses memory when the host is short of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.virt.host import LibvirtHost
from tests.knobs import write
from tests.vmhost.scarce import GENERATIONS, MEMORY_MIB, MIB, Site, kernel_setting
from tests.vmhost.servers import MACHINES, comes_true, run

_BUSY_S = 15
#: A little above what a server has on the host with all its memory, and far below. What one does
#: not use of its limit protects the other.
_ABOVE_MIB, _BELOW_MIB = 320, 32


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


@pytest.mark.resources("memory_soft_limit")
class TestProtect:
    @pytest.fixture(autouse=True)
    def _heeded(self) -> Iterator[None]:
        with kernel_setting(GENERATIONS, "n"):
            yield

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

    def test_it_says_where_the_kernel_hardly_heeds_it(self, site: Site) -> None:
        site.limit(_ABOVE_MIB, UNLIMITED)
        with kernel_setting(GENERATIONS, "y"):
            (reading, _) = site.readings(site.bench.host)
        assert (reading.applied, reading.effective) == (_ABOVE_MIB * MIB, False)
        assert f"write n to {GENERATIONS}" in (reading.reason or "")

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
        assert _ABOVE_MIB - 64 < site.resident_mib()[0] < _ABOVE_MIB
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


@pytest.mark.resources("memory_soft_limit")
class TestThrottle:
    @pytest.fixture
    def host(self, site: Site) -> LibvirtHost:
        return LibvirtHost(site.bench.libvirt.uri, site.bench.networks, "throttle")

    def test_memory_above_the_limit_goes_without_any_pressure(
        self, site: Site, host: LibvirtHost
    ) -> None:
        before = site.resident_mib()
        assert min(before) > MEMORY_MIB
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
