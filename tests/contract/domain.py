# SPDX-License-Identifier: Apache-2.0
"""What every host behind the Domain and Host protocols does; subclasses give ``bench``."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import replace

import pytest

from nova_qos.core import errors, metric
from nova_qos.core.contention import FAMILIES
from nova_qos.core.reading import Reading
from nova_qos.core.room import PRESSED
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Domain
from nova_qos.resources import TABLE
from tests.contract.bench import Bench, Server
from tests.knobs import certain_balloon, knob_of, read, write
from tests.pace import Stopwatch

MIB = 1024
_ARRIVAL_S = 15

READS: dict[str, Callable[[Domain], object]] = {
    "paused": lambda domain: domain.balloon().paused,
    "memory": lambda domain: read(domain, "memory"),
    "balloon": lambda domain: certain_balloon(domain),
    "soft limit": lambda domain: read(domain, "memory_soft_limit"),
    "shares": lambda domain: read(domain, "cpu_priority"),
    "CPU limit": lambda domain: read(domain, "cpu_limit"),
    "memory guarantee": lambda domain: read(domain, "memory_guarantee"),
    "CPU guarantee": lambda domain: read(domain, "cpu_guarantee"),
    "weight": lambda domain: read(domain, "io_priority"),
    "I/O limit": lambda domain: read(domain, "io_limit"),
    "I/O rate limit": lambda domain: read(domain, "io_rate_limit"),
    "net priority": lambda domain: read(domain, "net_priority"),
    "net limit": lambda domain: read(domain, "net_limit"),
    "net guarantee": lambda domain: read(domain, "net_guarantee"),
}
WRITES: dict[str, Callable[[Domain], None]] = {
    "memory": lambda domain: write(domain, "memory", 200 * MIB),
    "soft limit": lambda domain: write(domain, "memory_soft_limit", 200 * MIB),
    "shares": lambda domain: write(domain, "cpu_priority", 512),
    "CPU limit": lambda domain: write(domain, "cpu_limit", 50),
    "memory guarantee": lambda domain: write(domain, "memory_guarantee", 50),
    "CPU guarantee": lambda domain: write(domain, "cpu_guarantee", 5),
    "weight": lambda domain: write(domain, "io_priority", 200),
    "I/O limit": lambda domain: write(domain, "io_limit", 500),
    "I/O rate limit": lambda domain: write(domain, "io_rate_limit", 2**14),
    "net priority": lambda domain: write(domain, "net_priority", 20),
    "net limit": lambda domain: write(domain, "net_limit", 16_000),
    "net guarantee": lambda domain: write(domain, "net_guarantee", 8_000),
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
    while (reading := read(domain, "memory")).applied != memory_kib:
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


@pytest.mark.resources("memory")
class MemoryContract(ContractTests):
    def test_memory_is_whole_at_first(self, server: Server, domain: Domain) -> None:
        reading = read(domain, "memory")
        assert (reading.applied, reading.effective) == (server.memory_kib, True)
        assert (reading.reason, reading.unmet) == (None, None)

    def test_memory_details_are_fresh_figures(self, domain: Domain) -> None:
        details = read(domain, "memory").details
        assert 0 < details["usable"] < 1024 * MIB
        assert abs(details["last_update"] - time.time()) < 10
        assert "actual" not in details

    def test_memory_shrinks_and_grows(self, server: Server, domain: Domain) -> None:
        for memory_kib in (server.memory_kib - 64 * MIB, server.memory_kib):
            write(domain, "memory", memory_kib)
            assert arrived(domain, memory_kib).applied == memory_kib

    def test_memory_above_the_definition_is_refused(self, server: Server, domain: Domain) -> None:
        with pytest.raises(errors.HostRefused):
            write(domain, "memory", server.memory_kib + MIB)
        assert read(domain, "memory").applied == server.memory_kib

    def test_memory_in_use_is_not_given(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        server.occupy(100)
        target_kib = 64 * MIB
        write(domain, "memory", target_kib)
        bench.pass_time(2)
        assert target_kib < (read(domain, "memory").applied or 0) < server.memory_kib

    def test_whole_memory_is_not_reported_by_a_driver_that_finds_nothing_to_do(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        less_kib = server.memory_kib - MIB
        write(domain, "memory", less_kib)
        arrived(domain, less_kib)
        with server.resetting():
            write(domain, "memory", server.memory_kib)
        write(domain, "memory", server.memory_kib)
        bench.pass_time(2)
        assert read(domain, "memory").applied == less_kib
        for memory_kib in (less_kib + MIB // 2, server.memory_kib):
            write(domain, "memory", memory_kib)
            assert arrived(domain, memory_kib).applied == memory_kib

    def test_less_memory_is_reported_by_a_driver_that_comes_up(
        self, server: Server, domain: Domain
    ) -> None:
        write(domain, "memory", server.memory_kib - MIB)
        arrived(domain, server.memory_kib - MIB)
        target_kib = server.memory_kib - 2 * MIB
        with server.resetting():
            write(domain, "memory", target_kib)
        assert arrived(domain, target_kib).applied == target_kib

    def test_balloon_lives(self, server: Server, domain: Domain) -> None:
        balloon = certain_balloon(domain)
        assert (balloon.alive, balloon.reason) == (True, None)
        assert 0 < balloon.usable_kib < balloon.actual_kib == server.memory_kib

    def test_asking_for_the_balloon_never_waits(self, server: Server, domain: Domain) -> None:
        write(domain, "memory", server.memory_kib - 32 * MIB)
        with Stopwatch() as watch:
            for _ in range(5):
                domain.balloon()
        assert watch.seconds < 2
        assert certain_balloon(domain).alive

    def test_spare_memory_follows_the_balloon_at_once(
        self, server: Server, domain: Domain
    ) -> None:
        before = certain_balloon(domain)
        taken_kib = 64 * MIB
        write(domain, "memory", server.memory_kib - taken_kib)
        arrived(domain, server.memory_kib - taken_kib)
        after = certain_balloon(domain)
        assert after.actual_kib == server.memory_kib - taken_kib
        assert after.usable_kib < before.usable_kib - taken_kib / 2

    def test_use_of_memory_shows_in_what_can_be_spared(
        self, server: Server, domain: Domain
    ) -> None:
        before = certain_balloon(domain).usable_kib
        server.occupy(60)
        deadline = time.monotonic() + _ARRIVAL_S
        while (now := certain_balloon(domain).usable_kib) > before - 50 * MIB:
            assert time.monotonic() < deadline, f"usable went from {before} to {now} KiB only"
            time.sleep(0.2)


class NoBalloonContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.driverless()

    def test_dead_balloon_is_recognised(self, server: Server, domain: Domain) -> None:
        balloon = certain_balloon(domain)
        assert not balloon.alive
        assert "reported nothing" in (balloon.reason or "")
        assert (balloon.actual_kib, balloon.usable_kib) == (server.memory_kib, 0)

    def test_memory_is_read_as_without_effect(self, server: Server, domain: Domain) -> None:
        reading = read(domain, "memory")
        assert (reading.applied, reading.effective) == (server.memory_kib, False)
        assert "reported nothing" in (reading.reason or "")
        assert reading.unmet is None

    def test_written_memory_does_not_arrive(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        write(domain, "memory", server.memory_kib - 64 * MIB)
        bench.pass_time(1)
        assert read(domain, "memory").applied == server.memory_kib

    def test_everything_else_works(self, domain: Domain) -> None:
        write(domain, "cpu_priority", 300)
        assert read(domain, "cpu_priority").holds(300)


class PinnedMemoryContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        return bench.pinned()

    def test_memory_is_shown_as_unsupported(self, server: Server, domain: Domain) -> None:
        reading = read(domain, "memory")
        assert (reading.applied, reading.effective) == (server.memory_kib, False)
        assert reading.unmet == "unsupported"
        assert "its memory is" in (reading.reason or "")

    @pytest.mark.parametrize(
        "call",
        [lambda domain: certain_balloon(domain), lambda domain: write(domain, "memory", 128 * MIB)],
        ids=["read balloon", "write memory"],
    )
    def test_memory_cannot_be_taken(
        self, server: Server, domain: Domain, call: Callable[[Domain], object]
    ) -> None:
        with pytest.raises(errors.HostCannot, match="its memory is"):
            call(domain)
        assert read(domain, "memory").applied == server.memory_kib


class KernelKnobsContract(ContractTests):
    @pytest.mark.resources("memory_soft_limit")
    def test_soft_limit_is_set_and_lifted(self, domain: Domain) -> None:
        assert read(domain, "memory_soft_limit").applied == UNLIMITED
        for memory_kib in (MIB, 100 * MIB, UNLIMITED):
            write(domain, "memory_soft_limit", memory_kib)
            assert read(domain, "memory_soft_limit").applied == memory_kib
        assert read(domain, "memory_soft_limit") == Reading(UNLIMITED)

    @pytest.mark.resources("cpu_priority")
    def test_cpu_shares_take_their_whole_range(self, domain: Domain) -> None:
        assert read(domain, "cpu_priority").applied == 1024
        for shares in (2, 262144, 1495, 1024):
            write(domain, "cpu_priority", shares)
            reading = read(domain, "cpu_priority")
            assert reading.effective
            assert reading.holds(shares)
            least, most = reading.span or (shares, shares)
            assert not reading.holds(least - 1)
            assert not reading.holds(most + 1)
            assert least <= (reading.applied or 0) <= most
        assert (reading.applied, reading.reason) == (1024, None)

    def test_shares_that_cannot_be_told_apart_are_named(self, domain: Domain) -> None:
        write(domain, "cpu_priority", 1495)
        first = read(domain, "cpu_priority")
        if first.span is None:
            assert first == Reading(1495)
            return
        assert f"shares {first.span[0]} to {first.span[1]}" in (first.reason or "")
        for shares in first.span:
            write(domain, "cpu_priority", shares)
            assert read(domain, "cpu_priority") == first

    @pytest.mark.resources("cpu_limit")
    def test_cpu_limit_is_set_and_lifted(self, domain: Domain) -> None:
        assert read(domain, "cpu_limit") == Reading(UNLIMITED)
        for percent in (10, 150, 33, UNLIMITED):
            write(domain, "cpu_limit", percent)
            assert read(domain, "cpu_limit") == Reading(percent)

    @pytest.mark.resources("io_limit", "io_rate_limit")
    def test_disk_limits_are_set_and_lifted(self, domain: Domain) -> None:
        names = ("io_limit", "io_rate_limit")
        assert [read(domain, name) for name in names] == [Reading(UNLIMITED)] * 2
        for values in ((10, UNLIMITED), (10, 1024), (10**6, 2**30), (UNLIMITED, 2**30),
                       (UNLIMITED, UNLIMITED)):
            for name, value in zip(names, values, strict=True):
                write(domain, name, value)
            assert [read(domain, name) for name in names] == list(map(Reading, values))
        domain.knob("disk_throttle").write({"io_limit": 200, "io_rate_limit": 2**13})
        assert [read(domain, name).applied for name in names] == [200, 2**13]
        domain.knob("disk_throttle").write(dict.fromkeys(names, UNLIMITED))
        assert [read(domain, name) for name in names] == [Reading(UNLIMITED)] * 2

    @pytest.mark.resources("cpu_guarantee")
    def test_cpu_guarantee_raises_the_shares_that_it_needs(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        assert read(domain, "cpu_guarantee") == Reading(UNLIMITED)
        rival = bench.driverless()
        other = bench.host.domain(rival.uuid)
        write(other, "cpu_priority", 100000)
        domain.knob("cpu_group").write({"cpu_priority": 2, "cpu_guarantee": 1})
        assert read(domain, "cpu_guarantee") == Reading(1)
        few = read(domain, "cpu_priority")
        assert (few.asked, few.reason, few.holds(2)) == (2, "raised by cpu_guarantee", True)
        write(domain, "cpu_guarantee", 50)
        many = read(domain, "cpu_priority")
        assert (few.applied or 0) * 20 < (many.applied or 0)
        assert many.holds(2)
        write(domain, "cpu_priority", 3)
        assert read(domain, "cpu_priority") == replace(
            many, span=(3, 3), details={**many.details, "asked": 3})
        # the less others have, the less is needed
        write(other, "cpu_priority", 50000)
        assert (read(domain, "cpu_priority").applied or 0) < (many.applied or 0) * 0.6
        rival.stop()
        bench.host.settle()
        assert (read(domain, "cpu_priority").applied or 0) < (many.applied or 0) * 0.3
        write(domain, "cpu_guarantee", UNLIMITED)
        assert read(domain, "cpu_priority").holds(3)
        assert read(domain, "cpu_priority").reason != "raised by cpu_guarantee"
        assert read(domain, "cpu_guarantee") == Reading(UNLIMITED)

    @pytest.mark.resources("memory_guarantee")
    def test_memory_guarantee_is_set_and_lifted(self, domain: Domain) -> None:
        assert read(domain, "memory_guarantee") == Reading(UNLIMITED)
        for memory_mib in (1, 100):
            write(domain, "memory_guarantee", memory_mib)
            reading = read(domain, "memory_guarantee")
            assert (reading.applied, reading.holds(memory_mib)) == (memory_mib, True)
            assert reading.effective
        with pytest.raises(errors.HostRefused, match=r"can guarantee \d+ MiB"):
            domain.admit({"memory_guarantee": 2**40})
        write(domain, "memory_guarantee", UNLIMITED)
        assert read(domain, "memory_guarantee") == Reading(UNLIMITED)

    @pytest.mark.resources("cpu_guarantee")
    def test_a_guarantee_that_the_host_does_not_have_is_refused(
        self, domain: Domain
    ) -> None:
        domain.admit({"cpu_guarantee": 10, "cpu_limit": 50})
        with pytest.raises(errors.HostRefused, match=r"can guarantee \d+ percent of one CPU"):
            domain.admit({"cpu_guarantee": 10**6})
        assert read(domain, "cpu_guarantee") == Reading(UNLIMITED)

    @pytest.mark.resources("io_priority")
    def test_io_weight_takes_its_whole_range(self, domain: Domain) -> None:
        assert read(domain, "io_priority").applied == 100
        for weight in (100, 1000, 500):
            write(domain, "io_priority", weight)
            assert read(domain, "io_priority").applied == weight

    @pytest.mark.parametrize("shares", [1, 262145, 10**12])
    def test_cpu_shares_out_of_range_are_refused(self, domain: Domain, shares: int) -> None:
        with pytest.raises(errors.HostRefused):
            write(domain, "cpu_priority", shares)
        assert read(domain, "cpu_priority").applied == 1024

    def test_io_weight_out_of_range_is_refused(self, domain: Domain) -> None:
        with pytest.raises(errors.HostRefused):
            write(domain, "io_priority", 1001)
        assert read(domain, "io_priority").applied == 100

    def test_many_threads_may_write_at_once(self, bench: Bench, server: Server) -> None:
        def work(number: int) -> Reading:
            domain = bench.host.domain(server.uuid)
            write(domain, "cpu_priority", 1000 + 20 * number)
            return read(domain, "cpu_priority")

        with futures.ThreadPoolExecutor(20) as threads:
            seen = list(threads.map(work, range(20), timeout=120))
        assert read(bench.host.domain(server.uuid), "cpu_priority") in seen
        for reading in seen:
            assert any(reading.holds(1000 + 20 * number) for number in range(20))


class LookContract(ContractTests):
    def test_a_look_reads_what_the_domain_holds_at_each_time(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        for values in (
            {"memory_soft_limit": 180 * MIB, "cpu_priority": 2048, "io_priority": 300,
             "net_priority": 10},
            {"memory_soft_limit": UNLIMITED, "cpu_priority": 1024, "io_priority": 100,
             "net_priority": UNLIMITED},
        ):
            for name, value in values.items():
                write(domain, name, value)
            seen = bench.host.look(server.uuid, [knob_of(name) for name in values])
            assert {name: read(seen, name) for name in values} == {
                name: read(domain, name) for name in values}

    def test_a_look_reads_fresh_figures_of_the_memory(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        seen = read(bench.host.look(server.uuid, ["balloon"]), "memory")
        assert (seen.applied, seen.effective) == (server.memory_kib, True)
        assert seen.details.keys() == read(domain, "memory").details.keys()

    def test_a_look_reads_other_knobs_than_it_was_made_for(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        seen = bench.host.look(server.uuid, [])
        assert read(seen, "cpu_priority") == read(domain, "cpu_priority")


class SnapshotContract(ContractTests):
    def test_a_snapshot_reads_what_the_domain_holds(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        values = {"memory_soft_limit": 180 * MIB, "cpu_priority": 2048, "cpu_limit": 90,
                  "io_priority": 300, "net_priority": 10, "memory": server.memory_kib - 32 * MIB}
        for name, value in values.items():
            write(domain, name, value)
        arrived(domain, values["memory"])
        others = {name: read(domain, name) for name in values if name != "memory"}
        # QEMU tells libvirt the size of a balloon that moves once a second
        bench.pass_time(2)
        seen = bench.host.snapshot([knob_of(name) for name in values]).domain(server.uuid)
        assert {name: read(seen, name) for name in others} == others
        live, memory = read(domain, "memory"), read(seen, "memory")
        assert (memory.applied, memory.effective, memory.reason, memory.unmet) == (
            values["memory"], True, None, None)
        assert memory.details.keys() == live.details.keys()
        assert abs(memory.details["usable"] - live.details["usable"]) < 32 * MIB

    def test_a_snapshot_has_every_running_server_and_no_other(
        self, bench: Bench, server: Server
    ) -> None:
        other = bench.driverless()
        seen = bench.host.snapshot(["cpu_group"])
        assert {server.uuid, other.uuid} <= set(seen.running)
        for each in (server, other):
            assert read(seen.domain(each.uuid), "cpu_priority").applied == 1024
        other.stop()
        assert other.uuid not in bench.host.snapshot(["cpu_group"]).running
        with pytest.raises(errors.ServerNotRunning):
            bench.host.snapshot(["cpu_group"]).domain(other.uuid)
        with pytest.raises(errors.ServerNotRunning):
            read(seen.domain(other.uuid), "cpu_priority")

    def test_a_snapshot_with_figures(self, bench: Bench, server: Server) -> None:
        seen = bench.host.snapshot(["cpu_group"], figures=True)
        found = seen.figures_of(server.uuid)
        assert found["server_vcpus"] == {(): 1}
        assert 0 < found["server_cpu_seconds_total"][()] < 3600
        assert found["server_vcpu_seconds_total"][()] > 0
        assert found["server_vcpu_delay_seconds_total"][()] >= 0
        assert found["server_memory_resident_bytes"][()] >= MIB * 1024
        assert seen.is_whole(server.uuid)
        assert seen.figures()["host_cpus"] == {(): (bench.host.room().capacity["cpu"] or 0) // 100}
        assert {name: part.error for name, part in seen.parts.items()} == {
            "libvirt": None, "network": None}
        assert not {*found, *seen.figures()} - {each.name for each in metric.metrics(TABLE)}
        # what it takes part in is read from the same
        assert seen.domain(server.uuid).knob("cpu_group").read()["cpu_priority"].applied == 1024
        with pytest.raises(errors.ServerNotRunning):
            seen.figures_of(str(uuid.uuid4()))

    def test_a_snapshot_of_nothing_needs_libvirt(self, bench: Bench) -> None:
        with bench.away(), pytest.raises(errors.HostAway):
            bench.host.snapshot([])


class RoomContract(ContractTests):
    def test_a_host_tells_its_own_figures(self, bench: Bench) -> None:
        room = bench.host.room()
        assert 0 < room.available_mib <= room.memory_mib
        assert 0 < (room.capacity["memory"] or 0) <= room.memory_mib
        assert 100 <= (room.capacity["cpu"] or 0) <= 100 * room.cpus
        assert room.capacity.keys() == {each.name for each in FAMILIES}
        assert (room.capacity["net"] or 0) > 0
        assert room.pressure.keys() == set(PRESSED)
        for each in room.pressure.values():
            assert all(part is None or 0 <= part <= 100 for part in (each.some, each.full))

    def test_they_are_told_while_libvirt_is_away(self, bench: Bench) -> None:
        with bench.away():
            assert bench.host.room().memory_mib > 0

    def test_capacity_is_what_is_counted_against(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        capacity = bench.host.room().capacity
        for name, family in (("memory_guarantee", "memory"), ("cpu_guarantee", "cpu"),
                             ("net_guarantee", "net")):
            most = capacity[family]
            assert most is not None
            with pytest.raises(errors.HostRefused, match=str(most)):
                domain.admit({name: most + 1})

    def test_a_balloon_is_seen_in_a_snapshot(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        certain_balloon(domain)
        seen = bench.host.snapshot(["balloon"]).domain(server.uuid).balloon()
        assert (seen.alive, seen.actual_kib) == (True, server.memory_kib)
        assert 0 < seen.usable_kib < server.memory_kib


class NetworkContract(ContractTests):
    @pytest.fixture(params=["net_", "net_in_"], ids=["out", "in"])
    def way(self, request: pytest.FixtureRequest) -> str:
        """What the names of one direction's settings begin with."""
        prefix: str = request.param
        return prefix

    @pytest.fixture(autouse=True)
    def _lifted(self, bench: Bench, domain: Domain, way: str) -> Iterator[None]:
        """The host goes on knowing what was set, by other tests, too."""
        def lift() -> None:
            for each in domain, bench.host.domain(bench.driverless().uuid):
                each.knob(f"{way}class").write(dict.fromkeys(
                    (f"{way}{kind}" for kind in ("priority", "limit", "guarantee")), UNLIMITED))

        lift()
        yield
        lift()

    @pytest.mark.resources("{way}limit")
    def test_limit_takes_its_whole_range_and_goes(self, domain: Domain, way: str) -> None:
        assert read(domain, f"{way}limit") == Reading(UNLIMITED)
        # 80 Mbit/s is all that the host has
        for rate in (100, 5000, 80_000, 100_000_000):
            write(domain, f"{way}limit", rate)
            assert read(domain, f"{way}limit") == Reading(rate)
            assert read(domain, f"{way}priority") == Reading(UNLIMITED)
        write(domain, f"{way}limit", UNLIMITED)
        assert read(domain, f"{way}limit") == Reading(UNLIMITED)

    @pytest.mark.resources("{way}limit")
    def test_a_limit_alone_gives_no_other_server_a_part(
        self, bench: Bench, domain: Domain, way: str
    ) -> None:
        other = bench.host.domain(bench.driverless().uuid)
        write(domain, f"{way}limit", 5000)
        assert read(other, f"{way}priority") == Reading(UNLIMITED)
        write(domain, f"{way}priority", 10)
        assert read(domain, f"{way}limit") == Reading(5000)
        assert read(domain, f"{way}priority") == weighed(10, 89)
        assert read(other, f"{way}priority") == weighed(UNLIMITED, 50)
        write(domain, f"{way}priority", UNLIMITED)
        assert read(domain, f"{way}limit") == Reading(5000)
        assert read(other, f"{way}priority") == Reading(UNLIMITED)

    @pytest.mark.resources("{way}guarantee")
    def test_guarantee_is_set_and_lifted(self, bench: Bench, domain: Domain, way: str) -> None:
        other = bench.host.domain(bench.driverless().uuid)
        for rate in (100, 40_000):
            write(domain, f"{way}guarantee", rate)
            assert read(domain, f"{way}guarantee") == Reading(rate)
            # all servers share what is left
            assert read(other, f"{way}priority") == weighed(UNLIMITED, 50)
        domain.knob(f"{way}class").write({f"{way}limit": 48_000, f"{way}priority": 98})
        assert domain.knob(f"{way}class").read() == {
            f"{way}limit": Reading(48_000), f"{way}guarantee": Reading(40_000),
            f"{way}priority": weighed(98, 1)}
        domain.knob(f"{way}class").write(dict.fromkeys(
            (f"{way}limit", f"{way}guarantee", f"{way}priority"), UNLIMITED))
        assert read(domain, f"{way}guarantee") == Reading(UNLIMITED)
        assert read(other, f"{way}priority") == Reading(UNLIMITED)

    @pytest.mark.resources("{way}guarantee")
    def test_guarantees_that_the_uplink_does_not_have(
        self, bench: Bench, domain: Domain, way: str
    ) -> None:
        other = bench.host.domain(bench.driverless().uuid)
        write(other, f"{way}guarantee", 48_000)
        domain.admit({f"{way}guarantee": 32_000})
        with pytest.raises(errors.HostRefused, match=f"{way}guarantee: this host can guarantee"):
            domain.admit({f"{way}guarantee": 32_001})
        # as when a server arrives with it
        write(domain, f"{way}guarantee", 48_000)
        for each in (domain, other):
            reading = read(each, f"{way}guarantee")
            assert reading.applied == pytest.approx(40_000, rel=0.001)
            assert (reading.effective, reading.holds(48_000)) == (False, True)
            assert "reduced in proportion" in (reading.reason or "")
        write(other, f"{way}guarantee", UNLIMITED)
        assert read(domain, f"{way}guarantee") == Reading(48_000)

    @pytest.mark.resources("{way}priority")
    def test_priority_takes_its_whole_range_and_goes(self, domain: Domain, way: str) -> None:
        assert read(domain, f"{way}priority") == Reading(UNLIMITED)
        for priority in (0, 98, 10):
            write(domain, f"{way}priority", priority)
            assert read(domain, f"{way}priority") == weighed(priority, 99 - priority)
        write(domain, f"{way}priority", UNLIMITED)
        assert read(domain, f"{way}priority") == Reading(UNLIMITED)

    @pytest.mark.resources("{way}priority")
    def test_servers_without_a_priority_have_a_weight_while_another_has_one(
        self, bench: Bench, domain: Domain, way: str
    ) -> None:
        other = bench.host.domain(bench.driverless().uuid)
        assert read(other, f"{way}priority") == Reading(UNLIMITED)
        write(domain, f"{way}priority", 10)
        assert read(other, f"{way}priority") == weighed(UNLIMITED, 50)
        write(domain, f"{way}priority", UNLIMITED)
        assert read(other, f"{way}priority") == Reading(UNLIMITED)

    @pytest.mark.parametrize("priority", [-2, 99, 10**12])
    def test_priority_out_of_range_is_refused(
        self, domain: Domain, way: str, priority: int
    ) -> None:
        with pytest.raises(errors.HostRefused):
            write(domain, f"{way}priority", priority)
        assert read(domain, f"{way}priority").applied == UNLIMITED

    @pytest.mark.resources("{way}priority")
    def test_tidying_keeps_the_priority(self, bench: Bench, domain: Domain, way: str) -> None:
        write(domain, f"{way}priority", 30)
        bench.host.tidy(correct=True, floating={})
        assert read(domain, f"{way}priority") == weighed(30, 69)


class PausedContract(ContractTests):
    @pytest.fixture
    def server(self, bench: Bench) -> Server:
        paused = bench.server()
        paused.pause()
        return paused

    def test_pause_is_seen(self, server: Server, domain: Domain) -> None:
        assert domain.balloon().paused
        server.resume()
        assert not domain.balloon().paused

    def test_balloon_counts_as_alive(self, domain: Domain) -> None:
        assert certain_balloon(domain).alive

    def test_memory_waits_for_the_guest(
        self, bench: Bench, server: Server, domain: Domain
    ) -> None:
        target_kib = server.memory_kib - 32 * MIB
        write(domain, "memory", target_kib)
        bench.pass_time(1)
        assert read(domain, "memory").applied == server.memory_kib
        server.resume()
        assert arrived(domain, target_kib).applied == target_kib

    def test_a_size_that_the_guest_was_about_to_leave_waits_for_its_report(
        self, server: Server, domain: Domain
    ) -> None:
        whole_kib = server.memory_kib
        for memory_kib in (whole_kib - 32 * MIB, whole_kib):
            assert read(domain, "memory").applied == whole_kib
            write(domain, "memory", memory_kib)
        reading = read(domain, "memory")
        assert (reading.applied, reading.unmet) == (whole_kib, "pending")
        assert not reading.holds(whole_kib)
        server.resume()
        deadline = time.monotonic() + _ARRIVAL_S
        while not read(domain, "memory").holds(whole_kib):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def test_kernel_knobs_can_be_written(self, domain: Domain) -> None:
        write(domain, "cpu_priority", 700)
        write(domain, "memory_soft_limit", 90 * MIB)
        write(domain, "cpu_limit", 80)
        write(domain, "io_priority", 300)
        write(domain, "net_priority", 40)
        assert read(domain, "net_priority").applied == 40
        assert read(domain, "cpu_priority").holds(700)
        assert read(domain, "memory_soft_limit").applied == 90 * MIB
        assert read(domain, "cpu_limit").applied == 80
        assert read(domain, "io_priority").applied == 300


class StoppedContract(ContractTests):
    def test_every_call_says_so(self, bench: Bench, server: Server, domain: Domain) -> None:
        server.stop()
        for call in CALLS.values():
            with pytest.raises(errors.ServerNotRunning):
                call(domain)
        with pytest.raises(errors.ServerNotRunning):
            bench.host.domain(server.uuid)
        with pytest.raises(errors.ServerNotRunning):
            bench.host.look(server.uuid, ["cpu_group"])

    def test_unknown_server(self, bench: Bench) -> None:
        with pytest.raises(errors.ServerNotRunning):
            bench.host.domain(str(uuid.uuid4()))
        with pytest.raises(errors.ServerNotRunning):
            bench.host.look(str(uuid.uuid4()), [])


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
            with pytest.raises(errors.HostAway):
                bench.host.look(server.uuid, ["cpu_group"])
        for call in CALLS.values():
            call(domain)
        assert not bench.host.domain(server.uuid).balloon().paused
