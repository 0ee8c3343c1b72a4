# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost while the agent, or what it needs, is away; all of them find back."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import (
    AT_ONCE,
    SETTINGS,
    await_applied,
    await_held,
    in_groups,
    soon_held,
)

#: A daemon's start, answers that were lost with it (the demo's rpc_response_timeout is 20 s, and a
#: retry may meet a broker that is still starting), the retries, and a guest's boot.
BACK_S = 120
AWAY = ("nova-conductor", "rabbitmq", "libvirtd")


@pytest.fixture
def take_away(host: Observer) -> Iterator[Callable[[str], None]]:
    """Stops a daemon, which runs again after the test."""
    def stop(name: str) -> None:
        host.libvirt.stop_libvirtd() if name == "libvirtd" else host.daemon(name).stop()

    yield stop
    bring_back(host)


def bring_back(host: Observer) -> None:
    if host.libvirt.libvirtd_pid() is None:
        host.start_libvirtd()
    for name in ("rabbitmq", "nova-conductor"):
        host.daemon(name).start()
    host.start_agent()


def test_agent_killed_before_a_reboot_ends(admin: Person, host: Observer, kept: str) -> None:
    assert admin.act(kept, "reboot", {"type": "HARD"})[0] == 202
    host.kill_agent()
    try:
        admin.wait_for_status(kept, "ACTIVE")
        assert soon_held(host, kept) != AT_ONCE
    finally:
        host.start_agent()
    await_held(host, kept, SETTINGS, BACK_S)
    await_applied(admin, kept)


@pytest.mark.parametrize("first", ["memory_soft_limit", "cpu_priority", "io_priority"])
def test_agent_killed_while_it_applies(
    admin: Person, host: Observer, kept: str, first: str
) -> None:
    before = host.process(kept)
    assert admin.act(kept, "reboot", {"type": "HARD"})[0] == 202
    wait_for(lambda: process(host, kept) not in (before, None), 30, "another process runs")
    give_up = time.monotonic() + 30
    while soon_held(host, kept).get(first) != SETTINGS[first]:
        assert time.monotonic() < give_up, f"{first} does not come back"
    host.kill_agent()
    admin.wait_for_status(kept, "ACTIVE")
    host.start_agent()
    await_held(host, kept, SETTINGS, BACK_S)
    await_applied(admin, kept)


def process(host: Observer, server: str) -> int | None:
    try:
        return host.process(server)
    except OSError:
        return None


@pytest.mark.parametrize("name", AWAY)
def test_away_while_a_value_is_changed(
    admin: Person, host: Observer, kept: str, take_away: Callable[[str], None], name: str
) -> None:
    take_away(name)
    host.group_file(kept, "cpu", "cpu.shares").write_text("55")
    host.group_file(kept, "blkio", "blkio.bfq.weight").write_text("111")
    wanted = dict(SETTINGS)
    if name == "rabbitmq":
        # the API saves it; the agent finds it when it looks the next time
        assert admin.act(kept, "set-net-priority", {"prio": 30})[0] == 202
        wanted["net_priority"] = 30
    time.sleep(6)  # a periodic check finds nobody
    bring_back(host)
    await_held(host, kept, wanted, BACK_S)
    # the bus, the events and nova itself are as before
    wait_for(lambda: admin.act(kept, "set-cpu-priority", {"share": 900})[0] == 200, BACK_S,
             "the agent takes orders")
    assert in_groups(host, kept)["cpu_priority"] == 900
    # nova casts a reboot: one that comes before nova-compute listens again is lost
    wait_for(lambda: admin.act(kept, "os-getConsoleOutput", {"length": 1})[0] == 200, BACK_S,
             "nova-compute answers")
    wait_for(lambda: admin.act(kept, "reboot", {"type": "HARD"})[0] == 202, BACK_S,
             "nova takes orders")
    admin.wait_for_status(kept, "ACTIVE")
    await_held(host, kept, wanted | {"cpu_priority": 900}, BACK_S)
    await_applied(admin, kept)
