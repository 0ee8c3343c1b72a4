# SPDX-License-Identifier: Apache-2.0
"""What divides a disk's devices, on a picture of /sys; real schedulers are in the host tier."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_qos.host import Ability
from nova_qos.virt import disk, iosched
from nova_qos.virt.definition import Definition, Disk
from nova_qos.virt.groups import Group
from nova_qos.virt.kernel import Configuration, Kernel
from nova_qos.virt.lookups import Lookups
from nova_qos.virt.systemd import Systemd

#: A device that only passes requests on: a new kernel has no file, an older one says "none".
PASSES_ON = (None, "none")
REQUEST_BASED = "[none] mq-deadline bfq"


class Sys:
    """Block devices as /sys shows them; the test's own files lie on the one of ``holds``."""

    def __init__(self, place: Path) -> None:
        status = place.stat()
        self.number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        self.numbers, self.block = place / "numbers", place / "block"
        self.io_cost = place / "io.cost.qos"
        self.numbers.mkdir()
        self.block.mkdir()
        self.disk = Disk("vda", "file", str(place))

    def add(
        self, name: str, scheduler: str | None, *below: str, number: str = "", within: str = ""
    ) -> None:
        """A device, as a partition ``within`` another where that is named."""
        device = self.block / within / name
        (device / "slaves").mkdir(parents=True)
        for each in below:
            (device / "slaves" / each.rpartition("/")[2]).symlink_to(self.block / each)
        if number:
            (device / "dev").write_text(f"{number}\n")
        if within:
            (device / "partition").write_text("1\n")
        else:
            (device / "queue").mkdir()
            self.use(name, scheduler)

    def use(self, name: str, scheduler: str | None) -> None:
        if scheduler is not None:
            (self.block / name / "queue" / "scheduler").write_text(f"{scheduler}\n")

    def holds(self, name: str) -> None:
        (self.numbers / self.number).unlink(missing_ok=True)
        (self.numbers / self.number).symlink_to(self.block / name)

    def look(self) -> iosched.Division:
        return iosched.look([self.disk])

    def undivided(self) -> list[str]:
        return [device.name for device in self.look().undivided]


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sys:
    devices = Sys(tmp_path)
    monkeypatch.setattr(iosched, "_DEVICES", devices.numbers)
    monkeypatch.setattr(iosched, "_BLOCK", devices.block)
    monkeypatch.setattr(iosched, "_IO_COST", devices.io_cost)
    return devices


@pytest.fixture
def sdx(devices: Sys) -> Sys:
    """One disk without anything between."""
    devices.add("sdx", "none [mq-deadline]", number=devices.number)
    devices.holds("sdx")
    return devices


@pytest.fixture(params=PASSES_ON)
def lvm(devices: Sys, request: pytest.FixtureRequest) -> Sys:
    """A logical volume in LUKS, on a partition and on a second disk."""
    devices.add("sdx", "none [mq-deadline]", number="8:0")
    devices.add("sdx1", None, within="sdx")
    devices.add("sdy", "none [mq-deadline] kyber bfq", number="8:16")
    devices.add("dm-0", request.param, "sdx/sdx1")
    devices.add("dm-1", request.param, "dm-0", "sdy")
    devices.holds("dm-1")
    return devices


def test_cgroup_v1_knows_bfq_only(sdx: Sys) -> None:
    assert sdx.look().dividers == set()
    assert (sdx.look().why_not or "").endswith("weights have an effect only under bfq")
    sdx.use("sdx", "none [bfq]")
    assert sdx.look() == iosched.Division(frozenset({"bfq"}), None, ())


@pytest.mark.parametrize(("line", "acts"), [
    ("{number} enable=1 ctrl=auto\n", True),
    ("{number} enable=0 ctrl=auto\n", False),
    ("999:9 enable=1 ctrl=auto\n", False),
    ("", False),
])
def test_io_cost_acts_on_its_device(sdx: Sys, line: str, acts: bool) -> None:
    sdx.io_cost.write_text(line.format(number=sdx.number))
    assert (sdx.look().dividers == {"io.cost"}) == acts
    assert (sdx.look().why_not is None) == acts


def test_each_disk_is_told_of(sdx: Sys) -> None:
    sdx.io_cost.write_text("")
    away = Disk("vdb", "network", None)
    told = iosched.look([sdx.disk, away]).why_not or ""
    assert "sdx below disk vda has I/O scheduler mq-deadline" in told
    assert "weights have an effect only under bfq, or with io.cost" in told
    assert "disk vdb (network)" in told
    sdx.use("sdx", "none [bfq]")
    assert iosched.look([sdx.disk, away]).dividers == {"bfq"}


def test_below_lvm_and_luks_every_disk_must_divide(lvm: Sys) -> None:
    assert lvm.undivided() == ["sdx", "sdy"]
    lvm.use("sdx", "none mq-deadline [bfq]")
    assert lvm.look().dividers == {"bfq"}
    assert lvm.undivided() == ["sdy"]
    assert lvm.look().why_not == (
        "device sdy below disk vda has I/O scheduler mq-deadline; weights have an effect only "
        "under bfq")
    lvm.use("sdy", "none mq-deadline [bfq]")
    assert lvm.look() == iosched.Division(frozenset({"bfq"}), None, ())


def test_io_cost_below_lvm(lvm: Sys) -> None:
    lvm.io_cost.write_text("8:0 enable=1 ctrl=auto\n8:16 enable=1 ctrl=auto\n")
    assert lvm.look() == iosched.Division(frozenset({"io.cost"}), None, ())


def test_two_partitions_of_one_disk_are_one_device(devices: Sys) -> None:
    devices.add("sdx", "[none] bfq")
    for name in ("sdx1", "sdx2"):
        devices.add(name, None, within="sdx")
    devices.add("md0", None, "sdx/sdx1", "sdx/sdx2")
    devices.holds("md0")
    assert devices.undivided() == ["sdx"]


def test_what_is_scheduled_above_is_not_scheduled_below(devices: Sys) -> None:
    """dm-multipath takes requests that its own scheduler has ordered past those of its paths."""
    devices.add("sdx", "[bfq] none")
    devices.add("dm-0", REQUEST_BASED, "sdx")
    devices.holds("dm-0")
    assert devices.undivided() == ["dm-0"]
    devices.use("dm-0", "none mq-deadline [bfq]")
    assert devices.look().why_not is None


@pytest.mark.parametrize("scheduler", PASSES_ON)
def test_the_paths_of_an_nvme_namespace(devices: Sys, scheduler: str | None) -> None:
    for name in ("nvme0c0n1", "nvme0c1n1", "nvme0c0n12", "nvme1c0n1"):
        devices.add(name, "[none] bfq")
    devices.add("nvme0n1", scheduler)
    devices.holds("nvme0n1")
    assert devices.undivided() == ["nvme0c0n1", "nvme0c1n1"]
    for name in ("nvme0c0n1", "nvme0c1n1"):
        devices.use(name, "none [bfq]")
    assert devices.look().why_not is None


def test_an_nvme_namespace_with_one_path(devices: Sys) -> None:
    devices.add("nvme0n1", "[none] bfq")
    devices.holds("nvme0n1")
    assert devices.undivided() == ["nvme0n1"]


def ability(devices: Sys) -> Ability:
    """What --check says of the directory of servers' disks."""
    place = str(devices.block.parent)
    configuration = Configuration("test:///default", place, "qcow2", 10, "protect", 30)
    return disk.abilities(configuration, Kernel(devices.block / "groups"))["io_priority"]


def test_the_advice_names_the_disks_below(lvm: Sys) -> None:
    told = ability(lvm).without_effect or ""
    assert told.endswith(
        ". sdx offers none [mq-deadline]: load the module bfq and write bfq to "
        "/sys/block/sdx/queue/scheduler"
        ". sdy offers none [mq-deadline] kyber bfq: write bfq to /sys/block/sdy/queue/scheduler")
    lvm.use("sdx", "none [bfq]")
    lvm.use("sdy", "none [bfq]")
    assert ability(lvm).without_effect is None


def test_no_advice_for_a_device_that_offers_nothing(devices: Sys) -> None:
    devices.add("zram0", None)
    devices.holds("zram0")
    assert (ability(devices).without_effect or "").endswith("only under bfq")


class OneGroup:
    """A session of a server with one disk, whose group has the files of both schedulers."""

    def __init__(self, place: Path, disk: Disk) -> None:
        self._group, self._disk = Group(place), disk
        place.mkdir()
        self.write("default 100\n", "100\n")

    def write(self, io_weight: str, bfq_weight: str) -> None:
        (self._group.path / "io.weight").write_text(io_weight)
        (self._group.path / "io.bfq.weight").write_text(bfq_weight)

    def weights(self) -> tuple[int, int]:
        return self._group.read("io.weight"), self._group.read("io.bfq.weight")

    def definition(self) -> Definition:
        return Definition(None, "virtio", 10, (self._disk,))

    @contextmanager
    def group(self, _controller: str) -> Iterator[Group]:
        yield self._group


@pytest.fixture
def session(devices: Sys, tmp_path: Path) -> OneGroup:
    return OneGroup(tmp_path / "group", devices.disk)


def test_the_weight_goes_to_what_divides_below(lvm: Sys, session: OneGroup) -> None:
    knob = disk.WeightV2(session, Systemd())  # type: ignore[arg-type]
    lvm.io_cost.write_text("8:0 enable=1 ctrl=auto\n8:16 enable=1 ctrl=auto\n")
    knob.write({"io_priority": 500})
    assert session.weights() == (500, 100)
    session.write("default 300\n", "700\n")
    reading = knob.read()["io_priority"]
    assert (reading.applied, reading.effective) == (300, True)
    lvm.io_cost.write_text("")
    lvm.use("sdx", "none [bfq]")
    assert knob.read()["io_priority"].applied == 700


def test_a_silent_file_system_costs_its_own_disk_alone(
    sdx: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()

    def status(path: str) -> os.stat_result:
        if path == "/dead/disk":
            back.wait()
        return os.stat(path)

    monkeypatch.setattr(iosched, "_LOOKUPS", Lookups(status, 1.5))
    sdx.use("sdx", "none [bfq]")
    division = iosched.look([sdx.disk, Disk("vdb", "file", "/dead/disk")])
    back.set()
    assert re.fullmatch(
        r"disk vdb: its file system does not answer, since \d+ s", division.why_not or "")
    # whatever is below, it gets the weight that was asked for
    assert division.dividers == {"bfq", "io.cost"}


def test_where_the_device_is_unknown_each_scheduler_has_the_weight(tmp_path: Path) -> None:
    session = OneGroup(tmp_path / "group", Disk("vda", "file", "/nonexistent/disk"))
    disk.WeightV2(session, Systemd()).write({"io_priority": 500})  # type: ignore[arg-type]
    assert session.weights() == (500, 500)
