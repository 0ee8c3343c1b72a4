# SPDX-License-Identifier: Apache-2.0
"""What overridden rules, locks and other projects' servers do; who may do what by default is in
test_authorisation."""

from collections.abc import Callable, Iterator

import pytest
from nova import policy

from nova_qos.api.rules import GET_POLICIES_RULE, SET_POLICIES_RULE
from nova_qos.resources import ASSIGN_RULE, LIST_HOST_RULE, LIST_RULE, TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, STRANGER
from tests.functional.cloud import Cloud, Server
from tests.functional.policies import create, names, send

SETS = {row.names.set_action: {row.names.key: row.value.minimum} for row in TABLE.values()} | {
    "set-qos": {"cpu_priority": 2}}
every_set = pytest.mark.parametrize(("action", "value"), SETS.items(), ids=SETS.keys())


@pytest.fixture
def rules(cloud: Cloud) -> Iterator[Callable[[dict[str, str]], None]]:
    """Overrides rules as policy.yaml would, for one test."""
    before = dict(policy._ENFORCER.rules)
    yield lambda rules: cloud.policy.set_rules(rules, overwrite=False)
    policy._ENFORCER.set_rules(before, overwrite=True)


def assert_unchanged(server: Server) -> None:
    assert server.saved() == {}
    assert server.domain.writes == []


@every_set
def test_rights_come_before_the_body(
    server: Server, action: str, value: dict[str, object]
) -> None:
    assert MEMBER.act(server, action, {"nonsense": 1}).status == 403


def test_an_administrator_reaches_every_project(server: Server) -> None:
    elsewhere = ADMIN.using(project=STRANGER.project)
    assert elsewhere.act(server, "set-cpu-priority", {"share": 7}).body == {"share": 7}


def test_the_project_in_the_url_must_be_the_callers(server: Server) -> None:
    caller = ADMIN.using(prefix=f"/v2.1/{STRANGER.project}")
    assert caller.act(server, "get-qos").status == 400


@pytest.mark.parametrize("uuid", [
    "00000000-0000-0000-0000-000000000000", "no-uuid", "1", "%00", "x" * 300])
def test_a_server_that_never_was(server: Server, uuid: str) -> None:
    for body in ('{"get-qos": null}', '{"set-qos": {"memory": 300}}'):
        assert ADMIN.request("POST", f"/servers/{uuid}/action", body).status == 404


@every_set
def test_an_overridden_rule_lets_a_member_set(
    server: Server, rules: Callable[[dict[str, str]], None], action: str,
    value: dict[str, object],
) -> None:
    rules({row.names.set_rule: "rule:project_member_or_admin" for row in TABLE.values()})
    assert MEMBER.act(server, action, value | unsafe(action)).status == 200
    assert READER.act(server, action, value).status == 403


def unsafe(action: str) -> dict[str, object]:
    return {"force": True} if action == "set-current-memory" else {}


def test_each_rule_holds_for_its_resource_alone(
    server: Server, rules: Callable[[dict[str, str]], None]
) -> None:
    rules({TABLE["cpu_priority"].names.set_rule: "rule:project_member_or_admin"})
    assert MEMBER.act(server, "set-cpu-priority", {"share": 5}).status == 200
    assert MEMBER.act(server, "set-qos", {"cpu_priority": 6}).status == 200
    assert MEMBER.act(server, "set-io-priority", {"weight": 200}).status == 403
    assert MEMBER.act(server, "set-qos", {"cpu_priority": 7, "io_priority": 200}).status == 403
    assert server.saved() == {"cpu_priority": 6}


def test_get_qos_needs_the_right_to_each_resource(
    server: Server, rules: Callable[[dict[str, str]], None]
) -> None:
    rules({TABLE["io_priority"].names.get_rule: "rule:context_is_admin"})
    assert READER.act(server, "get-qos").status == 403
    assert READER.act(server, "get-cpu-priority").status == 200
    assert ADMIN.act(server, "get-qos").status == 200


def test_overridden_rules_of_the_lists(
    server: Server, rules: Callable[[dict[str, str]], None]
) -> None:
    """Who may list a host is told of all its servers and sees hosts, without being admin."""
    rules({LIST_RULE: "rule:context_is_admin", LIST_HOST_RULE: "role:member"})
    assert READER.request("GET", "/os-qos").status == 403
    listed = STRANGER.request("GET", "/os-qos?host=compute")
    assert server.uuid in {each["id"] for each in listed.body["servers"]}
    rules({LIST_RULE: "rule:project_reader_or_admin"})
    assert {each["host"] for each in MEMBER.request("GET", "/os-qos").body["servers"]} != {None}


def test_a_list_needs_the_right_to_each_resource(
    server: Server, rules: Callable[[dict[str, str]], None]
) -> None:
    rules({TABLE["io_priority"].names.get_rule: "rule:context_is_admin"})
    assert READER.request("GET", "/os-qos").status == 403
    assert ADMIN.request("GET", "/os-qos").status == 200


def test_a_locked_server(server: Server, rules: Callable[[dict[str, str]], None]) -> None:
    rules({row.names.set_rule: "rule:project_member_or_admin" for row in TABLE.values()})
    assert ADMIN.send(server, '{"lock": null}').status == 202
    for action, value in SETS.items():
        answer = MEMBER.act(server, action, value)
        assert answer.status == 409
        assert "locked" in answer.message
    assert_unchanged(server)
    assert READER.act(server, "get-qos").status == 200
    assert ADMIN.act(server, "set-cpu-priority", {"share": 5}).status == 200
    assert ADMIN.send(server, '{"unlock": null}').status == 202
    assert MEMBER.act(server, "set-cpu-priority", {"share": 6}).status == 200


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("rule", [SET_POLICIES_RULE, ASSIGN_RULE])
def test_who_may_change_or_assign_policies_sees_all_of_them(
    rules: Callable[[dict[str, str]], None], rule: str
) -> None:
    policy = create("gold")
    assert names(MEMBER) == []
    rules({rule: "role:member"})
    assert (names(MEMBER), names(READER)) == (["gold"], [])
    answer = send("GET", f"/{policy}?in_use=true", caller=MEMBER)
    assert set(answer.body) == {"policy", "in_use", "used_by"}
    may_set = rule == SET_POLICIES_RULE
    for method, path, body, status in (
            ("PUT", f"/{policy}", {"policy": {"description": "x"}}, 200 if may_set else 403),
            ("PUT", f"/{policy}/projects/abc", None, 403 if may_set else 204),
            ("DELETE", f"/{policy}/projects/abc", None, 403 if may_set else 204),
            ("DELETE", f"/{policy}", None, 204 if may_set else 403)):
        assert send(method, path, body, caller=MEMBER).status == status


@pytest.mark.usefixtures("policies")
def test_an_overridden_rule_to_see_policies(rules: Callable[[dict[str, str]], None]) -> None:
    create("bronze", is_default=True)
    rules({GET_POLICIES_RULE: "rule:context_is_admin"})
    assert send("GET", caller=READER).status == 403
    assert names(ADMIN) == ["bronze"]
