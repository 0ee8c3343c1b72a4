# SPDX-License-Identifier: Apache-2.0
"""Every action's answer, on every kind of URL and version."""

import pytest

from nova_qos.resources import TABLE, Resource
from tests.functional.caller import ADMIN, PROJECT_ID, Caller
from tests.functional.cloud import Server

CALLERS = {
    "v2.1": ADMIN,
    "v2": ADMIN.using(prefix="/v2"),
    "with project": ADMIN.using(prefix=f"/v2.1/{PROJECT_ID}"),
    "v2 with project": ADMIN.using(prefix=f"/v2/{PROJECT_ID}"),
    "2.1": ADMIN.using(microversion="2.1"),
    "2.96": ADMIN.using(microversion="2.96"),
    "latest": ADMIN.using(microversion="latest"),
}
#: resource: (asked, what the host holds then, body of the get, body of the set)
EXAMPLES = {
    "memory": (300, 300 * 1024, {"actual": 300 * 1024}, {"success": 1}),
    "memory_soft_limit": (100, 100 * 1024, {"soft_limit": 100 * 1024}, {"success": 1}),
    "cpu_priority": (2048, 2048, {"share": 2048}, {"share": 2048}),
    "io_priority": (900, 900, {"weight": 900}, {"weight": 900}),
}
rows = pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))


@pytest.mark.parametrize("caller", CALLERS.values(), ids=list(CALLERS))
@rows
def test_set_and_get(server: Server, row: Resource, caller: Caller) -> None:
    asked, held, got, answered = EXAMPLES[row.name]
    answer = caller.act(server, row.set_action, {row.key: asked})
    assert (answer.status, answer.body) == (200, answered)
    assert row.read(server.domain).applied == held
    assert server.saved() == {row.name: asked}
    answer = caller.act(server, row.get_action)
    assert answer.status == 200
    assert answer.body.items() >= got.items()


@rows
def test_numbers_as_text_and_empty_gets(server: Server, row: Resource) -> None:
    asked, _held, got, answered = EXAMPLES[row.name]
    answer = ADMIN.act(server, row.set_action, {row.key: str(asked)})
    assert (answer.status, answer.body) == (200, answered)
    assert ADMIN.act(server, row.get_action, {}).body.items() >= got.items()


@rows
def test_the_ends_of_the_range(server: Server, row: Resource) -> None:
    least, most = row.minimum, 512 if row.ceiling else row.maximum
    for value in (least, most):
        body = {row.key: value} | ({"force": True} if row.forceable else {})
        assert ADMIN.act(server, row.set_action, body).status == 200
        assert server.saved() == {row.name: value}
    for value in (least - 1, most + 1):
        if value == row.lift:
            continue
        answer = ADMIN.act(server, row.set_action, {row.key: value})
        assert answer.status == 400
        assert row.key in answer.message
        assert str(value) in answer.message
        assert f"{least} to {most}" in answer.message
        assert server.saved() == {row.name: most}


def test_everything_at_once(server: Server) -> None:
    answer = ADMIN.act(server, "set-qos", {name: EXAMPLES[name][0] for name in TABLE})
    assert answer.status == 200
    assert ADMIN.act(server, "get-qos").body == answer.body
    assert answer.body["memory"] == {
        "requested": 300, "applied": 300, "unit": "MiB", "range": [1, 512], "default": 512,
        "state": "applied", "effective": True, "reason": None}
    assert answer.body["io_priority"] == {
        "requested": 900, "applied": 900, "unit": "weight", "range": [100, 1000], "default": 100,
        "state": "applied", "effective": True, "reason": None}


def test_unset_forgets_and_puts_the_default_back(server: Server) -> None:
    unrelated = server.unrelated()
    ADMIN.act(server, "set-qos", {name: EXAMPLES[name][0] for name in TABLE})
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": None, "memory": None})
    assert answer.status == 200
    assert {answer.body[name]["state"] for name in ("cpu_priority", "memory")} == {"unset"}
    assert server.saved() == {"memory_soft_limit": 100, "io_priority": 900}
    assert (server.domain.shares, server.domain.actual_kib) == (1024, 512 * 1024)
    assert ADMIN.act(server, "set-memory-soft-limit", {"memory_limit": -1}).body == {"success": 1}
    assert ADMIN.act(server, "get-memory-soft-limit").body == {"soft_limit": -1}
    assert server.saved() == {"io_priority": 900}
    assert server.unrelated() == unrelated


def test_drift_is_told(server: Server) -> None:
    ADMIN.act(server, "set-cpu-priority", {"share": 2048})
    server.domain.shares = 7
    report = ADMIN.act(server, "get-qos").body["cpu_priority"]
    assert (report["requested"], report["applied"], report["state"]) == (2048, 7, "drifted")


def test_without_effect_is_told(server: Server) -> None:
    server.domain.io_reason = "device vda has scheduler none"
    answer = ADMIN.act(server, "set-qos", {"io_priority": 500})
    report = answer.body["io_priority"]
    assert (report["state"], report["effective"]) == ("applied", False)
    assert report["reason"] == "device vda has scheduler none"


def test_balloon_driver(server: Server) -> None:
    assert ADMIN.act(server, "balloon-driver-enabled").body == {"ballooning_enabled": True}
    server.domain.driver = False
    assert ADMIN.act(server, "balloon-driver-enabled").body == {"ballooning_enabled": False}


def test_every_set_leaves_an_action(server: Server) -> None:
    def actions() -> list[dict[str, str]]:
        path = f"/servers/{server.uuid}/os-instance-actions"
        found: list[dict[str, str]] = ADMIN.request("GET", path).body["instanceActions"]
        return found

    before = len(actions())
    ADMIN.act(server, "get-qos")
    assert len(actions()) == before
    ADMIN.act(server, "set-cpu-priority", {"share": 99})
    server.domain.refuse = {"io_priority"}
    ADMIN.act(server, "set-io-priority", {"weight": 200})
    seen = {action["action"]: action for action in actions()[: -before or None]}
    assert set(seen) == {"set-cpu-priority", "set-io-priority"}
    assert seen["set-cpu-priority"]["user_id"] == ADMIN.user
    path = f"/servers/{server.uuid}/os-instance-actions/"
    for name, what, result in (
        ("set-cpu-priority", "qos cpu_priority=99", "Success"),
        ("set-io-priority", "qos io_priority=200", "Error"),
    ):
        answer = ADMIN.request("GET", path + seen[name]["request_id"])
        (event,) = answer.body["instanceAction"]["events"]
        assert (event["event"], event["result"]) == (what, result)


def test_the_agent_is_a_service(server: Server) -> None:
    services = ADMIN.request("GET", "/os-services").body["services"]
    assert ("nova-qos-agent", "compute") in {(each["binary"], each["host"]) for each in services}
