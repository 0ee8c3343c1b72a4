# SPDX-License-Identifier: Apache-2.0
"""Definitions that these machines cannot start: passed-through devices and encrypted memory."""

import pytest

from nova_qos.virt.definition import Definition, Disk

_DOMAIN = """
<domain type="kvm">
  {top}
  <devices>
    {devices}
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
</domain>
"""


def parse(devices: str = "", top: str = "") -> Definition:
    return Definition.parse(_DOMAIN.format(devices=devices, top=top))


@pytest.mark.parametrize(
    ("devices", "word"),
    [
        ('<hostdev mode="subsystem" type="pci"/>', "PCI"),
        ('<hostdev mode="subsystem" type="mdev"/>', "mediated"),
        ('<interface type="hostdev"/>', "network device"),
        ('<interface type="vdpa"/>', "vDPA"),
        ('<disk type="nvme" device="disk"/>', "NVMe"),
    ],
)
def test_passed_through_devices_pin_memory(devices: str, word: str) -> None:
    assert word in (parse(devices).pinned or "")


@pytest.mark.parametrize(
    ("top", "word"),
    [
        ("<memoryBacking><hugepages/></memoryBacking>", "huge pages"),
        ("<memoryBacking><locked/></memoryBacking>", "locked"),
        ('<launchSecurity type="sev"/>', "encrypted"),
    ],
)
def test_memory_held_in_place_is_pinned(top: str, word: str) -> None:
    assert word in (parse(top=top).pinned or "")


def test_usual_devices_pin_nothing() -> None:
    definition = parse('<hostdev mode="subsystem" type="usb"/><interface type="bridge"/>')
    assert definition.pinned is None
    assert (definition.balloon_model, definition.stats_period_s) == ("virtio", 10)


def test_disks() -> None:
    definition = parse(
        '<disk type="file" device="disk"><source file="/a"/><target dev="vda"/></disk>'
        '<disk type="block" device="lun"><source dev="/dev/b"/><target dev="sda"/></disk>'
        '<disk type="network"><source protocol="rbd" name="c"/><target dev="vdc"/></disk>'
        '<disk type="file" device="cdrom"><target dev="hda"/></disk>'
    )
    assert definition.disks == (
        Disk("vda", "file", "/a"),
        Disk("sda", "block", "/dev/b"),
        Disk("vdc", "network", None),
    )
