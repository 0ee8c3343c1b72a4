# SPDX-License-Identifier: Apache-2.0
"""Servers that move to another host take their settings with them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from nova_qos.resources import TABLE
from tests.fakehost import NET_NAMES
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.test_keeping import REAPPLIED_S, states
from tests.functional.values import SETTINGS

RECENT = ADMIN.using(microversion="2.68")
#: What libvirt carries along in a live migration; nova strips CPU shares, and taps are new.
CARRIED = ("actual_kib", "target_kib", "soft_limit_kib", "weight", "cpu_limit", "io_limit",
           "io_rate_limit")


@pytest.fixture
def moving(boot: Callable[..., Server]) -> Server:
    """A server of its own, with a setting for everything."""
    server = boot()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    return server


def ask(server: Server, action: str, value: Any) -> None:
    answer = RECENT.send(server, json.dumps({action: value}))
    assert answer.status in (200, 202, 204), answer


def holds_everything(server: Server) -> None:
    eventually(lambda: server.held() == SETTINGS, REAPPLIED_S)
    eventually(lambda: set(states(server).values()) == {"applied"})


def test_live_migration(cloud: Cloud, moving: Server) -> None:
    ask(moving, "os-migrateLive", {"host": "second", "block_migration": "auto"})
    moving.arrive("second", CARRIED)
    eventually(lambda: moving.instance().host == "second")
    cloud.wait(moving, "ACTIVE")
    holds_everything(moving)


@pytest.mark.parametrize("unified", [False, True])
def test_a_migrating_server_is_not_kept_waiting_for_the_end_of_nova_s_task(
    moving: Server, unified: bool
) -> None:
    """Until nova has finished, its own record says that the server is on the other host. What
    needs no libvirt is there before the guest runs."""
    moving.change(task_state="migrating")
    moving.domain.unified, moving.domain.arriving = unified, True
    moving.arrive("second", (*CARRIED, "unified", "arriving"))
    before = {*NET_NAMES, "memory_guarantee"} | (
        {"cpu_priority", "cpu_guarantee"} if unified else set())
    eventually(lambda: {name for name, _ in moving.domain.writes} == before)
    moving.domain.arriving = False
    moving.machine.happened(moving.uuid, "changed")
    eventually(lambda: moving.held() == SETTINGS)
    assert moving.instance().host == "compute"
    moving.change(host="second", task_state=None)
    holds_everything(moving)


@pytest.mark.parametrize("end", ["confirmResize", "revertResize"])
def test_cold_migration(cloud: Cloud, moving: Server, end: str) -> None:
    ask(moving, "migrate", {"host": "second"})
    cloud.wait(moving, "VERIFY_RESIZE")
    moving.arrive("second")
    holds_everything(moving)
    ask(moving, end, None)
    cloud.wait(moving, "ACTIVE")
    if end == "revertResize":
        moving.arrive("compute")
    holds_everything(moving)


def test_evacuation(cloud: Cloud, moving: Server) -> None:
    cloud.computes["compute"].stop()
    down = {"host": "compute", "binary": "nova-compute", "forced_down": True}
    services = ADMIN.using(microversion="2.11")
    services.request("PUT", "/os-services/force-down", json.dumps(down))
    try:
        ADMIN.using(microversion="2.30").send(
            moving, json.dumps({"evacuate": {"host": "second", "force": True}}))
        eventually(lambda: moving.instance().host == "second", 20)
        moving.arrive("second")
        cloud.wait(moving, "ACTIVE")
        holds_everything(moving)
    finally:
        # only when it has cleaned up after what was evacuated does nova let it be up again
        cloud.computes["compute"].start()
        down["forced_down"] = False
        answer = services.request("PUT", "/os-services/force-down", json.dumps(down))
        assert answer.status == 200, answer


def test_shelving(cloud: Cloud, moving: Server) -> None:
    cloud.flags(shelved_offload_time=0)
    ask(moving, "shelve", None)
    cloud.wait(moving, "SHELVED_OFFLOADED")
    del moving.machine.domains[moving.uuid]
    moving.machine.happened(moving.uuid, "ended")
    answer = ADMIN.act(moving, "set-cpu-priority", {"share": 78})
    assert (answer.status, answer.body["state"]) == (202, "pending")
    to_second = json.dumps({"unshelve": {"host": "second"}})
    assert ADMIN.using(microversion="2.91").send(moving, to_second).status == 202
    cloud.wait(moving, "ACTIVE")
    assert moving.instance().host == "second"
    moving.machine.add(moving.uuid)
    moving.arrive("second")
    eventually(lambda: moving.held() == SETTINGS | {"cpu_priority": 78})


def test_every_setting_was_moved() -> None:
    assert set(SETTINGS) == set(TABLE)
