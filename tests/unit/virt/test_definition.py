# SPDX-License-Identifier: Apache-2.0
"""Definitions that these machines cannot start: passed-through devices and encrypted memory."""

import pytest

from nova_qos.host import Interface
from nova_qos.virt.definition import Definition, Disk, Throttle

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


@pytest.mark.parametrize(("tune", "percent"), [
    ("", 0), ("<quota>50000</quota>", 50), ("<period>20000</period><quota>6667</quota>", 33.335),
    ("<quota>-1</quota>", 0), ("<quota>17592186044415</quota><period>0</period>", 0),
    ("<global_quota>5000</global_quota>", 0)])
def test_what_a_flavor_lets_a_vcpu_have(tune: str, percent: float) -> None:
    assert parse(top=f"<cputune>{tune}</cputune>").vcpu_percent == percent


def test_real_time_vcpus() -> None:
    sched = '<cputune><vcpusched vcpus="1-2" scheduler="fifo" priority="1"/></cputune>'
    assert parse(top=sched).realtime_cpus
    assert not parse().realtime_cpus


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


def test_the_most_memory() -> None:
    assert parse(top='<memory unit="KiB">524288</memory>').memory_kib == 524288


def test_usual_devices_pin_nothing() -> None:
    definition = parse('<hostdev mode="subsystem" type="usb"/><interface type="bridge"/>',
                       "<name>instance-0000002a</name>")
    assert definition.name == "instance-0000002a"
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


@pytest.mark.parametrize(("tune", "throttle"), [
    ("", None),
    ("<total_iops_sec>0</total_iops_sec>", None),
    ("<total_iops_sec>200</total_iops_sec><group_name>nova-qos</group_name>",
     Throttle("nova-qos", 200, 0)),
    ("<total_bytes_sec>8388608</total_bytes_sec>", Throttle("", 0, 8192)),
    ("<total_bytes_sec>8388609</total_bytes_sec>", Throttle("", 0, 8192, others=True)),
    ("<read_iops_sec>5</read_iops_sec>", Throttle("", 0, 0, others=True)),
    ("<total_iops_sec>5</total_iops_sec><total_iops_sec_max>9</total_iops_sec_max>",
     Throttle("", 5, 0, others=True)),
])
def test_what_a_disk_is_limited_to(tune: str, throttle: Throttle | None) -> None:
    (disk,) = parse(f'<disk type="file"><target dev="vda"/><iotune>{tune}</iotune></disk>').disks
    assert disk.throttle == throttle


@pytest.mark.parametrize(("disk", "word"), [
    ('<disk type="vhostuser"><target dev="vda"/></disk>', "vhost-user"),
    ('<disk type="file"><target dev="sda" bus="sd"/></disk>', "SD card"),
    ('<disk type="file"><target dev="vda"/><throttlefilters/></disk>', "throttle filters"),
])
def test_disks_that_qemu_cannot_limit(disk: str, word: str) -> None:
    (found,) = parse(disk).disks
    assert word in (found.obstacle or "")


def test_interfaces_with_a_tap() -> None:
    definition = parse(
        '<interface type="bridge"><mac address="FA:16:3E:00:00:01"/><source bridge="br"/>'
        '<target dev="tap1"/></interface>'
        '<interface type="ethernet"><mac address="fa:16:3e:00:00:02"/><target dev="tap2"/>'
        "</interface>")
    assert definition.interfaces == (
        Interface("fa:16:3e:00:00:01", "tap1"), Interface("fa:16:3e:00:00:02", "tap2"))


def test_macvtap_has_a_parent() -> None:
    (interface,) = parse(
        '<interface type="direct"><mac address="fa:16:3e:00:00:03"/>'
        '<source dev="eth1" mode="bridge"/><target dev="macvtap0"/></interface>').interfaces
    assert interface == Interface("fa:16:3e:00:00:03", parent="eth1")


@pytest.mark.parametrize(
    ("interface", "word"),
    [
        ('type="hostdev"', "SR-IOV"),
        ('type="vdpa"', "vDPA"),
        ('type="vhostuser"', "vhost-user"),
        ('type="user"', "type user"),
        ('type="bridge"', "type bridge"),
    ],
)
def test_interfaces_that_bypass_the_kernel(interface: str, word: str) -> None:
    (found,) = parse(f'<interface {interface}><mac address="fa:16:3e:00:00:04"/></interface>'
                     ).interfaces
    assert word in (found.obstacle or "")


@pytest.mark.parametrize(("vcpus", "pins", "dedicated"), [
    ("<vcpu>2</vcpu>", ("2", "3"), True),
    ("<vcpu>1</vcpu>", ("0",), True),
    ('<vcpu current="1">2</vcpu>', ("4", "0-7"), True),
    ("<vcpu>2</vcpu>", ("2", "2"), False),
    ("<vcpu>2</vcpu>", ("2", "3,4"), False),
    ("<vcpu>2</vcpu>", ("2",), False),
    ('<vcpu cpuset="3">1</vcpu>', (), False),
])
def test_dedicated_cpus(vcpus: str, pins: tuple[str, ...], dedicated: bool) -> None:
    tune = "".join(f'<vcpupin vcpu="{number}" cpuset="{pin}"/>' for number, pin in enumerate(pins))
    top = f'{vcpus}<cputune><emulatorpin cpuset="2-3"/>{tune}</cputune>'
    assert parse(top=top).dedicated_cpus == dedicated


def test_memory_without_a_balloon() -> None:
    xml = ("<domain><memory unit='KiB'>524288</memory>"
           "<currentMemory unit='KiB'>300000</currentMemory></domain>")
    assert Definition.parse(xml).memory_kib == 524288
