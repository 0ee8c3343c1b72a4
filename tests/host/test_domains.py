# SPDX-License-Identifier: Apache-2.0
"""Domains that differ from the usual: other balloon devices, a dead guest, another kind of host."""

from collections.abc import Iterator

import pytest

from nova_qos import errors
from nova_qos.virt.balloon import Movements
from nova_qos.virt.connection import Connection
from nova_qos.virt.domain import UnifiedCgroupDomain
from nova_qos.virt.inventory import Inventory
from testbed.domain import TestGuest, memballoon_xml
from tests.host.bench import RealBench, RealServer

MIB = 1024


@pytest.fixture
def odd(bench: RealBench, request: pytest.FixtureRequest) -> Iterator[TestGuest]:
    guest = TestGuest(
        bench.libvirt, bench.images, "odd", memory_mib=128, memballoon=request.param
    )
    guest.start("--paused")
    yield guest
    guest.remove()


@pytest.mark.parametrize("odd", ['<memballoon model="none"/>'], indirect=True)
def test_no_balloon_device(bench: RealBench, odd: TestGuest) -> None:
    domain = bench.host.domain(odd.uuid)
    balloon = domain.read_balloon()
    assert (balloon.alive, balloon.actual_kib) == (False, 128 * MIB)
    assert "no memory balloon device" in (balloon.reason or "")
    assert domain.read_memory().applied == 128 * MIB
    with pytest.raises(errors.NoBalloon, match="no memory balloon device"):
        domain.write_memory(100 * MIB)


@pytest.mark.parametrize("odd", [memballoon_xml(period_s=0)], indirect=True)
def test_balloon_without_statistics(bench: RealBench, odd: TestGuest) -> None:
    balloon = bench.host.domain(odd.uuid).read_balloon()
    assert not balloon.alive
    assert "mem_stats_period_seconds" in (balloon.reason or "")


def test_guest_that_died_stops_counting_as_alive(bench: RealBench, server: RealServer) -> None:
    """Its qemu lives on, so that libvirt goes on showing the last statistics."""
    domain = bench.host.domain(server.uuid)
    server.guest.crash()
    try:
        server.await_silence()
        balloon = domain.read_balloon()
        assert not balloon.alive
        assert "reported nothing for" in (balloon.reason or "")
    finally:
        server.stop()


def test_unified_cgroup_host_offers_memory_and_network(
    bench: RealBench, server: RealServer
) -> None:
    connection = Connection(bench.libvirt.uri)
    domain = UnifiedCgroupDomain(
        connection, Movements(), bench.network, Inventory(connection).interfaces, server.uuid)
    assert domain.read_memory().applied == server.memory_kib
    domain.write_net_priority(10)
    assert domain.read_net_priority().applied == 10
    for refused in (
        domain.read_cpu_shares,
        domain.read_memory_soft_limit,
        domain.read_io_weight,
        lambda: domain.write_cpu_shares(1024),
        lambda: domain.write_memory_soft_limit(100 * MIB),
        lambda: domain.write_io_weight(100),
    ):
        with pytest.raises(errors.HostCannot, match="cgroup v2"):
            refused()
