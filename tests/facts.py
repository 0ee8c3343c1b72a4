# SPDX-License-Identifier: Apache-2.0
"""What tests run on: versions of this machine, as its own programs tell them."""

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

#: By name, the program that tells its version.
_PROGRAMS = {
    "libvirt": ["virsh", "--version"], "qemu": ["qemu-system-x86_64", "--version"],
    "openvswitch": ["ovs-vsctl", "--version"], "nftables": ["nft", "--version"]}
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_CGROUPS = Path("/sys/fs/cgroup")
#: Where tools/demo.sh has its cloud unless it is told otherwise.
_DEMO = "/var/lib/nova-qos-demo"


def facts(tier: str) -> dict[str, str]:
    """What is known of this machine; what is absent is left out. The tier ``cloud`` has nova in an
    environment of its own."""
    found = {name: _told_by(command) for name, command in _PROGRAMS.items()}
    found |= {
        "nova": _nova_of_demo() if tier == "cloud" else _nova_here(),
        "python": platform.python_version(), "kernel": _version_in(platform.release()),
        "cgroup": "v2" if (_CGROUPS / "cgroup.controllers").exists() else "v1",
        "debian": _debian()}
    return {name: value for name, value in sorted(found.items()) if value}


def _told_by(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    said = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    return _version_in(said)


def _version_in(text: str) -> str:
    found = _VERSION.search(text)
    return found[0] if found else ""


def _nova_here() -> str:
    try:
        return metadata.version("nova")
    except metadata.PackageNotFoundError:
        return ""


def _nova_of_demo() -> str:
    venv = Path(os.environ.get("NOVA_QOS_DEMO_DIR", _DEMO)) / "venv"
    names = [path.name for path in venv.glob("lib/python3*/site-packages/nova-*.dist-info")]
    return names[0].removeprefix("nova-").removesuffix(".dist-info") if names else ""


def _debian() -> str:
    version = Path("/etc/debian_version")
    return version.read_text().strip() if version.exists() else ""
