# SPDX-License-Identifier: Apache-2.0
"""Set through our code; seen by virsh, in the cgroup file and inside of the guest."""

import time
from concurrent import futures
from dataclasses import replace

import pytest

from nova_qos.agent.change import Change, changed
from nova_qos.core import errors
from nova_qos.core.balloon import Limits
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Domain
from nova_qos.resources.memory import guard
from tests.host.bench import RealBench, RealServer
from tests.host.test_cpu import used_s
from tests.knobs import apply, certain_balloon, write
from tools.bed.domain import Shape, TestGuest
from tools.bed.memory_records import MemoryRecord

MIB = 1024
RESERVE = Limits(reserve_kib=16 * MIB)
SETTLE_S = 15.0


@pytest.fixture
def domain(bench: RealBench, server: RealServer) -> Domain:
    return bench.host.domain(server.uuid)


@pytest.mark.resources("memory")
def test_memory_is_taken_from_the_guest_and_given_back(
    server: RealServer, domain: Domain
) -> None:
    taken_kib = 80 * MIB
    free_kib = server.guest.memory_kib("MemAvailable")
    reading = apply(domain, {"memory": server.memory_kib - taken_kib}, SETTLE_S)["memory"]
    assert (reading.applied, reading.unmet) == (server.memory_kib - taken_kib, None)
    assert server.statistics()["actual"] == server.memory_kib - taken_kib
    assert server.guest.memory_kib("MemAvailable") == pytest.approx(free_kib - taken_kib, abs=8000)
    apply(domain, {"memory": server.memory_kib}, SETTLE_S)
    assert server.statistics()["actual"] == server.memory_kib
    assert server.guest.memory_kib("MemAvailable") == pytest.approx(free_kib, abs=8000)


@pytest.mark.resources("memory")
def test_memory_that_does_not_arrive_is_pending_with_what_was_reached(
    server: RealServer, domain: Domain
) -> None:
    server.occupy(100)
    reading = apply(domain, {"memory": 48 * MIB}, 3.0)["memory"]
    assert 48 * MIB < (reading.applied or 0) < server.memory_kib
    assert server.statistics()["actual"] == pytest.approx(reading.applied, abs=4 * MIB)


def test_guard_knows_what_the_guest_uses_now(server: RealServer, domain: Domain) -> None:
    guard(certain_balloon(domain), 140 * MIB, RESERVE)
    server.occupy(80)
    server.await_report()
    used_kib = server.memory_kib - server.guest.memory_kib("MemAvailable")
    with pytest.raises(errors.UnsafeMemory) as refusal:
        guard(certain_balloon(domain), 140 * MIB, RESERVE)
    lowest_mib = int(refusal.value.message.split("lowest safe value now is ")[1].split()[0])
    assert lowest_mib == pytest.approx((used_kib + RESERVE.reserve_kib) / MIB, abs=8)
    guard(certain_balloon(domain), 140 * MIB, Limits(RESERVE.reserve_kib, force=True))


def test_guard_of_a_guest_without_driver(bench: RealBench) -> None:
    with pytest.raises(errors.NoBalloon, match="reported nothing"):
        guard(certain_balloon(bench.host.domain(bench.driverless().uuid)), 140 * MIB, RESERVE)


def test_guard_of_a_paused_guest(server: RealServer, domain: Domain) -> None:
    server.pause()
    with pytest.raises(errors.ServerNotRunning, match="paused"):
        guard(certain_balloon(domain), 140 * MIB, RESERVE)
    time.sleep(8)
    server.resume()
    guard(certain_balloon(domain), 140 * MIB, RESERVE)


@pytest.mark.resources("memory_soft_limit")
def test_soft_limit(bench: RealBench, server: RealServer, domain: Domain) -> None:
    def seen() -> tuple[str, str]:
        limit = bench.libvirt.virsh("memtune", server.guest.name, "--live")
        soft = next(line for line in limit.splitlines() if "soft_limit" in line)
        file = server.guest.cgroup_value("memory", "memory.soft_limit_in_bytes")
        return soft.split(":")[1].strip(), file

    apply(domain, {"memory_soft_limit": 128 * MIB}, SETTLE_S)
    assert seen() == (str(128 * MIB), str(128 * MIB * 1024))
    apply(domain, {"memory_soft_limit": UNLIMITED}, SETTLE_S)
    words, file = seen()
    assert words == "unlimited" or int(words) > 2**50
    assert int(file) > 2**60


# the most shares count in what a guarantee of another process's guest needs
@pytest.mark.alone
@pytest.mark.parametrize("shares", [2, 1024, 2048, 262144])
@pytest.mark.resources("cpu_priority")
def test_cpu_shares(bench: RealBench, server: RealServer, domain: Domain, shares: int) -> None:
    reading = apply(domain, {"cpu_priority": shares}, SETTLE_S)["cpu_priority"]
    assert reading.applied == shares
    assert server.guest.cgroup_value("cpu", "cpu.shares") == str(shares)
    schedule = bench.libvirt.virsh("schedinfo", server.guest.name, "--live").split()
    assert schedule[schedule.index("cpu_shares") + 2] == str(shares)


@pytest.mark.parametrize("weight", [100, 500, 1000])
@pytest.mark.resources("io_priority")
def test_io_weight(bench: RealBench, server: RealServer, domain: Domain, weight: int) -> None:
    reading = apply(domain, {"io_priority": weight}, SETTLE_S)["io_priority"]
    assert reading.applied == weight
    assert server.guest.cgroup_value("blkio", "blkio.bfq.weight") == str(weight)
    tune = bench.libvirt.virsh("blkiotune", server.guest.name, "--live").splitlines()
    assert f"weight         : {weight}" in tune


def test_what_was_written_is_undone_when_a_later_write_is_refused(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    apply(domain, {"cpu_priority": 1500}, SETTLE_S)
    saved, settings = MemoryRecord(server.uuid).server, {"cpu_priority": 700, "io_priority": 1000}
    change = Change(saved, bench.host, settings, RESERVE, changed(saved, settings))
    change.targets["io_priority"] = replace(change.targets["io_priority"], host_value=1001)
    with pytest.raises(errors.HostRefused):
        change.carry_out()
    assert server.guest.cgroup_value("cpu", "cpu.shares") == "1500"
    assert server.guest.cgroup_value("blkio", "blkio.bfq.weight") == "100"


def test_the_definition_stays_as_nova_wrote_it(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    before = bench.libvirt.virsh("dumpxml", server.guest.name, "--inactive")
    targets = {
        "memory": 200 * MIB, "memory_soft_limit": 180 * MIB, "cpu_priority": 77,
        "io_priority": 300,
    }  # fmt: skip
    apply(domain, targets, SETTLE_S)
    assert bench.libvirt.virsh("dumpxml", server.guest.name, "--inactive") == before
    assert "<shares>77</shares>" in bench.libvirt.virsh("dumpxml", server.guest.name)


@pytest.mark.alone
@pytest.mark.resources("cpu_priority")
def test_shares_divide_the_processor(bench: RealBench, server: RealServer) -> None:
    rival = TestGuest(bench.libvirt, bench.images, "rival", Shape(memory_mib=128))
    rival.start()
    try:
        guests = (server.guest, rival)
        for guest, shares in zip(guests, (4096, 1024), strict=True):
            bench.libvirt.virsh("vcpupin", guest.name, "0", "0", "--live")
            write(bench.host.domain(guest.uuid), "cpu_priority", shares)
        with futures.ThreadPoolExecutor(2) as threads:
            done = [threads.submit(guest.run, "burn-cpu 10") for guest in guests]
            # on a busy machine, one of them begins late
            time.sleep(3)
            before = [used_s(bench, guest) for guest in guests]
            time.sleep(5)
            used = [used_s(bench, guest) - early
                    for guest, early in zip(guests, before, strict=True)]
            for each in done:
                each.result()
    finally:
        rival.remove()
        bench.libvirt.virsh("vcpupin", server.guest.name, "0", "0-1", "--live")
    assert used[0] > 2 * used[1], f"of 5 s, 4096 shares had {used[0]:.1f}, 1024 {used[1]:.1f}"
