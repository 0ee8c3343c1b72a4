# SPDX-License-Identifier: Apache-2.0
"""Each set leaves an instance action: who, what and how it ended."""

from collections.abc import Callable
from typing import Any

import pytest

from nova_qos.core.resource import Resource
from nova_qos.instances import journal
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, Caller
from tests.functional.cloud import Server
from tests.functional.values import SETTINGS

each_row = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


def actions(server: Server, caller: Caller = ADMIN) -> list[Any]:
    """The server's actions by the API, newest first."""
    answer = caller.request("GET", f"/servers/{server.uuid}/os-instance-actions")
    assert answer.status == 200
    return [action for action in answer.body["instanceActions"] if "qos" in action["action"]
            or any(action["action"] == row.names.set_action for row in TABLE.values())]


def details(server: Server, action: Any) -> Any:
    path = f"/servers/{server.uuid}/os-instance-actions/{action['request_id']}"
    return ADMIN.using(microversion="2.84").request("GET", path).body["instanceAction"]


@each_row
def test_a_set_of_one_resource(server: Server, row: Resource) -> None:
    before = len(actions(server))
    ADMIN.act(server, row.names.set_action, {row.names.key: SETTINGS[row.name]})
    newest, *others = actions(server)
    assert len(others) == before
    assert newest["action"] == row.names.set_action
    assert (newest["user_id"], newest["project_id"]) == ("admin", ADMIN.project)
    assert newest["instance_uuid"] == server.uuid
    shown = details(server, newest)
    (event,) = shown["events"]
    assert event["event"] == f"qos {row.name}={SETTINGS[row.name]}"
    assert (event["result"], event["details"], event["host"]) == ("Success", None, "compute")
    assert event["finish_time"] is not None
    changes = journal.read(shown["message"])
    assert {name: entry.value for name, entry in changes.items()} == {row.name: SETTINGS[row.name]}


def test_a_set_of_several(server: Server) -> None:
    ADMIN.act(server, "set-qos", {"cpu_priority": 77, "memory": None})
    newest = actions(server)[0]
    assert newest["action"] == "set-qos"
    (event,) = details(server, newest)["events"]
    assert set(event["event"].split()) == {"qos", "cpu_priority=77", "memory=None"}


def test_a_set_kept_for_later(server: Server) -> None:
    del server.machine.domains[server.uuid]
    ADMIN.act(server, "set-cpu-priority", {"share": 78})
    (event,) = details(server, actions(server)[0])["events"]
    assert (event["event"], event["result"]) == ("qos cpu_priority=78", "Success")
    assert event["details"] == "saved, to be applied: the server is not running"


def test_a_set_of_which_a_part_has_to_wait(server: Server) -> None:
    server.domain.paused = True
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": 78, "memory": 256})
    assert answer.status == 202
    shown = details(server, actions(server)[0])
    (event,) = shown["events"]
    assert event["result"] == "Success"
    assert event["details"] == (
        "saved, to be applied: memory: the server is paused: its balloon cannot move")
    assert journal.read(shown["message"]).keys() == {"cpu_priority", "memory"}


def test_a_set_while_nobody_answers(boot: Callable[..., Server], option: Any) -> None:
    option("rpc_timeout", 1)
    server = boot("silent")
    assert ADMIN.act(server, "set-cpu-priority", {"share": 78}).status == 202
    (event,) = details(server, actions(server)[0])["events"]
    assert "saved, to be applied: nova-qos-agent on host silent" in event["details"]


def test_a_refused_set(server: Server) -> None:
    server.domain.refuse = {"cpu_priority"}
    ADMIN.act(server, "set-cpu-priority", {"share": 79})
    shown = details(server, actions(server)[0])
    (event,) = shown["events"]
    assert (event["event"], event["result"]) == ("qos cpu_priority=79", "Error")
    assert event["details"] == "cpu_priority: the host refused 79"
    assert shown["message"] == "Error"


def test_a_set_that_went_wrong_in_a_new_way(server: Server) -> None:
    def surprise(name: str, value: int) -> None:
        raise ZeroDivisionError

    server.domain.before_write = surprise
    assert ADMIN.act(server, "set-cpu-priority", {"share": 80}).status == 500
    shown = details(server, actions(server)[0])
    assert (shown["events"][0]["result"], shown["message"]) == ("Error", "Error")


def test_what_was_never_begun_leaves_none(server: Server) -> None:
    before = len(actions(server))
    assert ADMIN.act(server, "set-cpu-priority", {"share": 1}).status == 400
    assert MEMBER.act(server, "set-cpu-priority", {"share": 77}).status == 403
    server.change(task_state="deleting")
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 409
    assert len(actions(server)) == before


def test_gets_leave_none(server: Server) -> None:
    before = len(actions(server))
    for action in [row.names.get_action for row in TABLE.values()] + [
            "get-qos", "balloon-driver-enabled"]:
        assert READER.act(server, action).status == 200
    assert len(actions(server)) == before


def test_readers_see_them(server: Server, boot: Callable[..., Server]) -> None:
    ADMIN.act(server, "set-cpu-priority", {"share": 77})
    assert actions(server, READER)[0]["action"] == "set-cpu-priority"
