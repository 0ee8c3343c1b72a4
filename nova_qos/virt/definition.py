# SPDX-License-Identifier: Apache-2.0
"""What a running domain is made of, as far as it decides what can be set."""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree  # nosec B405  # for what libvirt writes alone

from nova_qos.host import Interface

#: Whatever pins the guest's memory: a balloon would take it from the guest and free nothing.
_PINNED = (
    ("devices/hostdev[@type='pci']", "it has a PCI device passed through"),
    ("devices/hostdev[@type='mdev']", "it has a mediated device passed through"),
    ("devices/interface[@type='hostdev']", "it has a network device passed through"),
    ("devices/interface[@type='vdpa']", "it has a vDPA network device"),
    ("devices/disk[@type='nvme']", "it has an NVMe device passed through"),
    ("memoryBacking/hugepages", "its memory is in huge pages"),
    ("memoryBacking/locked", "its memory is locked"),
    ("launchSecurity", "its memory is encrypted and so pinned"),
)

#: Interfaces whose packets never pass a device of the host's kernel.
_BYPASSING = {
    "hostdev": "it is a network card passed through (SR-IOV)",
    "vdpa": "it is a vDPA device, whose packets the network card takes",
    "vhostuser": "a switch in user space takes its packets (vhost-user)",
}
_WITH_TAP = ("bridge", "network", "ethernet")
# as libvirt names them, in its XML and in its calls
_GROUP, _IOPS, _RATE = "group_name", "total_iops_sec", "total_bytes_sec"


@dataclass(frozen=True)
class Throttle:
    """What QEMU limits a disk to, 0 for no limit: operations and KiB in a second, of reads and
    writes together. Disks of one ``group`` share them. ``others``: it has limits besides."""

    group: str
    iops: int
    rate: int
    others: bool = False

    @classmethod
    def of(cls, figures: Mapping[str, object]) -> "Throttle | None":
        """From libvirt's figures, by their names; None where nothing is limited."""
        limits = {name: int(str(value)) for name, value in figures.items() if name != _GROUP}
        iops, (rate, bytes_more) = limits.pop(_IOPS, 0), divmod(limits.pop(_RATE, 0), 1024)
        others = any(limits.values()) or bytes_more > 0
        if not (iops or rate or others):
            return None
        return cls(str(figures.get(_GROUP, "")), iops, rate, others)


@dataclass(frozen=True)
class Disk:
    """A disk of the guest; ``path`` is a file or block device of the host, None for a remote.

    ``throttle`` is what QEMU limits it to, ``obstacle`` says why QEMU cannot limit it.
    """

    target: str
    kind: str
    path: str | None
    throttle: Throttle | None = None
    obstacle: str | None = None


@dataclass(frozen=True)
class Definition:
    """The parts of a domain's definition that matter here.

    ``pinned`` says why the guest's memory cannot be given back to the host, None when it can.
    ``balloon_model`` is None without a balloon; ``stats_period_s`` 0 without statistics.
    ``dedicated_cpus``: each of its vCPUs may run on one CPU of the host only, and no two on one.
    ``vcpu_percent`` is the most of one CPU that its flavor lets a vCPU have, 0 where nothing limits
    it. ``realtime_cpus``: a vCPU runs with a real-time scheduler. ``name`` is libvirt's.
    ``memory_kib`` is the guest's memory without a balloon, the most that it can have.
    """

    pinned: str | None
    balloon_model: str | None
    stats_period_s: int
    disks: tuple[Disk, ...]
    interfaces: tuple[Interface, ...] = ()
    autodeflates: bool = False
    dedicated_cpus: bool = False
    name: str = ""
    memory_kib: int = 0
    vcpu_percent: float = 0.0
    realtime_cpus: bool = False

    @classmethod
    def parse(cls, xml: str) -> "Definition":
        """Read libvirt's XML of a running domain."""
        root = ElementTree.fromstring(xml)  # noqa: S314  # nosec B314  # libvirt wrote it
        balloon = root.find("devices/memballoon")
        model = None if balloon is None else balloon.get("model")
        stats = root.find("devices/memballoon/stats")
        return cls(
            pinned=next((why for path, why in _PINNED if root.find(path) is not None), None),
            balloon_model=None if model == "none" else model,
            stats_period_s=0 if stats is None else int(stats.get("period", "0")),
            disks=tuple(
                _disk(disk)
                for disk in root.iterfind("devices/disk")
                if disk.get("device", "disk") in ("disk", "lun")
            ),
            autodeflates=balloon is not None and balloon.get("autodeflate") == "on",
            interfaces=tuple(
                _interface(each) for each in root.iterfind("devices/interface")),
            dedicated_cpus=_has_dedicated_cpus(root),
            name=root.findtext("name", ""),
            # always in KiB
            memory_kib=int(root.findtext("memory", "0")),
            vcpu_percent=_vcpu_percent(root),
            realtime_cpus=root.find("cputune/vcpusched") is not None,
        )


def _has_dedicated_cpus(root: ElementTree.Element) -> bool:
    vcpus = root.find("vcpu")
    count = 1 if vcpus is None else int(vcpus.get("current") or vcpus.text or 1)
    pins = [pin.get("cpuset", "") for pin in root.iterfind("cputune/vcpupin")
            if int(pin.get("vcpu", "0")) < count]
    return len(set(pins)) == count == len(pins) and all(pin.isdigit() for pin in pins)


def _vcpu_percent(root: ElementTree.Element) -> float:
    quota = int(root.findtext("cputune/quota", "0"))
    period = int(root.findtext("cputune/period", "100000"))
    return 100 * quota / period if quota > 0 and period > 0 else 0.0


def _disk(element: ElementTree.Element) -> Disk:
    target, source = element.find("target"), element.find("source")
    path = None if source is None else source.get("file") or source.get("dev")
    name = "" if target is None else target.get("dev", "")
    tune = {each.tag: each.text or "0" for each in element.iterfind("iotune/*")}
    return Disk(name, element.get("type", ""), path, Throttle.of(tune), _obstacle(element))


def _obstacle(disk: ElementTree.Element) -> str | None:
    target = disk.find("target")
    if disk.get("type") == "vhostuser":
        return "another process than QEMU serves it (vhost-user)"
    if disk.find("throttlefilters") is not None:
        return "it has throttle filters"
    if target is not None and target.get("bus") == "sd":
        return "it is an SD card"
    return None


def _interface(element: ElementTree.Element) -> Interface:
    kind, source = element.get("type", ""), element.find("source")
    target, address = element.find("target"), element.find("mac")
    mac = "" if address is None else address.get("address", "").lower()
    if kind == "direct":
        return Interface(mac, parent="" if source is None else source.get("dev", ""))
    tap = None if target is None else target.get("dev")
    if kind in _WITH_TAP and tap:
        return Interface(mac, tap)
    why = _BYPASSING.get(kind, f"an interface of type {kind} has no device on the host")
    return Interface(mac, obstacle=why)
