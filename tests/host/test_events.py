# SPDX-License-Identifier: Apache-2.0
"""What a real libvirt tells of its servers, also across its own restarts."""

import os
import signal
import time

import pytest

from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.host.ear import Ear


@pytest.fixture
def ear(event_loop: None, bench: RealBench, server: RealServer) -> Ear:
    ear = Ear()
    host = LibvirtHost(bench.libvirt.uri, bench.networks)
    host.watch(ear)
    assert ear.hears((None, "unknown"), 5)
    return ear


def test_a_server_that_ends_and_starts(ear: Ear, server: RealServer) -> None:
    server.stop()
    assert ear.hears((server.uuid, "ended"), 5)
    server.guest.start()
    assert ear.hears((server.uuid, "started"), 1)


def test_a_server_that_goes_on_after_a_pause(ear: Ear, server: RealServer) -> None:
    server.pause()
    server.resume()
    assert ear.hears((server.uuid, "changed"), 5)


def test_a_guest_that_restarts_itself(ear: Ear, server: RealServer) -> None:
    server.guest.restart_itself()
    assert ear.hears((server.uuid, "started"), 1)


def test_libvirtd_that_restarts(ear: Ear, bench: RealBench, server: RealServer) -> None:
    bench.libvirt.restart()
    assert ear.hears((None, "unknown"), 15)
    server.pause()
    server.resume()
    assert ear.hears((server.uuid, "changed"), 5)


def test_libvirtd_that_hangs(ear: Ear, bench: RealBench, server: RealServer) -> None:
    """It lives and does not answer: after 15 s it counts as away, and nobody waits for it."""
    pid = bench.libvirt.libvirtd_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(25)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ear.hears((None, "unknown"), 10)
    server.pause()
    server.resume()
    assert ear.hears((server.uuid, "changed"), 5)


def test_limits_of_a_disk_that_another_program_changes(
    ear: Ear, bench: RealBench, server: RealServer
) -> None:
    bench.libvirt.virsh("blkdeviotune", server.guest.name, "vda", "--live", "--total-iops-sec",
                        "900")
    assert ear.hears((server.uuid, "changed"), 5)
    # what everything else changes is read from the kernel anyway
    bench.libvirt.virsh("schedinfo", server.guest.name, "--live", "cpu_shares=1000")
    assert not ear.hears((server.uuid, "changed"), 1)
