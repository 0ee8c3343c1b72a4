# SPDX-License-Identifier: Apache-2.0
"""What divides a disk's device, on a picture of /sys; real schedulers are in the host tier."""

import os
from pathlib import Path

import pytest

from nova_qos.virt import iosched
from nova_qos.virt.definition import Disk


class Device:
    """The device that the test's own files lie on, as far as this process can tell."""

    def __init__(self, place: Path) -> None:
        status = place.stat()
        self.number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        self.devices, self.io_cost = place / "devices", place / "io.cost.qos"
        self._device = place / "block" / "sdx"
        (self._device / "queue").mkdir(parents=True)
        (self._device / "dev").write_text(f"{self.number}\n")
        self.devices.mkdir()
        (self.devices / self.number).symlink_to(self._device)
        self.disk = Disk("vda", "file", str(place))

    def use(self, scheduler: str, io_cost: str | None = None) -> None:
        (self._device / "queue" / "scheduler").write_text(f"none [{scheduler}]\n")
        if io_cost is not None:
            self.io_cost.write_text(io_cost.format(number=self.number))


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device(tmp_path)
    monkeypatch.setattr(iosched, "_DEVICES", device.devices)
    monkeypatch.setattr(iosched, "_IO_COST", device.io_cost)
    return device


def test_cgroup_v1_knows_bfq_only(device: Device) -> None:
    device.use("mq-deadline")
    assert iosched.dividers([device.disk]) == set()
    told = iosched.why_not_effective([device.disk]) or ""
    assert told.endswith("weights have an effect only under bfq")
    device.use("bfq")
    assert iosched.dividers([device.disk]) == {"bfq"}
    assert iosched.why_not_effective([device.disk]) is None


@pytest.mark.parametrize(("line", "acts"), [
    ("{number} enable=1 ctrl=auto\n", True),
    ("{number} enable=0 ctrl=auto\n", False),
    ("999:9 enable=1 ctrl=auto\n", False),
    ("", False),
])
def test_io_cost_acts_on_its_device(device: Device, line: str, acts: bool) -> None:
    device.use("none", line)
    assert (iosched.dividers([device.disk]) == {"io.cost"}) == acts
    assert (iosched.why_not_effective([device.disk]) is None) == acts


def test_each_disk_is_told_of(device: Device) -> None:
    device.use("none", "")
    away = Disk("vdb", "network", None)
    told = iosched.why_not_effective([device.disk, away]) or ""
    assert "sdx below disk vda has I/O scheduler none" in told
    assert "weights have an effect only under bfq, or with io.cost" in told
    assert "disk vdb (network)" in told
    device.use("bfq")
    assert iosched.dividers([device.disk, away]) == {"bfq"}
