# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent --check on a host with systemd and cgroup v2: who follows its advice is done."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.bed.domain import Shape, TestGuest
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import of_this_machine

UPLINK = "up-check"
CONF = """\
[DEFAULT]
instances_path = {directory}
[nova_qos]
uplinks = {uplink}
[tc]
htb_rate_in = 50
"""
ADVICE = re.compile(
    r"io_priority: works without effect because .* I/O scheduler (\S+); .*"
    r"write bfq to (/sys/block/\w+/queue/scheduler)")


def run(*command: str | Path) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def directory() -> Iterator[Path]:
    """On the machine's disk, as instances are."""
    with tempfile.TemporaryDirectory(prefix="check-", dir="/var/tmp") as made:
        yield Path(made)


@pytest.fixture
def _server(directory: Path) -> Iterator[None]:
    images = GuestImages.build(Path(os.environ["NOVA_QOS_IMAGES"]))
    guest = TestGuest(of_this_machine(directory), images, "checked", Shape(memory_mib=128))
    guest.start("--paused")
    yield
    guest.remove()


@pytest.fixture
def _uplink() -> Iterator[None]:
    run("ip", "link", "add", UPLINK, "type", "veth", "peer", "name", f"{UPLINK}-far")
    yield
    run("ip", "link", "del", UPLINK)


@contextmanager
def swap(file: Path) -> Iterator[None]:
    run("fallocate", "--length", "64M", file)
    file.chmod(0o600)
    run("mkswap", file)
    run("swapon", file)
    try:
        yield
    finally:
        run("swapoff", file)


def check(directory: Path) -> tuple[int, list[str]]:
    conf = directory / "nova.conf"
    conf.write_text(CONF.format(directory=directory, uplink=UPLINK))
    done = subprocess.run(
        [sys.executable, "-m", "nova_qos.cmd.agent", "--config-file", str(conf), "--check"],
        capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.mark.usefixtures("_server", "_uplink")
def test_following_its_advice(directory: Path) -> None:
    status, lines = check(directory)
    assert (status, lines[0], lines[2], lines[4]) == (
        1, "memory: works", "cpu_priority: works (cgroup v2)",
        f"net_priority: works (on uplink {UPLINK})")
    assert lines[1].startswith("memory_soft_limit: works without effect because this host has no")
    advice = ADVICE.fullmatch(lines[3])
    assert advice is not None, lines[3]
    before, scheduler = advice[1], Path(advice[2])
    run("modprobe", "bfq")
    scheduler.write_text("bfq")
    try:
        with swap(directory / "swap"):
            status, lines = check(directory)
            assert lines[:5] == [
                "memory: works",
                "memory_soft_limit: works (cgroup v2, protects: memory.low)",
                "cpu_priority: works (cgroup v2)",
                "io_priority: works (cgroup v2)",
                f"net_priority: works (on uplink {UPLINK})"]
            assert (status, [each for each in lines if ": works" not in each]) == (0, [])
    finally:
        scheduler.write_text(before)
