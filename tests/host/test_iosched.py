# SPDX-License-Identifier: Apache-2.0
"""Whether an I/O weight acts, seen on loop devices of our own with a scheduler of our choice."""

import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest

from nova_qos.virt import iosched
from nova_qos.virt.definition import Disk
from tests.host.bench import RealBench
from tests.host.writers import Writers
from tests.knobs import read, write
from tools.bed import partitions
from tools.bed.domain import Shape, TestGuest
from tools.bed.processes import wait_until
from tools.bed.slowdisk import SlowDisk

MIB = 2**20
SIZE_MIB = 256
BURN_S, WINDOW_S, SHARES_S = 44, 4, 16
#: Within 0.1 on a machine that does nothing else.
TOLERANCE = 0.2


def run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


class LoopDisk:
    """A loop device with one partition that holds a mounted file system."""

    def __init__(self, device: Path, mounted: Path) -> None:
        self.device = device
        self.mounted = mounted

    def use(self, scheduler: str) -> None:
        Path("/sys/block", self.device.name, "queue/scheduler").write_text(scheduler)


@pytest.fixture(scope="module")
def loop(bench: RealBench) -> Iterator[LoopDisk]:
    image, mounted = bench.libvirt.state / "loop.raw", bench.libvirt.state / "loop"
    mounted.mkdir()
    run("truncate", "-s", f"{SIZE_MIB}M", image)
    # Direct: writes that end in the page cache leave a scheduler nothing to divide.
    options = ("--find", "--show", "--partscan", "--direct-io=on")
    device = Path(run("losetup", *options, image))
    try:
        # By hand: not every kernel reads partition tables.
        partitions.add(device, 1, MIB, (SIZE_MIB - 2) * MIB)
        partition = device.with_name(f"{device.name}p1")
        run("mke2fs", "-q", "-t", "ext4", partition)
        run("mount", partition, mounted)
        try:
            bench.libvirt.restart()
            yield LoopDisk(device, mounted)
        finally:
            run("umount", mounted)
            bench.libvirt.restart()
    finally:
        run("losetup", "--detach", device)


@pytest.fixture
def guest(bench: RealBench, loop: LoopDisk) -> Iterator[TestGuest]:
    guest = TestGuest(
        bench.libvirt, bench.images, "on-loop", Shape(memory_mib=128, disk_directory=loop.mounted)
    )
    guest.start("--paused")
    yield guest
    guest.remove()


@pytest.mark.resources("io_priority")
def test_weight_acts_under_bfq_only(bench: RealBench, loop: LoopDisk, guest: TestGuest) -> None:
    domain = bench.host.domain(guest.uuid)
    write(domain, "io_priority", 700)
    loop.use("bfq")
    reading = read(domain, "io_priority")
    assert (reading.applied, reading.effective, reading.reason) == (700, True, None)
    loop.use("mq-deadline")
    reading = read(domain, "io_priority")
    assert (reading.applied, reading.effective) == (700, False)
    assert f"device {loop.device.name} below disk vda" in (reading.reason or "")
    assert "mq-deadline" in (reading.reason or "")


@pytest.mark.parametrize("suffix", ["", "p1"], ids=["whole device", "partition"])
def test_disk_that_is_a_block_device(loop: LoopDisk, suffix: str) -> None:
    disk = Disk("vdb", "block", f"{loop.device}{suffix}")
    loop.use("bfq")
    assert iosched.look([disk]).why_not is None
    loop.use("none")
    assert f"{loop.device.name} below disk vdb has I/O scheduler none" in (
        iosched.look([disk]).why_not or ""
    )


def test_one_bad_disk_is_enough(loop: LoopDisk) -> None:
    loop.use("bfq")
    good = Disk("vda", "block", str(loop.device))
    assert iosched.look([good]).why_not is None
    assert "vdb (network)" in (
        iosched.look([good, Disk("vdb", "network", None)]).why_not or ""
    )


@pytest.mark.parametrize(
    ("disks", "words"),
    [
        ([], "no disk"),
        ([Disk("vda", "network", None)], "not on a block device of this host"),
        ([Disk("vda", "file", "/nonexistent/disk")], "No such file"),
        ([Disk("vda", "file", "/proc/version")], "without a block device"),
    ],
)
def test_why_a_weight_does_nothing(disks: list[Disk], words: str) -> None:
    assert words in (iosched.look(disks).why_not or "")


@pytest.fixture(scope="module")
def slow_disk(bench: RealBench) -> Iterator[SlowDisk]:
    with SlowDisk(bench.libvirt.state / "slow-disk", parts=2) as disk:
        yield disk


@pytest.fixture
def writers(bench: RealBench, slow_disk: SlowDisk) -> Iterator[Writers]:
    writers = Writers(bench, slow_disk)
    try:
        writers.start()
        yield writers
    finally:
        writers.remove()


@pytest.mark.alone
@pytest.mark.flaky(reruns=1)
@pytest.mark.resources("io_priority")
def test_weights_divide_the_disk(writers: Writers) -> None:
    with futures.ThreadPoolExecutor(1) as thread:
        burning = thread.submit(writers.burn, BURN_S)
        writers.await_both()
        for weights in ((200, 800), (800, 200)):
            writers.set_weights(*weights)
            share = pytest.approx(weights[0] / weights[1], rel=TOLERANCE)
            # a guest that lacks the processor asks for less than it may have: that proves nothing
            assert wait_until(
                lambda share=share: writers.ratio(WINDOW_S) == share, SHARES_S), weights
            assert not burning.done()
