# SPDX-License-Identifier: Apache-2.0
"""Every value is back on the host after whatever nova, the guest or a daemon has done."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.operations import OPERATIONS, Step
from tests.cloud.starts import Recorder, Starts
from tests.cloud.values import (
    AT_ONCE,
    DRIVER_S,
    SETTINGS,
    await_applied,
    await_held,
    soon_held,
)
from tools.bed.errors import TestbedError
from tools.bed.stack.host import uplink

#: After nova's task has ended.
SOON_S = 2.0
RUNNING = ("ACTIVE", "RESCUE", "PAUSED", "VERIFY_RESIZE")
#: From libvirt's event to the values, from the end of nova's task to the values, in s.
delays: dict[str, tuple[float, float]] = {}


@pytest.fixture(scope="module")
def starts(host: Observer) -> Iterator[Starts]:
    with Starts(host.libvirt.uri) as listening:
        yield listening


def perform(
    admin: Person, host: Observer, starts: Starts, server: str, step: Step,
    memory_mib: int = SETTINGS["memory"],
) -> None:
    """Let nova do it, and see what the host holds and get-qos says then."""
    action, value, status = step
    began = time.time()
    recorder = Recorder(lambda: soon_held(host, server) == AT_ONCE)
    recorder.start()
    try:
        answer = admin.act(server, action, value)
        assert answer[0] in (200, 202, 204), answer
        admin.wait_for_status(server, status)
        ended = time.time()
        if status in RUNNING:
            wait_for(lambda: soon_held(host, server) == AT_ONCE, SOON_S, f"values after {action}")
            started = starts.of(host.domain_name(server))
            _note(f"{action}, {status}", recorder, started, ended, began)
    finally:
        recorder.end()
    if status in RUNNING:
        await_held(host, server, SETTINGS | {"memory": memory_mib}, DRIVER_S)
        await_applied(admin, server)


def _note(what: str, recorder: Recorder, started: float, ended: float, began: float) -> None:
    there = recorder.first_after(started)
    if started > began and there is not None:
        delays[what] = there - started, max(0.0, there - ended)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(
    admin: Person, host: Observer, starts: Starts, kept: str, name: str
) -> None:
    for step in OPERATIONS[name]:
        perform(admin, host, starts, kept, step)


def test_rebuild(admin: Person, host: Observer, starts: Starts, kept: str) -> None:
    image = admin.show(kept)["image"]["id"]
    perform(admin, host, starts, kept, ("rebuild", {"imageRef": image}, "ACTIVE"))


@pytest.mark.parametrize("end", ["confirmResize", "revertResize"])
def test_resize(admin: Person, host: Observer, starts: Starts, kept: str, end: str) -> None:
    smaller = {"flavorRef": flavor(admin, "m256")}
    perform(admin, host, starts, kept, ("resize", smaller, "VERIFY_RESIZE"), memory_mib=256)
    memory = admin.act(kept, "get-qos")[1]["memory"]
    assert (memory["requested"], memory["applied"]) == (SETTINGS["memory"], 256)
    assert "reduced to 256 MiB" in memory["reason"]
    if end == "revertResize":
        perform(admin, host, starts, kept, (end, None, "ACTIVE"))
        return
    perform(admin, host, starts, kept, (end, None, "ACTIVE"), memory_mib=256)
    larger = {"flavorRef": flavor(admin, "m512")}
    perform(admin, host, starts, kept, ("resize", larger, "VERIFY_RESIZE"))
    perform(admin, host, starts, kept, ("confirmResize", None, "ACTIVE"))


def flavor(admin: Person, name: str) -> str:
    flavors = admin.request("GET", "/flavors").json()["flavors"]
    return next(str(each["id"]) for each in flavors if each["name"] == name)


def test_soft_reboot(admin: Person, host: Observer, starts: Starts, kept: str) -> None:
    # the guest has nobody who would listen to nova's power button: somebody else presses it
    with ThreadPoolExecutor(1) as pool:
        reboot = ("reboot", {"type": "SOFT"}, "ACTIVE")
        rebooted = pool.submit(perform, admin, host, starts, kept, reboot)
        wait_for(lambda: admin.show(kept)["OS-EXT-STS:task_state"] == "reboot_started", 10,
                 "nova waits for the guest to end")
        host.inside(kept, "(sleep 1; poweroff -f) > /dev/null 2>&1 &")
        rebooted.result()


def test_reboot_by_the_guest_itself(admin: Person, host: Observer, kept: str) -> None:
    before_s = uptime_s(host, kept)
    host.inside(kept, "(sleep 1; echo b > /proc/sysrq-trigger) > /dev/null 2>&1 &")
    time.sleep(2)
    assert soon_held(host, kept) == AT_ONCE
    wait_for(lambda: uptime_s(host, kept) < before_s, 60, "the guest has booted again")
    # its new kernel has to give the memory once more
    wait_for(lambda: given_mib(host, kept) == 512 - SETTINGS["memory"], DRIVER_S,
             "the guest's kernel has filled the balloon")
    await_held(host, kept, SETTINGS, 0)
    await_applied(admin, kept)


def uptime_s(host: Observer, server: str) -> float:
    """For how long the guest's kernel has run; without end while it does not answer."""
    try:
        return float(host.inside(server, "cat /proc/uptime").split()[0])
    except TestbedError:
        return math.inf


def given_mib(host: Observer, server: str) -> float:
    """What the guest's kernel says that it has given to the balloon."""
    lines = host.inside(server, "grep balloon_ /proc/vmstat").splitlines()
    pages = {line.split()[0]: int(line.split()[1]) for line in lines}
    return (pages["balloon_inflate"] - pages["balloon_deflate"]) / 256


def test_delete(admin: Person, host: Observer, boot: Callable[[str, str], str]) -> None:
    server = boot("short-lived", "m256")
    settings = SETTINGS | {"memory": 200}
    wait_for(lambda: admin.act(server, "set-qos", settings)[0] == 200, 60, "all are set")
    await_held(host, server, settings, 0)
    name, (tap, mac) = host.domain_name(server), host.interface(server)
    admin.delete(server)
    assert name not in host.libvirt.virsh("list", "--all", "--name").split()
    groups = Path("/sys/fs/cgroup").glob(f"*/machine/qemu-*-{name}.libvirt-qemu")
    wait_for(lambda: not list(groups), 5, "its control groups are gone")
    wait_for(lambda: (uplink.root(), uplink.has_table()) == ("noqueue 0:", False), 25,
             f"what the uplink had for {mac} at {tap} is gone")


def test_how_soon(capsys: pytest.CaptureFixture[str]) -> None:
    if not delays:
        pytest.skip("no operation has started a domain")
    with capsys.disabled():
        for what, of in (("libvirt's start", 0), ("the end of nova's task", 1)):
            seconds = [each[of] for each in delays.values()]
            print(f"\n  from {what} to applied: median {statistics.median(seconds):.2f} s, "
                  f"worst {max(seconds):.2f} s, of {len(seconds)}", end="")
        print()
    assert max(after for _, after in delays.values()) <= SOON_S
