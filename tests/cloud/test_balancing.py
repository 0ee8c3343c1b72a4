# SPDX-License-Identifier: Apache-2.0
"""Balancing on the demo's host, which is told to let its servers use less than it has."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tools.bed.stack import services
from tools.bed.stack.balancing import (
    REPORT_S,
    WORKING_MIB,
    as_before,
    balanced,
    options_file,
)
from tools.bed.stack.layout import Layout

MIB, FLAVOR_MIB = 1024, 512
#: How often the demo's nova has guests report.
NOVAS_S = 2
Balanced = Callable[..., AbstractContextManager[None]]
#: What an idle guest is left at most, which uses less than a hundred.
MOST_IDLE_MIB = 300
_S = 90


@pytest.fixture
def working(clean: None, host: Observer, vms: list[str]) -> Iterator[str]:
    """A server whose guest uses most of its memory."""
    host.inside(vms[2], f"occupy-memory {WORKING_MIB}")
    yield vms[2]
    host.inside(vms[2], "occupy-memory 0")


@pytest.fixture
def balancing(layout: Layout, host: Observer, vms: list[str]) -> Iterator[Balanced]:
    """Balances for a while; at the end, everybody has everything again."""
    yield partial(balanced, layout)
    try:
        wait_for(lambda: {actual_mib(host, each) for each in vms} == {FLAVOR_MIB}, _S,
                 "all have their memory again")
    finally:
        as_before(layout)


@pytest.fixture
def vms(servers: dict[str, str]) -> list[str]:
    return [servers[name] for name in ("vm1", "vm2", "vm3")]


@pytest.fixture
def layout() -> Layout:
    return Layout.of_environment()


def actual_mib(host: Observer, server: str) -> int:
    return host.virsh_value("dommemstat", server, "actual") // MIB


def period_s(host: Observer, server: str) -> int:
    found = re.search(r"<stats period='(\d+)'/>", host.libvirt.virsh("dumpxml", server))
    assert found is not None
    return int(found[1])


@pytest.mark.resources("memory_guarantee")
def test_memory_goes_where_it_is_needed(
    admin: Person, layout: Layout, host: Observer, vms: list[str], working: str,
    balancing: Balanced,
) -> None:
    """One run, since an agent takes its time to start: what moves, what is kept and said, what a
    killed agent leaves, and what comes back."""
    idle, guaranteed, _working = vms
    assert admin.act(idle, "set-qos", {"memory": 400})[0] == 200
    assert admin.act(guaranteed, "set-qos", {"memory_guarantee": 320})[0] == 200
    lows: list[int] = []
    with balancing():
        def has_moved() -> bool:
            lows.append(actual_mib(host, guaranteed))
            return actual_mib(host, idle) < MOST_IDLE_MIB

        wait_for(has_moved, _S, "memory has moved")
        assert {period_s(host, each) for each in vms} == {REPORT_S}
        check_what_is_said(admin, idle)
        check_report(layout, vms)
        # the working guest has what it uses, without swap
        assert host.guest_available_kib(working) > 8 * MIB
        check_killed(layout, host, idle)
        has_moved()
    # idle as it is, it lends 3/8 of what it does not use of 320
    assert min(lows) >= 200
    # turned off, each gets back what was taken; the periods are nova's
    wait_for(lambda: actual_mib(host, idle) == FLAVOR_MIB, _S, "it has its memory again")
    wait_for(lambda: {period_s(host, each) for each in vms} == {NOVAS_S}, _S, "periods are nova's")


def check_what_is_said(admin: Person, idle: str) -> None:
    """A bound is applied; a new one is taken, and changes nothing yet."""
    memory = admin.act(idle, "get-qos")[1]["memory"]
    assert (memory["requested"], memory["state"], memory["applied_source"]) == (
        400, "applied", "balancer")
    assert memory["applied"] < MOST_IDLE_MIB
    assert "tense" in memory["reason"]
    status, answer = admin.act(idle, "set-qos", {"memory": None})
    assert status == 200
    assert answer["memory"]["applied"] < MOST_IDLE_MIB
    name = admin.show(idle)["OS-EXT-SRV-ATTR:host"]
    (shown,) = admin.request("GET", f"/os-qos/hosts?host={name}").json()["hosts"]
    assert shown["balancing"]["mode"] == "on"
    assert shown["balancing"]["state"] in ("tense", "short")
    assert shown["balancing"]["managed"] == 3


def check_report(layout: Layout, vms: list[str]) -> None:
    """What --balance-report prints of the same host."""
    agent = services.agent(layout, options_file(layout))
    done = subprocess.run(
        [*agent.command, "--balance-report"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The host is "), done.stdout
    for each in vms:
        assert re.search(rf"^{each} +\d+ ", done.stdout, re.MULTILINE), done.stdout


def check_killed(layout: Layout, host: Observer, idle: str) -> None:
    """Balloons stay when the agent is killed; the next one takes over."""
    before = actual_mib(host, idle)
    host.kill_agent()
    time.sleep(5)
    assert actual_mib(host, idle) <= before
    services.agent(layout, options_file(layout)).start()
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        # others still need it
        assert actual_mib(host, idle) < MOST_IDLE_MIB
        time.sleep(0.5)
