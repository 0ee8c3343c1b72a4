# SPDX-License-Identifier: Apache-2.0
"""What the evaluation was made with."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

_PROGRAMS = {
    "qemu": ("qemu-system-x86_64", "--version"), "libvirt": ("virsh", "--version"),
    "iproute2": ("tc", "-V"), "nftables": ("nft", "--version"), "iperf3": ("iperf3", "--version"),
    "Open vSwitch": ("ovs-vswitchd", "--version"),
}
_PACKAGES = ("nova", "nova-qos", "python-novaclient", "python-openstackclient", "neutron",
             "keystone", "glance", "openstack-placement", "libvirt-python")
_NUMBER = re.compile(r"\d+(\.\d+)+")


def all_of_them(repository: Path) -> dict[str, str]:
    """Names and versions, of the machine first."""
    processors = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    found = {
        "machine": f"{processors} processors, {memory_gib:.0f} GiB, {_processor()}",
        "guests": "qemu's software emulation (TCG)",
        "kernel": platform.release().partition("-")[0], "cgroups": _cgroups(),
        "Debian": _read("/etc/debian_version"),
        "Python": platform.python_version(),
    }
    for name, command in _PROGRAMS.items():
        found[name] = _printed(*command)
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    commit = subprocess.run(["git", "-C", str(repository), "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip()
    if commit:
        found["commit"] = commit
    return found


def _printed(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    number = _NUMBER.search(answer.stdout + answer.stderr)
    return number.group() if number else "unknown"


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _cgroups() -> str:
    return "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1"


def _read(path: str) -> str:
    return Path(path).read_text().strip()
