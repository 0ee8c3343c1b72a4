# SPDX-License-Identifier: Apache-2.0
"""What every ``HostMemory`` does; subclasses give ``bench``."""

import time
import uuid
from collections.abc import Callable

import pytest

from nova_qos.core import errors
from nova_qos.core.guest import Guest
from tests.contract.bench import Bench, Server
from tests.contract.domain import MIB, arrived
from tests.knobs import write

#: A driver's report, and what it takes under emulation.
_WITHIN_S = 20
_KSM_NUMBERS = ("pages_to_scan", "sleep_millisecs", "pages_sharing")


def guest_of(bench: Bench, server: Server) -> Guest:
    """What is told of a guest whose balloon can move."""
    guest = bench.host.memory.guests()[server.uuid]
    assert isinstance(guest, Guest), guest
    return guest


def awaited(bench: Bench, server: Server, what: Callable[[Guest], bool]) -> Guest:
    """The guest once something is so of it, or as it was last."""
    give_up = time.monotonic() + _WITHIN_S
    while not what(guest := guest_of(bench, server)) and time.monotonic() < give_up:
        time.sleep(0.2)
    return guest


class MemoryContractTests:
    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError


class HostMemoryContract(MemoryContractTests):
    def test_the_host_tells_its_memory(self, bench: Bench) -> None:
        now = bench.host.memory.now()
        assert 0 < now.available_mib <= now.memory_mib
        assert 0 <= now.pressure <= 100

    def test_it_does_so_while_libvirt_is_away(self, bench: Bench) -> None:
        bench.server()
        with bench.away():
            assert bench.host.memory.now().available_mib > 0
            with pytest.raises(errors.HostAway):
                bench.host.memory.guests()

    def test_samepage_merging_is_read_by_the_kernels_names(self, bench: Bench) -> None:
        files = bench.host.memory.ksm.read()
        assert files["run"] in ("0", "1", "2")
        assert all(int(files[name]) >= 0 for name in _KSM_NUMBERS)
        # of a choice, only what is chosen
        assert not any("[" in text for text in files.values())


class GuestsContract(MemoryContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.server()

    def test_a_guest_has_figures(self, bench: Bench, server: Server) -> None:
        guest = guest_of(bench, server)
        assert guest.actual_kib == server.memory_kib
        assert 0 < guest.usable_kib < guest.actual_kib
        assert guest.caches_kib + guest.swapped_in_kib + guest.major_faults >= 0
        assert guest.resident_kib > 0
        assert 0 <= guest.age_s <= 3 * guest.period_s
        assert not guest.paused

    def test_a_balloon_that_moves_is_seen(self, bench: Bench, server: Server) -> None:
        before, less_kib = guest_of(bench, server), server.memory_kib - 64 * MIB
        domain = bench.host.domain(server.uuid)
        write(domain, "memory", less_kib)
        assert arrived(domain, less_kib).applied == less_kib
        after = awaited(bench, server, lambda guest: (
            guest.actual_kib == less_kib and guest.reported != before.reported
            and guest.usable_kib < before.usable_kib - 32 * MIB))
        assert after.actual_kib == less_kib
        assert after.usable_kib < before.usable_kib - 32 * MIB

    def test_what_a_guest_uses_is_not_usable(self, bench: Bench, server: Server) -> None:
        before = guest_of(bench, server)
        server.occupy(60)
        after = awaited(
            bench, server, lambda guest: guest.usable_kib < before.usable_kib - 50 * MIB)
        assert after.usable_kib < before.usable_kib - 50 * MIB
        assert after.actual_kib == before.actual_kib

    def test_what_a_guest_reads_from_its_disks_is_counted(
        self, bench: Bench, server: Server
    ) -> None:
        before = guest_of(bench, server).read_bytes
        server.read_disk(4)
        assert guest_of(bench, server).read_bytes >= before + 4 * MIB * 1024

    def test_reports_come_as_often_as_is_asked_for(self, bench: Bench, server: Server) -> None:
        for period_s in (1, 3):
            bench.host.memory.set_report_period(server.uuid, period_s)
            assert guest_of(bench, server).period_s == period_s
        bench.host.memory.set_report_period(server.uuid, 1)
        seen = {guest_of(bench, server).reported}
        for _ in range(20):
            bench.pass_time(0.2)
            seen.add(guest_of(bench, server).reported)
        assert len(seen) >= 3

    def test_the_figures_of_a_paused_guest_are_its_last(
        self, bench: Bench, server: Server
    ) -> None:
        server.pause()
        guest = guest_of(bench, server)
        assert (guest.paused, guest.actual_kib) == (True, server.memory_kib)

    def test_each_running_server_is_told_of_and_no_other(
        self, bench: Bench, server: Server
    ) -> None:
        assert server.uuid in bench.host.memory.guests()
        server.stop()
        assert server.uuid not in bench.host.memory.guests()
        for server_uuid in (server.uuid, str(uuid.uuid4())):
            with pytest.raises(errors.ServerNotRunning):
                bench.host.memory.set_report_period(server_uuid, 2)

    def test_what_cannot_be_asked_for_says_so(self, bench: Bench, server: Server) -> None:
        with bench.away(), pytest.raises(errors.HostAway):
            bench.host.memory.set_report_period(server.uuid, 2)
        bench.host.memory.set_report_period(server.uuid, 2)
        assert guest_of(bench, server).period_s == 2


class UnmovableContract(MemoryContractTests):
    """Of guests whose balloon cannot move, it is told why, beside the figures of the others."""

    def test_without_a_driver(self, bench: Bench) -> None:
        server = bench.driverless()
        found = bench.host.memory.guests()[server.uuid]
        assert isinstance(found, errors.HostCannot)
        assert "driver" in found.message

    def test_with_pinned_memory(self, bench: Bench) -> None:
        server = bench.pinned()
        found = bench.host.memory.guests()[server.uuid]
        assert isinstance(found, errors.HostCannot)
        assert "huge pages" in found.message
