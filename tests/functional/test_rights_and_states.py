# SPDX-License-Identifier: Apache-2.0
"""Who may do what, and when nova lets nobody."""

from collections.abc import Callable

import pytest

from nova_qos.resources import BALLOON, GET_ALL, SET_ALL, TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, STRANGER
from tests.functional.cloud import Cloud, Server

GETS = [row.get_action for row in TABLE.values()] + [BALLOON, GET_ALL]
SETS = {row.set_action: {row.key: 300} for row in TABLE.values()} | {
    SET_ALL: {"cpu_priority": 300}}
sets = pytest.mark.parametrize(("action", "value"), SETS.items(), ids=list(SETS))


@pytest.mark.parametrize("action", GETS)
def test_who_may_get(server: Server, action: str) -> None:
    people = (ADMIN, MEMBER, READER, STRANGER)
    assert [person.act(server, action).status for person in people] == [200, 200, 200, 404]


@sets
def test_who_may_set(server: Server, action: str, value: object) -> None:
    people = (MEMBER, READER, STRANGER)
    assert [person.act(server, action, value).status for person in people] == [403, 403, 404]
    assert server.saved() == {}
    assert ADMIN.act(server, action, value).status == 200


def test_rights_come_before_the_body(server: Server) -> None:
    assert READER.act(server, "set-cpu-priority", {"share": "nonsense"}).status == 403
    assert STRANGER.act(server, "set-cpu-priority", {"share": "nonsense"}).status == 404


def test_all_at_once_needs_every_rule_it_touches(server: Server, cloud: Cloud) -> None:
    cloud.policy.set_rules(
        {"os_compute_api:os-qos:cpu_priority:set": "rule:project_member_or_admin"},
        overwrite=False)
    assert MEMBER.act(server, SET_ALL, {"cpu_priority": 300}).status == 200
    both = {"cpu_priority": 400, "io_priority": 400}
    assert MEMBER.act(server, SET_ALL, both).status == 403
    assert server.saved() == {"cpu_priority": 300}
    server.change(locked=True, locked_by="admin")
    answer = MEMBER.act(server, "set-cpu-priority", {"share": 500})
    assert (answer.status, "locked" in answer.message) == (409, True)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 600}).status == 200
    cloud.policy.set_rules(
        {"os_compute_api:os-qos:cpu_priority:set": "rule:context_is_admin"}, overwrite=False)


@pytest.mark.parametrize("task", ["deleting", "resize_migrating", "rebuilding", "powering-off"])
@sets
def test_a_task_in_progress(server: Server, action: str, value: object, task: str) -> None:
    server.change(task_state=task)
    answer = ADMIN.act(server, action, value)
    assert (answer.status, task in answer.message) == (409, True)
    assert (server.saved(), server.domain.writes) == ({}, [])


def test_a_task_that_starts_meanwhile(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    look = server.machine.domain

    def nova_is_quicker(uuid: str) -> object:
        server.change(task_state="rebuilding")
        return look(uuid)

    monkeypatch.setattr(server.machine, "domain", nova_is_quicker)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 300}).status == 409
    assert (server.saved(), server.domain.writes) == ({}, [])


def test_a_stopped_server(server: Server) -> None:
    del server.machine.domains[server.uuid]
    for action, value in SETS.items():
        answer = ADMIN.act(server, action, value)
        assert answer.status == 202, answer
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 300})
    assert answer.body["state"] == "pending"
    assert answer.body["requested"] == 300
    assert "not running" in answer.body["reason"]
    assert server.saved() == dict.fromkeys(TABLE, 300)
    for action in GETS:
        assert ADMIN.act(server, action).status == (200 if action == GET_ALL else 409)
    report = ADMIN.act(server, GET_ALL).body
    assert {report[name]["state"] for name in TABLE} == {"pending"}


def test_a_paused_server(server: Server) -> None:
    server.domain.paused = True
    answer = ADMIN.act(server, SET_ALL, {"cpu_priority": 300, "memory": 300})
    assert answer.status == 202
    states = {name: answer.body[name]["state"] for name in ("cpu_priority", "memory")}
    assert states == {"cpu_priority": "applied", "memory": "pending"}
    assert server.saved() == {"cpu_priority": 300, "memory": 300}
    assert ADMIN.act(server, "set-current-memory", {"memory": 400}).status == 202
    assert ADMIN.act(server, "set-io-priority", {"weight": 400}).body == {"weight": 400}


def test_a_server_on_no_host(fresh: Server) -> None:
    fresh.change(host=None, vm_state="shelved_offloaded")
    answer = ADMIN.act(fresh, "set-cpu-priority", {"share": 300})
    assert (answer.status, answer.body["state"]) == (202, "pending")
    assert fresh.saved() == {"cpu_priority": 300}
    assert ADMIN.act(fresh, "get-cpu-priority").status == 409
    assert ADMIN.act(fresh, GET_ALL).body["cpu_priority"]["requested"] == 300
    fresh.change(host="compute", vm_state="active")


def test_a_deleted_server(cloud: Cloud, boot: Callable[..., Server]) -> None:
    server = boot()
    cloud.delete(server)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 300}).status == 404
