# SPDX-License-Identifier: Apache-2.0
"""A guest that libvirt is at work on for long: it is migrated, slowly, to another libvirt."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.host.test_hangs import SOON_S, seen, timed
from tests.knobs import read, write
from tools.bed.domain import Shape, TestGuest
from tools.bed.libvirtd import PrivateLibvirt
from tools.bed.processes import wait_until

#: What a call that waits for the guest's turn takes at most.
_LIMIT_S = 8
_MIB = 128


@pytest.fixture(scope="module")
def target(_network: None) -> Iterator[PrivateLibvirt]:
    """Another host, as far as libvirt knows."""
    state = Path(tempfile.mkdtemp(prefix="nova-qos-to-", dir="/var/tmp"))
    target = PrivateLibvirt(state)
    target.start()
    try:
        yield target
    finally:
        target.remove()
        shutil.rmtree(state)


@pytest.fixture
def moving(bench: RealBench, target: PrivateLibvirt) -> Iterator[TestGuest]:
    """A guest whose memory is on its way for as long as a test lasts."""
    guest = TestGuest(bench.libvirt, bench.images, "moving", Shape(memory_mib=_MIB))
    guest.start()
    bench.libvirt.virsh("migrate-setspeed", guest.name, "1")
    migration = subprocess.Popen([
        "virsh", "--connect", bench.libvirt.uri, "migrate", "--live", "--unsafe", guest.name,
        target.uri, "--migrateuri", "tcp://127.0.0.1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert wait_until(
            lambda: migration.poll() is not None
            or "Memory processed" in bench.libvirt.virsh("domjobinfo", guest.name), 30)
        assert migration.poll() is None, migration.communicate()[0]
        yield guest
        assert migration.poll() is None, "it was over too early"
    finally:
        if migration.poll() is None:
            bench.libvirt.virsh("domjobabort", guest.name)
        migration.communicate()
        guest.remove()


def test_each_side_answers_for_all_others_at_once(
    bench: RealBench, server: RealServer, target: PrivateLibvirt, moving: TestGuest
) -> None:
    source = LibvirtHost(bench.libvirt.uri, bench.networks)
    other = LibvirtHost(target.uri, bench.networks)
    try:
        for _ in range(2):
            found, took_s = timed(lambda: seen(source, server.uuid, moving.uuid))
            assert took_s < SOON_S
            assert isinstance(found[server.uuid], Reading)
            # its memory is still here, and libvirt may tell it or not
            assert isinstance(found[moving.uuid], Reading | errors.HostRefused)
            found, took_s = timed(lambda: seen(other, moving.uuid))
            assert took_s < SOON_S
            assert isinstance(found[moving.uuid], errors.ServerNotRunning)
        _, took_s = timed(lambda: write(source.domain(server.uuid), "cpu_priority", 1500))
        assert took_s < SOON_S
        assert read(source.domain(moving.uuid), "cpu_priority").applied == 1024
    finally:
        source.close()
        other.close()


def test_what_waits_for_its_turn_has_a_limit(
    bench: RealBench, server: RealServer, moving: TestGuest
) -> None:
    host = LibvirtHost(bench.libvirt.uri, bench.networks)

    def take_memory() -> None:
        with pytest.raises(errors.HostRefused, match="libvirt has been at work on this server"):
            write(host.domain(moving.uuid), "memory", (_MIB - 8) * 1024)

    try:
        for _ in range(2):
            _, took_s = timed(take_memory)
            assert took_s < _LIMIT_S
        reading, took_s = timed(lambda: read(host.domain(server.uuid), "memory"))
        assert took_s < SOON_S
        assert reading.applied == server.memory_kib
    finally:
        host.close()
