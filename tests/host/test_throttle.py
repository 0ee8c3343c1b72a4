# SPDX-License-Identifier: Apache-2.0
"""Limits of real guests' disks, set through our code and counted by libvirt."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Domain
from nova_qos.virt.throttle import GROUP
from tests.host.bench import RealBench, RealServer
from tests.knobs import apply, read, write
from tools.bed.processes import wait_until

_MEASURED_S = 10
#: Four readers a disk, past the page cache, each at a place of its own.
_BUSY = ("for disk in vda vdb; do for reader in 0 1 2 3; do "
         "timeout {seconds} dd if=/dev/$disk of=/dev/null bs={block} iflag=direct "
         "skip=$((reader * {apart})) >/dev/null 2>&1 & done; done")
_NETWORK_DISK = """\
<disk type="network" device="disk">
  <driver name="qemu" type="raw" cache="none"/>
  <source protocol="nbd"><host transport="unix" socket="{socket}"/></source>
  <target dev="vdb" bus="virtio"/>
</disk>
"""


def tuned(bench: RealBench, server: RealServer, disk: str) -> dict[str, str]:
    """What virsh says about a disk's limits."""
    lines = bench.libvirt.virsh("blkdeviotune", server.guest.name, disk).splitlines()
    return {name.strip(): value.strip() for name, _, value in
            (line.partition(":") for line in lines) if name}


def limits(bench: RealBench, server: RealServer, disk: str) -> tuple[str, str, str]:
    found = tuned(bench, server, disk)
    return found["total_iops_sec"], found["total_bytes_sec"], found["group_name"]


def counted(bench: RealBench, server: RealServer) -> tuple[int, int, float]:
    """How many reads and bytes of both disks are done, and when: in the middle of the time that it
    takes to ask, which on a busy machine is long."""
    requests, read_bytes, began = 0, 0, time.monotonic()
    for disk in ("vda", "vdb"):
        words = bench.libvirt.virsh("domblkstat", server.guest.name, disk).split()
        requests += int(words[words.index("rd_req") + 1])
        read_bytes += int(words[words.index("rd_bytes") + 1])
    return requests, read_bytes, (began + time.monotonic()) / 2


def tune(bench: RealBench, server: RealServer, disk: str, iops: int) -> None:
    """As a flavor, or another program, has it."""
    bench.libvirt.virsh("blkdeviotune", server.guest.name, disk, "--live",
                        "--total-iops-sec", str(iops))


@pytest.fixture
def domain(bench: RealBench, server: RealServer) -> Domain:
    return bench.host.domain(server.uuid)


def plug(bench: RealBench, server: RealServer, place: Path) -> None:
    with place.open("wb") as image:
        image.truncate(2**30)
    bench.libvirt.virsh("attach-disk", server.guest.name, str(place), "vdb", "--live",
                        "--driver", "qemu", "--subdriver", "raw", "--cache", "none")


def unplug(bench: RealBench, server: RealServer) -> None:
    bench.libvirt.virsh("detach-disk", server.guest.name, "vdb", "--live")
    for _ in range(100):
        if "vdb" not in bench.libvirt.virsh("domblklist", server.guest.name):
            return
        time.sleep(0.1)
    raise AssertionError("the guest does not let its second disk go")


@contextmanager
def network_disk(bench: RealBench, server: RealServer, tmp_path: Path) -> Iterator[None]:
    """A second disk that QEMU reaches over the network, as it does volumes in rbd: served by NBD on
    a socket."""
    image, socket, disk = (tmp_path / name for name in ("nbd.raw", "nbd.sock", "nbd.xml"))
    with image.open("wb") as file:
        file.truncate(2**30)
    disk.write_text(_NETWORK_DISK.format(socket=socket))
    served = subprocess.Popen(
        ["qemu-nbd", "--format=raw", "--persistent", "--cache=none", f"--socket={socket}", image])
    try:
        assert wait_until(socket.exists, 10)
        bench.libvirt.virsh("attach-device", server.guest.name, str(disk), "--live")
        yield
        unplug(bench, server)
    finally:
        served.terminate()
        served.wait()


def test_a_limit_counts_a_disk_on_the_network(
    bench: RealBench, server: RealServer, domain: Domain, tmp_path: Path
) -> None:
    with network_disk(bench, server, tmp_path):
        domain.knob("disk_throttle").write({"io_limit": 200, "io_rate_limit": UNLIMITED})
        assert limits(bench, server, "vdb") == ("200", "0", GROUP)
        assert read(domain, "io_limit") == Reading(200)
        # weights do not reach it, and that is said
        weight = read(domain, "io_priority")
        print(f"I/O weight beside a disk on the network: {weight}")
        assert not weight.effective
        assert "vdb" in (weight.reason or "")
        rate = measured(bench, server, 4096, 0)
        print(f"limit 200, one of two disks on the network: {rate:.1f} in a second")
        assert rate == pytest.approx(200, rel=0.03)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "second.raw"


@pytest.fixture
def second_disk(bench: RealBench, server: RealServer, place: Path) -> Iterator[None]:
    plug(bench, server, place)
    yield
    unplug(bench, server)


@pytest.mark.usefixtures("second_disk")
@pytest.mark.parametrize(("values", "block", "ideal"), [
    pytest.param({"io_limit": 200, "io_rate_limit": UNLIMITED}, 4096, 200, id="200 operations",
                 marks=pytest.mark.resources("io_limit")),
    pytest.param({"io_limit": UNLIMITED, "io_rate_limit": 8192}, 2**18, 8 * 2**20, id="8 MiB",
                 marks=pytest.mark.resources("io_rate_limit")),
])
def test_a_limit_of_all_disks_together_is_exact(
    bench: RealBench, server: RealServer, domain: Domain, values: dict[str, int], block: int,
    ideal: int,
) -> None:
    domain.knob("disk_throttle").write(values)
    assert domain.knob("disk_throttle").read() == {
        name: Reading(value) for name, value in values.items()}
    rate = measured(bench, server, block, 0 if values["io_limit"] == ideal else 1)
    print(f"limit {ideal}: {rate:.1f} in a second, of two disks together")
    assert rate == pytest.approx(ideal, rel=0.03)


def measured(bench: RealBench, server: RealServer, block: int, figure: int) -> float:
    """What both disks do in a second while the guest reads all it can: figure 0 is requests, 1 is
    bytes."""
    server.guest.run(_BUSY.format(seconds=_MEASURED_S + 6, block=block, apart=100 * 2**20 // block))
    time.sleep(3)
    before = counted(bench, server)
    time.sleep(_MEASURED_S)
    after = counted(bench, server)
    time.sleep(4)
    return (after[figure] - before[figure]) / (after[2] - before[2])


@pytest.mark.usefixtures("second_disk")
def test_all_disks_are_in_one_group_that_is_ours(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    apply(domain, {"io_limit": 500, "io_rate_limit": 2**14}, 5)
    for disk in ("vda", "vdb"):
        assert limits(bench, server, disk) == ("500", str(2**24), GROUP)
    write(domain, "io_limit", UNLIMITED)
    for disk in ("vda", "vdb"):
        assert limits(bench, server, disk) == ("0", str(2**24), GROUP)
    write(domain, "io_rate_limit", UNLIMITED)
    for disk in ("vda", "vdb"):
        assert limits(bench, server, disk)[:2] == ("0", "0")
        assert GROUP not in tuned(bench, server, disk).values()
    assert "<group_name>" not in bench.libvirt.virsh("dumpxml", server.guest.name)


def test_a_disk_that_comes_later_joins(
    bench: RealBench, server: RealServer, domain: Domain, place: Path
) -> None:
    write(domain, "io_limit", 500)
    plug(bench, server, place)
    try:
        for at in (bench.host.domain(server.uuid), bench.host.look(server.uuid, ["disk_throttle"]),
                   bench.host.snapshot(["disk_throttle"]).domain(server.uuid)):
            reading = read(at, "io_limit")
            assert (reading.applied, reading.effective, reading.holds(500)) == (500, False, False)
            assert reading.reason == "disk vdb is not counted yet"
        write(bench.host.domain(server.uuid), "io_limit", 500)
        assert limits(bench, server, "vdb") == ("500", "0", GROUP)
        assert read(bench.host.look(server.uuid, []), "io_limit") == Reading(500)
        write(bench.host.domain(server.uuid), "io_limit", UNLIMITED)
    finally:
        unplug(bench, server)


@pytest.mark.usefixtures("second_disk")
def test_a_disk_with_other_limits_is_left_alone(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    tune(bench, server, "vda", 900)
    before = tuned(bench, server, "vda")
    write(domain, "io_limit", 500)
    assert limits(bench, server, "vdb") == ("500", "0", GROUP)
    reading = read(domain, "io_limit")
    assert (reading.applied, reading.effective, reading.holds(500)) == (500, False, True)
    assert "disk vda is not counted, because it has limits of the flavor" in (reading.reason or "")
    write(domain, "io_limit", UNLIMITED)
    assert read(domain, "io_limit") == Reading(UNLIMITED)
    assert tuned(bench, server, "vda") == before
    tune(bench, server, "vda", 0)


def test_where_every_disk_has_other_limits_there_is_none_of_ours(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    tune(bench, server, "vda", 900)
    before = tuned(bench, server, "vda")
    for refused in (lambda: domain.admit({"io_rate_limit": 2**14}),
                    lambda: write(domain, "io_rate_limit", 2**14)):
        with pytest.raises(errors.HostRefused, match="rate_kib: no disk can be limited: disk vda"):
            refused()
    assert tuned(bench, server, "vda") == before
    assert read(domain, "io_rate_limit") == Reading(UNLIMITED)
    tune(bench, server, "vda", 0)


def test_a_limit_that_another_program_changed(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    write(domain, "io_limit", 500)
    tune(bench, server, "vda", 600)
    assert read(domain, "io_limit").applied == 600
    # and some of kinds that we never set
    for more in (["--total-iops-sec-max", "800"],
                 ["--total-iops-sec-max", "800", "--total-iops-sec-max-length", "5"],
                 ["--size-iops-sec", "4096"]):
        bench.libvirt.virsh("blkdeviotune", server.guest.name, "vda", "--live",
                            "--total-iops-sec", "500", *more)
        assert not read(domain, "io_limit").holds(500)
        write(domain, "io_limit", 500)
        assert tuned(bench, server, "vda")["total_iops_sec_max"] == "0"
        assert tuned(bench, server, "vda")["size_iops_sec"] == "0"
        assert read(domain, "io_limit") == Reading(500)
    write(domain, "io_limit", UNLIMITED)
