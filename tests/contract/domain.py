# SPDX-License-Identifier: Apache-2.0
"""What every host behind the Domain and Host protocols does; subclasses give ``bench``."""

import time
import uuid
from collections.abc import Callable
from concurrent import futures

import pytest

from nova_qos import errors
from nova_qos.model import UNLIMITED, Domain, Reading
from tests.contract.bench import Bench, Server

MIB = 1024
_ARRIVAL_S = 15

READS: dict[str, Callable[[Domain], object]] = {
    "paused": lambda domain: domain.is_paused(),
    "memory": lambda domain: domain.read_memory(),
    "balloon": lambda domain: domain.read_balloon(),
    "soft limit": lambda domain: domain.read_memory_soft_limit(),
    "shares": lambda domain: domain.read_cpu_shares(),
    "weight": lambda domain: domain.read_io_weight(),
    "net priority": lambda domain: domain.read_net_priority(),
}
WRITES: dict[str, Callable[[Domain], None]] = {
    "memory": lambda domain: domain.write_memory(200 * MIB),
    "soft limit": lambda domain: domain.write_memory_soft_limit(200 * MIB),
    "shares": lambda domain: domain.write_cpu_shares(512),
    "weight": lambda domain: domain.write_io_weight(200),
    "net priority": lambda domain: domain.write_net_priority(20),
}
CALLS: dict[str, Callable[[Domain], object]] = {
    **{f"read {name}": read for name, read in READS.items()},
    **{f"write {name}": write for name, write in WRITES.items()},
}


def weighed(priority: int, weight: int) -> Reading:
    return Reading(priority, details={"weight": weight})


def arrived(domain: Domain, memory_kib: int) -> Reading:
    """Wait until the balloon is there, and return the last reading either way."""
    deadline = time.monotonic() + _ARRIVAL_S
    while (reading := domain.read_memory()).applied != memory_kib:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return reading


class ContractTests:
    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.server()

    @pytest.fixture
    def domain(self, bench: Bench, server: Server) -> Domain:
        return bench.host.domain(server.uuid)


class MemoryContract(ContractTests):
    def test_memory_is_whole_at_first(self, server: Server, domain: Domain) -> None:
        reading = domain.read_memory()
        assert (reading.applied, reading.effective) == (server.memory_kib, True)
        assert (reading.reason, reading.hindered) == (None, None)

    def test_memory_details_are_fresh_figures(self, domain: Domain) -> None:
        details = domain.read_memory().details
        assert 0 < details["usable"] < 1024 * MIB
        assert abs(details["last_update"] - time.time()) < 10
        assert "actual" not in details

    def test_memory_shrinks_and_grows(self, server: Server, domain: Domain) -> None:
        for memory_kib in (server.memory_kib - 64 * MIB, server.memory_kib):
            domain.write_memory(memory_kib)
            assert arrived(domain, memory_kib).applied == memory_kib

    def test_memory_above_the_definition_is_refused(self, server: Server, domain: Domain) -> None:
        with pytest.raises(errors.HostRefused):
            domain.write_memory(server.memory_kib + MIB)
        assert domain.read_memory().applied == server.memory_kib

    def test_memory_in_use_is_not_given(self, server: Server, domain: Domain) -> None:
        server.occupy(100)
        target_kib = 64 * MIB
        domain.write_memory(target_kib)
        time.sleep(2)
        assert target_kib < (domain.read_memory().applied or 0) < server.memory_kib

    def test_whole_memory_is_not_reported_by_a_driver_that_finds_nothing_to_do(
        self, server: Server, domain: Domain
    ) -> None:
        less_kib = server.memory_kib - MIB
        domain.write_memory(less_kib)
        arrived(domain, less_kib)
        with server.resetting():
            domain.write_memory(server.memory_kib)
        domain.write_memory(server.memory_kib)
        time.sleep(2)
        assert domain.read_memory().applied == less_kib
        for memory_kib in (less_kib + MIB // 2, server.memory_kib):
            domain.write_memory(memory_kib)
            assert arrived(domain, memory_kib).applied == memory_kib

    def test_less_memory_is_reported_by_a_driver_that_comes_up(
        self, server: Server, domain: Domain
    ) -> None:
        domain.write_memory(server.memory_kib - MIB)
        arrived(domain, server.memory_kib - MIB)
        target_kib = server.memory_kib - 2 * MIB
        with server.resetting():
            domain.write_memory(target_kib)
        assert arrived(domain, target_kib).applied == target_kib

    def test_balloon_lives(self, server: Server, domain: Domain) -> None:
        balloon = domain.read_balloon()
        assert (balloon.alive, balloon.reason) == (True, None)
        assert 0 < balloon.usable_kib < balloon.actual_kib == server.memory_kib

    def test_spare_memory_follows_the_balloon_at_once(
        self, server: Server, domain: Domain
    ) -> None:
        before = domain.read_balloon()
        taken_kib = 64 * MIB
        domain.write_memory(server.memory_kib - taken_kib)
        arrived(domain, server.memory_kib - taken_kib)
        after = domain.read_balloon()
        assert after.actual_kib == server.memory_kib - taken_kib
        assert after.usable_kib < before.usable_kib - taken_kib / 2

    def test_use_of_memory_shows_in_what_can_be_spared(
        self, server: Server, domain: Domain
    ) -> None:
        before = domain.read_balloon().usable_kib
        server.occupy(60)
        deadline = time.monotonic() + 10
        while (now := domain.read_balloon().usable_kib) > before - 50 * MIB:
            assert time.monotonic() < deadline, f"usable went from {before} to {now} KiB only"
            time.sleep(0.2)


class NoBalloonContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.driverless()

    def test_dead_balloon_is_recognised(self, server: Server, domain: Domain) -> None:
        balloon = domain.read_balloon()
        assert not balloon.alive
        assert "reported nothing" in (balloon.reason or "")
        assert (balloon.actual_kib, balloon.usable_kib) == (server.memory_kib, 0)

    def test_memory_is_read_as_without_effect(self, server: Server, domain: Domain) -> None:
        reading = domain.read_memory()
        assert (reading.applied, reading.effective) == (server.memory_kib, False)
        assert "reported nothing" in (reading.reason or "")
        assert reading.hindered is None

    def test_written_memory_does_not_arrive(self, server: Server, domain: Domain) -> None:
        domain.write_memory(server.memory_kib - 64 * MIB)
        time.sleep(1)
        assert domain.read_memory().applied == server.memory_kib

    def test_everything_else_works(self, domain: Domain) -> None:
        domain.write_cpu_shares(300)
        assert domain.read_cpu_shares().holds(300)


class PinnedMemoryContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.pinned()

    def test_memory_is_shown_as_unsupported(self, server: Server, domain: Domain) -> None:
        reading = domain.read_memory()
        assert (reading.applied, reading.effective) == (server.memory_kib, False)
        assert reading.hindered == "unsupported"
        assert "its memory is" in (reading.reason or "")

    @pytest.mark.parametrize(
        "call",
        [lambda domain: domain.read_balloon(), lambda domain: domain.write_memory(128 * MIB)],
        ids=["read balloon", "write memory"],
    )
    def test_memory_cannot_be_taken(
        self, server: Server, domain: Domain, call: Callable[[Domain], object]
    ) -> None:
        with pytest.raises(errors.HostCannot, match="its memory is"):
            call(domain)
        assert domain.read_memory().applied == server.memory_kib


class KernelKnobsContract(ContractTests):
    def test_soft_limit_is_set_and_lifted(self, domain: Domain) -> None:
        assert domain.read_memory_soft_limit().applied == UNLIMITED
        for memory_kib in (MIB, 100 * MIB, UNLIMITED):
            domain.write_memory_soft_limit(memory_kib)
            assert domain.read_memory_soft_limit().applied == memory_kib
        assert domain.read_memory_soft_limit() == Reading(UNLIMITED)

    def test_cpu_shares_take_their_whole_range(self, domain: Domain) -> None:
        assert domain.read_cpu_shares().applied == 1024
        for shares in (2, 262144, 1495, 1024):
            domain.write_cpu_shares(shares)
            reading = domain.read_cpu_shares()
            assert reading.effective
            assert reading.holds(shares)
            least, most = reading.span or (shares, shares)
            assert not reading.holds(least - 1)
            assert not reading.holds(most + 1)
            assert least <= (reading.applied or 0) <= most
        assert (reading.applied, reading.reason) == (1024, None)

    def test_shares_that_cannot_be_told_apart_are_named(self, domain: Domain) -> None:
        domain.write_cpu_shares(1495)
        first = domain.read_cpu_shares()
        if first.span is None:
            assert first == Reading(1495)
            return
        assert f"shares {first.span[0]} to {first.span[1]}" in (first.reason or "")
        for shares in first.span:
            domain.write_cpu_shares(shares)
            assert domain.read_cpu_shares() == first

    def test_io_weight_takes_its_whole_range(self, domain: Domain) -> None:
        assert domain.read_io_weight().applied == 100
        for weight in (100, 1000, 500):
            domain.write_io_weight(weight)
            assert domain.read_io_weight().applied == weight

    @pytest.mark.parametrize("shares", [1, 262145, 10**12])
    def test_cpu_shares_out_of_range_are_refused(self, domain: Domain, shares: int) -> None:
        with pytest.raises(errors.HostRefused):
            domain.write_cpu_shares(shares)
        assert domain.read_cpu_shares().applied == 1024

    def test_io_weight_out_of_range_is_refused(self, domain: Domain) -> None:
        with pytest.raises(errors.HostRefused):
            domain.write_io_weight(1001)
        assert domain.read_io_weight().applied == 100

    def test_many_threads_may_write_at_once(self, bench: Bench, server: Server) -> None:
        def work(number: int) -> Reading:
            domain = bench.host.domain(server.uuid)
            domain.write_cpu_shares(1000 + 20 * number)
            return domain.read_cpu_shares()

        with futures.ThreadPoolExecutor(20) as threads:
            seen = list(threads.map(work, range(20), timeout=120))
        assert bench.host.domain(server.uuid).read_cpu_shares() in seen
        for reading in seen:
            assert any(reading.holds(1000 + 20 * number) for number in range(20))


class NetworkContract(ContractTests):
    def test_priority_takes_its_whole_range_and_goes(self, domain: Domain) -> None:
        assert domain.read_net_priority() == Reading(UNLIMITED)
        for priority in (0, 98, 10):
            domain.write_net_priority(priority)
            assert domain.read_net_priority() == weighed(priority, 99 - priority)
        domain.write_net_priority(UNLIMITED)
        assert domain.read_net_priority() == Reading(UNLIMITED)

    def test_servers_without_a_priority_have_a_weight_while_another_has_one(
        self, bench: Bench, domain: Domain
    ) -> None:
        other = bench.host.domain(bench.driverless().uuid)
        assert other.read_net_priority() == Reading(UNLIMITED)
        domain.write_net_priority(10)
        assert other.read_net_priority() == weighed(UNLIMITED, 50)
        with bench.host.at_once():
            assert [each.read_net_priority() for each in (domain, other)] == [
                weighed(10, 89), weighed(UNLIMITED, 50)]
        domain.write_net_priority(UNLIMITED)
        assert other.read_net_priority() == Reading(UNLIMITED)

    @pytest.mark.parametrize("priority", [-2, 99, 10**12])
    def test_priority_out_of_range_is_refused(self, domain: Domain, priority: int) -> None:
        with pytest.raises(errors.HostRefused):
            domain.write_net_priority(priority)
        assert domain.read_net_priority().applied == UNLIMITED

    def test_tidying_keeps_the_priority(self, bench: Bench, domain: Domain) -> None:
        domain.write_net_priority(30)
        bench.host.tidy(mend=True)
        assert domain.read_net_priority() == weighed(30, 69)


class PausedContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        paused = bench.server()
        paused.pause()
        return paused

    def test_pause_is_seen(self, server: Server, domain: Domain) -> None:
        assert domain.is_paused()
        server.resume()
        assert not domain.is_paused()

    def test_balloon_counts_as_alive(self, domain: Domain) -> None:
        assert domain.read_balloon().alive

    def test_memory_waits_for_the_guest(self, server: Server, domain: Domain) -> None:
        target_kib = server.memory_kib - 32 * MIB
        domain.write_memory(target_kib)
        time.sleep(1)
        assert domain.read_memory().applied == server.memory_kib
        server.resume()
        assert arrived(domain, target_kib).applied == target_kib

    def test_kernel_knobs_can_be_written(self, domain: Domain) -> None:
        domain.write_cpu_shares(700)
        domain.write_memory_soft_limit(90 * MIB)
        domain.write_io_weight(300)
        domain.write_net_priority(40)
        assert domain.read_net_priority().applied == 40
        assert domain.read_cpu_shares().holds(700)
        assert domain.read_memory_soft_limit().applied == 90 * MIB
        assert domain.read_io_weight().applied == 300


class StoppedContract(ContractTests):
    def test_every_call_says_so(self, bench: Bench, server: Server, domain: Domain) -> None:
        server.stop()
        for call in CALLS.values():
            with pytest.raises(errors.ServerNotRunning):
                call(domain)
        with pytest.raises(errors.ServerNotRunning):
            bench.host.domain(server.uuid)

    def test_unknown_server(self, bench: Bench) -> None:
        with pytest.raises(errors.ServerNotRunning):
            bench.host.domain(str(uuid.uuid4()))


class AwayContract(ContractTests):
    def test_every_call_says_so_and_works_again_later(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        with bench.away():
            for call in CALLS.values():
                with pytest.raises(errors.HostAway):
                    call(domain)
            with pytest.raises(errors.HostAway):
                bench.host.domain(server.uuid)
        for call in CALLS.values():
            call(domain)
        assert not bench.host.domain(server.uuid).is_paused()
