# SPDX-License-Identifier: Apache-2.0
"""Domains that differ from the usual: other balloon devices, a dead guest, CPUs of its own."""

from collections.abc import Iterator

import pytest

from nova_qos.core import errors
from tests.host.bench import RealBench, RealServer
from tests.knobs import certain_balloon, read, write
from tools.bed.domain import Shape, TestGuest, memballoon_xml

MIB = 1024


@pytest.fixture
def odd(bench: RealBench, request: pytest.FixtureRequest) -> Iterator[TestGuest]:
    guest = TestGuest(
        bench.libvirt, bench.images, "odd", Shape(memory_mib=128, memballoon=request.param)
    )
    guest.start("--paused")
    yield guest
    guest.remove()


@pytest.mark.parametrize("odd", ['<memballoon model="none"/>'], indirect=True)
def test_no_balloon_device(bench: RealBench, odd: TestGuest) -> None:
    domain = bench.host.domain(odd.uuid)
    balloon = certain_balloon(domain)
    assert (balloon.alive, balloon.actual_kib) == (False, 128 * MIB)
    assert "no memory balloon device" in (balloon.reason or "")
    assert read(domain, "memory").applied == 128 * MIB
    with pytest.raises(errors.NoBalloon, match="no memory balloon device"):
        write(domain, "memory", 100 * MIB)


@pytest.mark.parametrize("odd", [memballoon_xml(period_s=0)], indirect=True)
def test_balloon_without_statistics(bench: RealBench, odd: TestGuest) -> None:
    balloon = certain_balloon(bench.host.domain(odd.uuid))
    assert not balloon.alive
    assert "mem_stats_period_seconds" in (balloon.reason or "")


def test_guest_that_died_stops_counting_as_alive(bench: RealBench, server: RealServer) -> None:
    """Its qemu lives on, so that libvirt goes on showing the last statistics."""
    domain = bench.host.domain(server.uuid)
    server.guest.crash()
    try:
        server.await_silence()
        balloon = certain_balloon(domain)
        assert not balloon.alive
        assert "reported nothing for" in (balloon.reason or "")
    finally:
        server.stop()


def test_shares_of_a_server_with_cpus_of_its_own_do_nothing(
    bench: RealBench, server: RealServer
) -> None:
    domain = bench.host.domain(server.uuid)
    assert read(domain, "cpu_priority").effective
    bench.libvirt.virsh("vcpupin", server.guest.name, "0", "0", "--live")
    try:
        reading = read(bench.host.domain(server.uuid), "cpu_priority")
    finally:
        bench.libvirt.virsh("vcpupin", server.guest.name, "0", "0-1", "--live")
    assert (reading.applied, reading.effective) == (1024, False)
    assert "pinned" in (reading.reason or "")
