# SPDX-License-Identifier: Apache-2.0
"""What the page on hosts says of Debian 12 and 13, of the one that this machine has."""

import shutil
from pathlib import Path

from tests.facts import facts
from tests.releases import RELEASES
from tests.vmhost.servers import run

_NUMBER = Path("/etc/debian_version").read_text().partition(".")[0]


def is_of(version: str, wanted: str) -> bool:
    """6.1 is one of 6.1, and not of 6.12."""
    return f"{version}.".startswith(f"{wanted}.")


def test_versions() -> None:
    found = {**facts("vmhost"), "systemd": run("systemctl", "--version").split()[1]}
    wrong = {name: found.get(name) for name, version in RELEASES[_NUMBER].items()
             if not is_of(found.get(name, ""), version)}
    assert wrong == {}


def test_libvirt_is_one_daemon() -> None:
    assert run("systemctl", "is-enabled", "libvirtd.socket") == "enabled"
    assert shutil.which("virtqemud") is None


def test_only_debian_13_has_tmp_in_memory() -> None:
    where = run("findmnt", "--noheadings", "--output", "FSTYPE", "--target", "/tmp")
    assert (where == "tmpfs") == (_NUMBER == "13")


def test_groups_have_the_same_files() -> None:
    """Those that nova-qos reads and writes; of bfq's, once its module is loaded."""
    run("modprobe", "bfq")
    names = run(
        "systemd-run", "--quiet", "--wait", "--pipe", "--property=MemoryLow=1M",
        "--property=CPUWeight=50", "--property=IOWeight=50",
        "sh", "-c", 'ls "/sys/fs/cgroup$(cut -d : -f 3 /proc/self/cgroup)"').split()
    assert {"memory.current", "memory.high", "memory.low", "memory.min", "memory.stat", "cpu.max",
            "cpu.stat", "cpu.weight", "io.bfq.weight"} - set(names) == set()
