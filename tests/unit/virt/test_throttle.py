# SPDX-License-Identifier: Apache-2.0
"""What is made of the limits of a server's disks, of which these machines have no such ones."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.virt.definition import Definition, Disk, Throttle
from nova_qos.virt.throttle import GROUP, ThrottleKnob

OURS = Throttle(GROUP, 200, 2**13)
FOREIGN = Throttle("", 300, 0)


@dataclass
class SeenSession:
    """A domain that was seen, with these disks."""

    disks: tuple[Disk, ...]
    is_seen: bool = True

    def definition(self) -> Definition:
        return Definition(None, None, 0, self.disks)

    def call_at_rest(self, work: Any) -> None:
        raise AssertionError("nothing is to be asked or changed")


def disk(target: str, throttle: Throttle | None = None, obstacle: str | None = None) -> Disk:
    return Disk(target, "network", None, throttle, obstacle)


def knob(*disks: Disk) -> ThrottleKnob:
    return ThrottleKnob(cast(Any, SeenSession(disks)), lambda: None)


def iops(*disks: Disk) -> Reading:
    return knob(*disks).read()["io_limit"]


@pytest.mark.parametrize("disks", [
    (), (disk("vda"),), (disk("vda", FOREIGN),), (disk("vda", obstacle="it is odd"),)])
def test_no_limit(disks: tuple[Disk, ...]) -> None:
    assert knob(*disks).read() == dict.fromkeys(
        ("io_limit", "io_rate_limit"), Reading(UNLIMITED))


def test_a_limit_of_every_disk() -> None:
    assert knob(disk("vda", OURS), disk("vdb", OURS)).read() == {
        "io_limit": Reading(200), "io_rate_limit": Reading(2**13)}


@pytest.mark.parametrize(("other", "why"), [
    (disk("vdb", FOREIGN), "disk vdb is not counted, because it has limits of the flavor"),
    (disk("vdb", obstacle="it is odd"), "disk vdb is not counted, because it is odd"),
])
def test_disks_that_are_not_counted(other: Disk, why: str) -> None:
    reading = iops(disk("vda", OURS), other)
    assert (reading.applied, reading.effective, reading.holds(200)) == (200, False, True)
    assert (reading.reason or "").startswith(why)


@pytest.mark.parametrize("other", [
    disk("vdb"), disk("vdb", Throttle(GROUP, 200, 0)), disk("vdb", Throttle(GROUP, 0, 2**13)),
    disk("vdb", Throttle(GROUP, 200, 2**13, others=True))])
def test_what_is_to_be_written_again(other: Disk) -> None:
    for reading in knob(disk("vda", OURS), other).read().values():
        assert not reading.holds(reading.applied or 0)


def test_a_limit_that_is_not_set_needs_no_reason() -> None:
    reading = iops(disk("vda", Throttle(GROUP, 0, 2**13)), disk("vdb", FOREIGN))
    assert reading == Reading(UNLIMITED)


@pytest.mark.parametrize(("disks", "error", "why"), [
    ((), errors.HostCannot, "rate_kib: the server has no disk"),
    ((disk("vda", FOREIGN),), errors.HostRefused, "no disk can be limited: disk vda is not"),
    ((disk("vda", obstacle="it is odd"), disk("vdb", FOREIGN)), errors.HostRefused,
     "because it is odd; disk vdb"),
])
def test_no_disk_can_be_limited(
    disks: tuple[Disk, ...], error: type[errors.QosError], why: str
) -> None:
    for refused in (knob(*disks).admit, knob(*disks).write):
        with pytest.raises(error, match=why):
            refused({"io_rate_limit": 2**13})
    knob(*disks).admit({"io_rate_limit": UNLIMITED, "cpu_limit": 50})
    knob(*disks).write({"io_rate_limit": UNLIMITED})
