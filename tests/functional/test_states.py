# SPDX-License-Identifier: Apache-2.0
"""Servers that are stopped, paused, being worked on, on no host or gone."""

import json
from collections.abc import Callable

import pytest
from nova.compute import task_states, vm_states

from nova_qos.core.errors import ServerNotRunning
from nova_qos.core.resource import Resource
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import AsAgentBegins, Cloud, Server, eventually
from tests.functional.values import SETTINGS, UNSET

each_row = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
RUNNING = "the server is not running"
TASKS = [
    task_states.DELETING, task_states.RESIZE_PREP, task_states.RESIZE_MIGRATING,
    task_states.REBOOTING, task_states.MIGRATING, task_states.POWERING_OFF,
]


@each_row
def test_a_setting_for_a_stopped_server_is_kept_for_later(server: Server, row: Resource) -> None:
    del server.machine.domains[server.uuid]
    value = SETTINGS[row.name]
    answer = ADMIN.act(server, row.names.set_action, {row.names.key: value})
    assert answer.status == 202
    assert answer.body == {"state": "pending", "requested": value, "reason": RUNNING}
    assert server.saved() == {row.name: value}
    answer = ADMIN.act(server, row.names.get_action)
    assert (answer.status, answer.message) == (409, RUNNING)


def test_get_qos_of_a_stopped_server_tells_what_is_requested(server: Server) -> None:
    del server.machine.domains[server.uuid]
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert answer.status == 202
    for name, shown in [*answer.body.items(), *ADMIN.act(server, "get-qos").body.items()]:
        assert (shown["requested"], shown["applied"]) == (SETTINGS[name], None)
        assert (shown["state"], shown["effective"], shown["reason"]) == ("pending", False, RUNNING)
    assert ADMIN.act(server, "balloon-driver-enabled").status == 409
    assert ADMIN.act(server, "set-qos", dict.fromkeys(SETTINGS)).status == 202
    assert server.saved() == {}


def test_a_server_that_nova_stopped(cloud: Cloud, fresh: Server) -> None:
    ADMIN.send(fresh, '{"os-stop": null}')
    cloud.wait(fresh, "SHUTOFF")
    del fresh.machine.domains[fresh.uuid]
    assert ADMIN.act(fresh, "set-cpu-priority", {"share": 77}).status == 202
    assert fresh.saved() == {"cpu_priority": 77}
    ADMIN.send(fresh, '{"os-start": null}')
    cloud.wait(fresh, "ACTIVE")
    assert fresh.saved() == {"cpu_priority": 77}


def test_a_server_that_stops_between_two_writes(server: Server) -> None:
    def stop(name: str, value: int) -> None:
        if name == "memory_soft_limit":
            server.domain.failure = ServerNotRunning(RUNNING)

    server.domain.before_write = stop
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert answer.status == 202
    assert {shown["state"] for shown in answer.body.values()} == {"pending"}
    assert server.saved() == SETTINGS


def test_a_paused_server_takes_all_but_memory(server: Server) -> None:
    server.domain.paused = True
    for row in TABLE.values():
        answer = ADMIN.act(server, row.names.set_action, {row.names.key: SETTINGS[row.name]})
        assert answer.status == (202 if row.name == "memory" else 200)
    assert "paused" in ADMIN.act(server, "set-current-memory", {"memory": 301}).body["reason"]
    assert server.saved() == SETTINGS | {"memory": 301}
    assert "memory" not in dict(server.domain.writes)
    assert server.held()["cpu_priority"] == 77
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert answer.status == 202
    assert answer.body["cpu_priority"]["state"] == "applied"
    assert answer.body["memory"]["state"] == "pending"
    assert server.saved() == SETTINGS


@pytest.mark.parametrize("task", TASKS)
def test_while_nova_works_on_the_server(server: Server, task: str) -> None:
    server.change(task_state=task)
    for row in TABLE.values():
        answer = ADMIN.act(server, row.names.set_action, {row.names.key: SETTINGS[row.name]})
        assert answer.status == 409
        assert task in answer.message
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert (answer.status, server.saved(), server.domain.writes) == (409, {}, [])
    assert ADMIN.act(server, "get-qos").status == 200


def test_while_nova_builds_the_server(server: Server) -> None:
    """Between two tasks of a build there is none, and nova is about to save an older copy."""
    server.change(vm_state=vm_states.BUILDING)
    try:
        answer = ADMIN.act(server, "set-qos", SETTINGS)
        assert (answer.status, server.saved(), server.domain.writes) == (409, {}, [])
        assert "building" in answer.message
        assert ADMIN.act(server, "get-qos").status == 200
    finally:
        server.change(vm_state=vm_states.ACTIVE)


@pytest.mark.parametrize("running", [True, False])
def test_a_task_that_begins_between_check_and_save(
    cloud: Cloud, server: Server, running: bool, as_agent_begins: AsAgentBegins
) -> None:
    if not running:
        del server.machine.domains[server.uuid]
    server.keep(cpu_priority=50)
    as_agent_begins(server, lambda: server.change(task_state=task_states.DELETING))
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert answer.status == 409
    assert task_states.DELETING in answer.message
    assert server.saved() == {"cpu_priority": 50}
    if running:
        eventually(lambda: server.held() == UNSET | {"cpu_priority": 50})


def test_a_task_that_begins_before_a_refused_write_hinders_no_restoring(server: Server) -> None:
    server.keep(cpu_priority=50)
    server.domain.refuse = {"cpu_priority"}
    server.domain.before_write = lambda name, value: server.change(
        task_state=task_states.DELETING)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 60}).status == 409
    assert server.saved() == {"cpu_priority": 50}
    assert server.instance().task_state == task_states.DELETING


def test_a_shelved_server_is_on_no_host(cloud: Cloud, fresh: Server) -> None:
    ADMIN.send(fresh, '{"shelve": null}')
    cloud.wait(fresh, "SHELVED_OFFLOADED")
    # nova shows the status a moment before it forgets the host
    eventually(lambda: fresh.instance().host is None)
    answer = ADMIN.act(fresh, "set-cpu-priority", {"share": 77})
    assert answer.status == 202
    assert "no host" in answer.body["reason"]
    assert fresh.saved() == {"cpu_priority": 77}
    answer = ADMIN.act(fresh, "get-cpu-priority")
    assert answer.status == 409
    assert "no host" in answer.message
    shown = ADMIN.act(fresh, "get-qos")
    assert (shown.status, shown.body["cpu_priority"]["requested"]) == (200, 77)
    assert ADMIN.act(fresh, "balloon-driver-enabled").status == 409


def test_a_server_that_never_found_a_host(cloud: Cloud, boot: Callable[..., Server]) -> None:
    too_large = next(f["id"] for f in cloud.api.get_flavors() if f["ram"] == 16384)
    body = cloud._build_server(
        flavor_id=too_large, networks="none", image_uuid=cloud.IMAGE)
    answer = ADMIN.using(microversion="2.37").request(
        "POST", "/servers", json.dumps({"server": body}))
    server = Server(answer.body["server"]["id"], "compute")
    try:
        first = ADMIN.act(server, "set-cpu-priority", {"share": 77})
        assert first.status in (202, 404, 409)
        cloud.wait(server, "ERROR")
        assert ADMIN.act(server, "get-cpu-priority").status == 409
        assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 202
        assert ADMIN.act(server, "get-qos").body["cpu_priority"]["requested"] == 77
    finally:
        cloud.delete(server)


def test_a_deleted_server(cloud: Cloud, boot: Callable[..., Server]) -> None:
    server = cloud.boot()
    cloud.delete(server)
    for action, value in (("get-qos", None), ("set-qos", SETTINGS), ("get-cpu-priority", None)):
        assert ADMIN.act(server, action, value).status == 404


def test_a_server_that_is_deleted_between_check_and_save(
    cloud: Cloud, as_agent_begins: AsAgentBegins
) -> None:
    server = cloud.boot()
    as_agent_begins(server, lambda: cloud.delete(server))
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 77})
    assert answer.status == 404
    assert server.uuid in answer.message
