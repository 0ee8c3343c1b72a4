# SPDX-License-Identifier: Apache-2.0
"""What libvirt and the kernel count of a domain, as metrics."""

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nova_qos.core import errors
from nova_qos.host import Figures
from nova_qos.virt import failures, groups
from nova_qos.virt.groups import Group

_NANOSECOND, _KIB = 1e-9, 1024.0
#: libvirt's names, with the metric and how many of its unit one is.
_SINGLE = {
    "cpu.time": ("server_cpu_seconds_total", _NANOSECOND),
    "vcpu.current": ("server_vcpus", 1),
    "balloon.usable": ("server_memory_usable_bytes", _KIB),
    "balloon.available": ("server_memory_available_bytes", _KIB),
    "balloon.rss": ("server_memory_resident_bytes", _KIB),
    "balloon.last-update": ("server_memory_report_timestamp_seconds", 1),
    "balloon.swap_in": ("server_memory_swapped_in_bytes_total", _KIB),
    "balloon.swap_out": ("server_memory_swapped_out_bytes_total", _KIB),
    "balloon.major_fault": ("server_memory_major_faults_total", 1),
}
_LAST_REPORT = "balloon.last-update"
_OF_VCPUS = {
    "time": "server_vcpu_seconds_total",
    "delay": "server_vcpu_delay_seconds_total",
}
_OF_DEVICES: dict[str, dict[str, tuple[str, float]]] = {
    "block": {
        "rd.bytes": ("server_disk_read_bytes_total", 1),
        "wr.bytes": ("server_disk_written_bytes_total", 1),
        "rd.reqs": ("server_disk_reads_completed_total", 1),
        "wr.reqs": ("server_disk_writes_completed_total", 1),
        "rd.times": ("server_disk_read_time_seconds_total", _NANOSECOND),
        "wr.times": ("server_disk_write_time_seconds_total", _NANOSECOND)},
    "net": {
        f"{way}.{counted}": (f"server_network_{name}_{what}_total", 1)
        for way, name in (("rx", "receive"), ("tx", "transmit"))
        for counted, what in (("bytes", "bytes"), ("pkts", "packets"), ("drop", "drop"))},
}
_OF_HOST = {"MemTotal": "host_memory_bytes", "MemAvailable": "host_memory_available_bytes"}
_NUMBERED = re.compile(r"(vcpu|block|net)\.(\d+)\.(.+)")
_RESOURCES = ("cpu", "memory", "io")
_HOW = {"some": "waiting", "full": "stalled"}
_STALLED = re.compile(r"(some|full) .*total=(\d+)")
_MICROSECOND = 1e-6


def of_libvirt(record: Mapping[str, Any]) -> Figures:
    """The metrics in what libvirt's bulk call tells of a domain; what it left out is left out."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    devices = {name: text for name, text in record.items() if name.endswith(".name")}
    for key, number in record.items():
        if key in _SINGLE:
            name, scale = _SINGLE[key]
            if key == _LAST_REPORT and not number:
                # the guest has never reported
                continue
            found[name] = {(): number * scale}
            continue
        match = _NUMBERED.fullmatch(key)
        if match is None:
            continue
        kind, place, field = match.groups()
        if kind == "vcpu" and field in _OF_VCPUS:
            sums = found.setdefault(_OF_VCPUS[field], {(): 0.0})
            sums[()] += number * _NANOSECOND
        elif field in _OF_DEVICES.get(kind, {}):
            name, scale = _OF_DEVICES[kind][field]
            device = str(devices.get(f"{kind}.{place}.name", place))
            # of a disk with backing files, the first is what the guest sees
            found.setdefault(name, {}).setdefault((device,), number * scale)
    return found


def of_host(cpus: int, meminfo: Path = Path("/proc/meminfo")) -> Figures:
    """The metrics of the machine itself.

    :param cpus: how many processors its servers share
    """
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return {"host_cpus": {(): cpus} if cpus else {}, **{
        name: {(): int(fields[field].split()[0]) * _KIB} for field, name in _OF_HOST.items()}}


def pressure_root(mounts: Path = Path("/proc/self/mounts")) -> Path | None:
    """Where the kernel keeps the groups that it tells the pressure of: those of cgroup v2, which a
    host with cgroup v1 may have beside; None where it has none, or tells none."""
    for line in mounts.read_text().splitlines():
        _device, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def pressure_of(group: Group) -> Figures:
    """The metrics in a group's pressure files, of those that it has.

    :raises HostRefused: one cannot be read
    """
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for resource in _RESOURCES:
        try:
            text = (group.path / f"{resource}.pressure").read_text()
        except FileNotFoundError:
            continue
        except OSError as error:
            # a kernel that was started with psi=0 has the files
            if error.errno == errno.EOPNOTSUPP:
                continue
            if error.errno == errno.ENODEV:
                # the group went while it was read
                return {}
            raise failures.of_file(error) from error
        for how, microseconds in _STALLED.findall(text):
            name = f"server_pressure_{resource}_{_HOW[how]}_seconds_total"
            found[name] = {(): int(microseconds) * _MICROSECOND}
    return found


def groups_with_pressure(root: Path | None) -> dict[str, Group]:
    """Those of all domains by their ``groups.machine``.

    :raises HostRefused: they cannot be listed
    """
    try:
        return groups.by_machine(root) if root is not None else {}
    except OSError as error:
        raise errors.HostRefused(f"{error.strerror}: {error.filename}") from error
