# SPDX-License-Identifier: Apache-2.0
"""What was asked for comes back after whatever happens to a server, its host or its agent."""

import threading
import time
from collections.abc import Callable

import pytest

from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.values import SETTINGS, UNSET

REAPPLIED_S = 2.0
Option = Callable[[str, object], None]


def shown(server: Server, name: str) -> dict[str, object]:
    answer: dict[str, object] = ADMIN.act(server, "get-qos").body[name]
    return answer


def states(server: Server) -> dict[str, object]:
    return {name: row["state"] for name, row in ADMIN.act(server, "get-qos").body.items()}


def check(server: Server) -> None:
    """Let the periodic check happen now."""
    server.machine.happened(None, "unknown")


@pytest.fixture
def kept(server: Server) -> Server:
    """A server with a setting for everything."""
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    return server


def test_a_start_brings_everything_back(kept: Server) -> None:
    kept.restart()
    eventually(lambda: kept.held() == SETTINGS, REAPPLIED_S)
    eventually(lambda: set(states(kept).values()) == {"applied"})


def test_events_without_end_are_folded(kept: Server) -> None:
    domain = kept.restart()
    for _ in range(1000):
        kept.machine.happened(kept.uuid, "started")
    eventually(lambda: kept.held() == SETTINGS)
    assert len(domain.writes) == sum(TABLE[name].knob is not None for name in SETTINGS)


def test_nothing_is_applied_into_a_running_task(kept: Server) -> None:
    kept.change(task_state="rebooting")
    domain = kept.restart()
    time.sleep(1)
    assert domain.writes == []
    kept.change(task_state=None)
    eventually(lambda: kept.held() == SETTINGS, 6)


def test_a_guest_that_boots_for_long_delays_only_its_memory(
    kept: Server, boot: Callable[..., Server]
) -> None:
    others = [boot() for _ in range(5)]
    for other in others:
        assert ADMIN.act(other, "set-cpu-priority", {"share": 99}).status == 200
    kept.restart().driver = False
    eventually(lambda: kept.held() == SETTINGS | {"memory": 512}, REAPPLIED_S)
    eventually(lambda: shown(kept, "memory")["state"] == "pending")
    assert "balloon" in str(shown(kept, "memory")["reason"])
    for other in others:
        other.restart()
    eventually(lambda: all(other.domain.shares == 99 for other in others), REAPPLIED_S)
    kept.domain.driver = True
    eventually(lambda: kept.held() == SETTINGS, 8)


def test_a_paused_server_gets_its_memory_when_it_goes_on(server: Server) -> None:
    server.domain.paused = True
    assert ADMIN.act(server, "set-current-memory", {"memory": 300}).status == 202
    server.domain.paused = False
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.domain.actual_kib == 300 * 1024, REAPPLIED_S)


def test_a_slow_balloon_is_followed_to_its_end(server: Server, option: Option) -> None:
    option("balloon_timeout", 0.3)
    server.domain.balloon_step_kib = 16 * 1024
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300})
    assert answer.body["success"] == 0
    assert shown(server, "memory")["state"] in ("pending", "applied")
    eventually(lambda: shown(server, "memory")["state"] == "applied", 20)


def test_a_change_behind_our_back_is_put_right(kept: Server) -> None:
    kept.domain.shares, kept.domain.soft_limit_kib = 3000, -1
    assert states(kept)["cpu_priority"] == "drifted"
    check(kept)
    eventually(lambda: kept.held() == SETTINGS)
    assert set(states(kept).values()) == {"applied"}


def test_a_change_behind_our_back_is_only_reported(kept: Server, option: Option) -> None:
    option("drift", "report")
    kept.domain.shares = 3000
    check(kept)
    eventually(lambda: "report" in str(shown(kept, "cpu_priority")["reason"]))
    assert shown(kept, "cpu_priority")["state"] == "drifted"
    assert kept.domain.shares == 3000
    kept.restart()
    eventually(lambda: kept.held() == SETTINGS, REAPPLIED_S)


def test_a_state_tells_since_when(kept: Server) -> None:
    before = shown(kept, "cpu_priority")["since"]
    time.sleep(1.1)
    assert shown(kept, "cpu_priority")["since"] == before
    kept.domain.shares = 3000
    after = shown(kept, "cpu_priority")["since"]
    assert str(after) > str(before)


def test_a_guest_that_takes_its_memory_back_is_left_in_peace_for_a_while(kept: Server) -> None:
    kept.domain.autodeflates = True
    kept.domain.target_kib = kept.domain.actual_kib = 400 * 1024
    check(kept)
    eventually(lambda: shown(kept, "memory")["state"] == "deflated")
    assert shown(kept, "memory")["applied"] == 400
    assert "took it back" in str(shown(kept, "memory")["reason"])
    kept.machine.happened(kept.uuid, "changed")
    time.sleep(1)
    assert kept.domain.actual_kib == 400 * 1024
    eventually(lambda: kept.held() == SETTINGS, 20)


def test_memory_that_the_guest_needs_is_not_taken_from_it(kept: Server) -> None:
    domain = kept.restart()
    domain.used_kib = 400 * 1024
    kept.machine.happened(kept.uuid, "started")
    eventually(lambda: shown(kept, "memory")["state"] == "refused")
    assert "lowest safe value" in str(shown(kept, "memory")["reason"])
    assert domain.actual_kib == 512 * 1024
    assert kept.held() == SETTINGS | {"memory": 512}


def test_a_refusal_after_a_long_boot_is_tried_again_soon(kept: Server) -> None:
    domain = kept.restart()
    domain.driver = False
    time.sleep(4)
    domain.driver, domain.used_kib = True, 400 * 1024
    eventually(lambda: shown(kept, "memory")["state"] == "refused")
    domain.used_kib = 64 * 1024
    eventually(lambda: kept.held() == SETTINGS, 3)


def test_one_refused_resource_keeps_no_other_back(kept: Server) -> None:
    kept.restart().refuse = {"cpu_priority"}
    # the guarantee is one number with the priority
    refused = {"cpu_priority": 1024, "cpu_guarantee": -1}
    eventually(lambda: kept.held() == SETTINGS | refused, REAPPLIED_S)
    eventually(lambda: shown(kept, "cpu_priority")["state"] == "refused")
    assert "refused" in str(shown(kept, "cpu_priority")["reason"])


def test_more_memory_than_the_flavor_has_by_now(kept: Server) -> None:
    instance = kept.instance()
    instance.flavor.memory_mb = 256
    instance.save()
    try:
        kept.restart()
        kept.domain.actual_kib = 256 * 1024 + 1
        eventually(lambda: kept.domain.actual_kib == 256 * 1024, REAPPLIED_S)
        eventually(lambda: shown(kept, "memory")["state"] == "applied")
        assert shown(kept, "memory")["requested"] == 300
        assert "reduced to 256 MiB" in str(shown(kept, "memory")["reason"])
    finally:
        instance = kept.instance()
        instance.flavor.memory_mb = 512
        instance.save()


def test_what_was_unset_while_nobody_was_there(cloud: Cloud, kept: Server) -> None:
    kept.machine.away = True
    assert ADMIN.act(kept, "set-qos", dict.fromkeys(SETTINGS)).status == 202
    assert (kept.saved(), kept.lifted()) == ({}, set(SETTINGS))
    assert kept.held() == SETTINGS | {"memory_priority": UNSET["memory_priority"]}
    kept.machine.away = False
    check(kept)
    eventually(lambda: kept.held() == UNSET)
    eventually(lambda: kept.lifted() == set())
    assert set(states(kept).values()) == {"unset"}


def test_memory_that_was_on_its_way_back_when_the_guest_was_reset(
    kept: Server, option: Option
) -> None:
    option("balloon_timeout", 0.2)
    kept.domain.balloon_step_kib = 0
    assert ADMIN.act(kept, "set-qos", {"memory": None}).status == 200
    assert (kept.saved().get("memory"), kept.lifted()) == (None, {"memory"})
    kept.domain.target_kib, kept.domain.balloon_step_kib = kept.domain.actual_kib, None
    eventually(lambda: kept.held()["memory"] == 512)
    eventually(lambda: kept.lifted() == set())


@pytest.mark.parametrize("mib", [511, 300])
def test_memory_that_a_reset_gave_back_unseen(kept: Server, option: Option, mib: int) -> None:
    option("balloon_timeout", 0.2)
    assert ADMIN.act(kept, "set-current-memory", {"memory": mib}).status == 200
    kept.domain.reset()
    kept.domain.balloon_step_kib = 0
    assert ADMIN.act(kept, "set-qos", {"memory": None}).status == 200
    kept.domain.balloon_step_kib, first = None, len(kept.domain.writes)
    eventually(lambda: kept.lifted() == set())
    assert kept.held()["memory"] == 512
    assert min(value for _, value in kept.domain.writes[first:]) >= 511 * 1024


def test_an_agent_that_hangs_within_an_unset(kept: Server, option: Option) -> None:
    option("rpc_timeout", 1)
    may_go_on = threading.Event()
    kept.domain.before_write = lambda name, value: may_go_on.wait(30)
    assert ADMIN.act(kept, "set-qos", {"io_priority": None}).status == 202
    # all that another agent would find
    assert kept.lifted() == {"io_priority"}
    may_go_on.set()
    eventually(lambda: kept.lifted() == set())
    assert kept.held() == SETTINGS | {"io_priority": 100}


def test_an_agent_that_starts_finds_what_is_to_be_done(cloud: Cloud, kept: Server) -> None:
    cloud.agents["compute"].stop()
    try:
        domain = kept.machine.add(kept.uuid, 512 * 1024)
        kept.machine.happened(kept.uuid, "started")
        time.sleep(0.5)
        assert domain.writes == []
    finally:
        cloud.start_agent("compute")
    eventually(lambda: kept.held() == SETTINGS)


def test_a_server_that_is_gone_is_forgotten(boot: Callable[..., Server], cloud: Cloud) -> None:
    server = boot()
    assert ADMIN.act(server, "set-cpu-priority", {"share": 99}).status == 200
    machine, uuid = server.machine, server.uuid
    cloud.delete(server)
    machine.happened(uuid, "started")
    history = cloud.agents["compute"].manager.looker.history
    eventually(lambda: uuid not in history._all)


def test_a_server_of_another_host_is_not_touched(kept: Server) -> None:
    kept.change(host="silent")
    try:
        domain = kept.restart()
        time.sleep(1)
        assert domain.writes == []
    finally:
        kept.change(host="compute")
    eventually(lambda: kept.held() == SETTINGS, 8)
