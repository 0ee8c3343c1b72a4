# SPDX-License-Identifier: Apache-2.0
"""Named policies over HTTP: what is kept, who sees which, and conditions."""

import threading
from typing import Any

import nova.conf
import pytest
from nova.tests.fixtures.nova import PROJECT_ID

from nova_qos.api.catalog import store
from nova_qos.policies.store import Store
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, STRANGER
from tests.functional.cloud import Cloud, eventually
from tests.functional.policies import GOLD, PATH, create, names, send, shown

pytestmark = pytest.mark.usefixtures("policies")


def test_what_is_created_is_shown_and_listed() -> None:
    made = send("POST", body={"policy": GOLD})
    assert made.status == 201, made
    policy = made.body["policy"]
    assert 0 < int(policy["id"]) < 10**15
    assert policy == {**GOLD, "id": policy["id"], "revision": 1, "is_default": False,
                      "projects": []}
    assert made.headers["Location"].endswith(f"{PATH}/{policy['id']}")
    one = send("GET", f"/{policy['id']}")
    assert (one.status, one.body["policy"]) == (200, policy)
    assert one.headers["ETag"] == made.headers["ETag"] == f'"{store().version()[0]}-1"'
    assert send("GET").body == {"policies": [policy]}


def test_a_list_is_in_the_order_of_names_and_finds_one_by_any_case() -> None:
    for name in ("silver", "Gold", "bronze", "göld"):
        create(name)
    assert names(ADMIN) == ["bronze", "Gold", "göld", "silver"]
    assert names(ADMIN, "?name=GOLD") == ["Gold"]
    assert names(ADMIN, "?name=G%C3%96LD") == ["göld"]
    assert names(ADMIN, "?name=iron") == names(ADMIN, "?name=") == []


@pytest.mark.parametrize("query", ["?name=a&name=b", "?names=a", "?limit=1"])
def test_queries_that_are_wrong(query: str) -> None:
    assert send("GET", query).status == 400
    assert send("GET", f"/{create()}?in_use=maybe").status == 400


@pytest.mark.parametrize(("fields", "words"), [
    ({"settings": {"color": 1}}, ["no such resource: color", *TABLE]),
    ({"settings": {"cpu_priority": 1}}, ["cpu_priority", "'1'", "2 to 262144"]),
    ({"settings": {"io_priority": "50%"}}, ["io_priority", "'50%'", "100 to 1000"]),
    ({"settings": {"memory": "101%"}}, ["memory", "101%", '"100%"']),
    ({"settings": {"memory": None}}, ["memory", "None"]),
    ({"settings": {"net_limit": 100, "net_guarantee": 200}}, ["net_guarantee 200", "net_limit"]),
    ({"settings": None}, ["settings"]), ({"settings": []}, ["settings"]),
    ({"description": "\0"}, ["description"]), ({"description": "\ud800"}, ["description"]),
    ({"description": "x" * 1025}, ["description"]), ({"is_default": "yes"}, ["is_default"]),
    ({"projects": []}, ["projects"]), ({"revision": 7}, ["revision"]), ({"id": "7"}, ["id"]),
], ids=lambda value: ascii(value)[:40])
def test_bodies_that_are_wrong(fields: dict[str, Any], words: list[str]) -> None:
    policy = create(**GOLD)
    for answer in (send("POST", body={"policy": {**GOLD, "name": "other", **fields}}),
                   send("PUT", f"/{policy}", {"policy": fields})):
        assert answer.status == 400, answer
        for word in words:
            assert word in answer.message
    assert shown(policy)["revision"] == 1
    assert names(ADMIN) == ["Gold"]


@pytest.mark.parametrize("name", [
    "", " gold", "gold ", "none", "NONE", "x" * 256, "a\0", "a\n", "\ud800", "\U0001f947", 5, None,
    [], {}], ids=lambda name: ascii(name)[:20])
def test_names_that_are_none(name: object) -> None:
    answer = send("POST", body={"policy": {**GOLD, "name": name}})
    assert (answer.status, "name" in answer.message) == (400, True), answer
    assert names(ADMIN) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "5", '{"policy": null}', "{}",
                                  '{"policy": {}}', '{"policy": [], "x": 1}', '[{"policy": {}}]'])
def test_text_that_is_no_body(text: str) -> None:
    policy = create()
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/{policy}")):
        assert ADMIN.request(method, path, text).status == 400
    assert names(ADMIN) == ["Gold"]


def test_a_name_is_taken_whatever_its_case() -> None:
    create("straße")
    answer = send("POST", body={"policy": {**GOLD, "name": "STRASSE"}})
    assert (answer.status, "straße" in answer.message) == (409, True), answer


def test_there_is_one_default() -> None:
    bronze, gold = create("bronze", is_default=True), create("gold")
    for answer in (send("POST", body={"policy": {**GOLD, "name": "x", "is_default": True}}),
                   send("PUT", f"/{gold}", {"policy": {"is_default": True}})):
        assert (answer.status, "bronze" in answer.message) == (409, True), answer
    assert send("PUT", f"/{bronze}", {"policy": {"is_default": False}}).status == 200
    assert send("PUT", f"/{gold}", {"policy": {"is_default": True}}).status == 200
    assert (shown(bronze)["is_default"], shown(gold)["is_default"]) == (False, True)


def test_a_change_of_any_part() -> None:
    policy = create(**GOLD)
    for number, change in enumerate((
            {"description": "new"}, {"settings": {"memory": 300}}, {"settings": {}},
            {"is_default": True},
            {"description": "", "settings": {"cpu_priority": 5}, "is_default": False}), 2):
        before = shown(policy)
        answer = send("PUT", f"/{policy}", {"policy": change})
        assert answer.status == 200, answer
        assert answer.body["policy"] == shown(policy) == {**before, **change, "revision": number}
    assert send("PUT", f"/{policy}", {"policy": {"name": "silver"}}).status == 400
    assert shown(policy)["name"] == "Gold"


@pytest.mark.parametrize("policy", [
    "7", "0", "-1", "x", "01", "1e3", "9" * 15, "9" * 400, "%D9%A1", "Gold", "%00"])
def test_a_policy_that_is_none(policy: str) -> None:
    create()
    for method, path, body in (
            ("GET", "", None), ("PUT", "", {"policy": {"description": "x"}}), ("DELETE", "", None),
            ("PUT", "/projects/abc", None), ("DELETE", "/projects/abc", None)):
        answer = send(method, f"/{policy}{path}", body)
        assert answer.status == 404, answer
        assert "GET /os-qos-policies lists them" in answer.message


def test_what_the_caller_has_is_not_sent_again() -> None:
    policy = create()
    for path, others in (("", True), (f"/{policy}", False), ("/for-agents", True)):
        tag = send("GET", path).headers["ETag"]
        for text in (tag, f"W/{tag}", f'"x", {tag}', "*", f'{tag[:-1]}-gzip"'):
            answer = send("GET", path, If_None_Match=text)
            assert (answer.status, answer.body, answer.headers["ETag"]) == (304, None, tag)
        assert send("GET", path, If_None_Match='"x-1"').status == 200
        create(f"other{len(path)}")
        assert send("GET", path, If_None_Match=tag).status == (200 if others else 304)
    tag = send("GET", f"/{policy}").headers["ETag"]
    assert send("GET", f"/{policy}?in_use=true", If_None_Match=tag).status == 200
    send("PUT", f"/{policy}", {"policy": {"description": "new"}})
    assert send("GET", f"/{policy}", If_None_Match=tag).status == 200


def test_a_change_of_what_somebody_else_has_changed() -> None:
    policy = create()
    seen = send("GET", f"/{policy}").headers["ETag"]
    change = {"policy": {"description": "mine"}}
    assert send("PUT", f"/{policy}", change, If_Match=seen).status == 200
    other_base = '"00000000-0000-0000-0000-000000000000-2"'
    for method, body in (("PUT", change), ("DELETE", None)):
        for stale in (seen, f"W/{seen}", other_base, '"2"', "x"):
            answer = send(method, f"/{policy}", body, If_Match=stale)
            assert answer.status == 412, answer
            assert "Gold has revision 2 by now" in answer.message
    assert shown(policy)["revision"] == 2
    now = send("GET", f"/{policy}").headers["ETag"]
    assert send("PUT", f"/{policy}", change, If_Match=f'"a", {now}').status == 200
    assert send("PUT", f"/{policy}", change, If_Match="*").status == 200
    now = send("GET", f"/{policy}").headers["ETag"]
    assert send("DELETE", f"/{policy}", If_Match=f'W/"{now[1:-1]}-gzip"').status == 204


def test_what_nobody_uses_is_deleted() -> None:
    policy = create()
    answer = send("DELETE", f"/{policy}")
    assert (answer.status, answer.body) == (204, None)
    assert send("GET", f"/{policy}").status == 404
    assert send("DELETE", f"/{policy}").status == 404
    assert create() != policy


def test_projects() -> None:
    gold, silver = create("gold"), create("silver")
    for _ in range(2):
        assert send("PUT", f"/{gold}/projects/{PROJECT_ID}").status == 204
    assert send("PUT", f"/{gold}/projects/other-1", {}).status == 204
    assert shown(gold)["projects"] == sorted([PROJECT_ID, "other-1"])
    assert send("PUT", f"/{silver}/projects/other-1").status == 204
    assert (shown(gold)["projects"], shown(silver)["projects"]) == ([PROJECT_ID], ["other-1"])
    answer = send("DELETE", f"/{gold}/projects/other-1")
    assert (answer.status, "other-1" in answer.message) == (404, True), answer
    assert send("DELETE", f"/{silver}/projects/other-1").status == 204
    assert shown(silver)["projects"] == []
    assert shown(gold)["revision"] == 1


@pytest.mark.parametrize("project", [
    "a" * 256, "a.b", "a%20b", "%00", "%F0%9F%A5%87", "a%3Bb", "'"])
def test_projects_that_are_none(project: str) -> None:
    policy = create()
    for method in ("PUT", "DELETE"):
        answer = send(method, f"/{policy}/projects/{project}")
        assert (answer.status, "project: " in answer.message) == (400, True), answer
    assert ADMIN.request("PUT", f"{PATH}/{policy}/projects/a", '{"x": 1}').status == 400
    assert ADMIN.request("PUT", f"{PATH}/{policy}/projects/a", "[]").status == 400
    assert shown(policy)["projects"] == []


def test_who_sees_which() -> None:
    bronze, gold, iron = create("bronze", is_default=True), create("gold"), create("iron")
    assert send("PUT", f"/{gold}/projects/{PROJECT_ID}").status == 204
    for caller, seen in ((ADMIN, {bronze, gold, iron}), (READER, {bronze, gold}),
                         (MEMBER, {bronze, gold}), (STRANGER, {bronze})):
        found = send("GET", caller=caller).body["policies"]
        assert {each["id"] for each in found} == seen
        for policy in (bronze, gold, iron):
            answer = send("GET", f"/{policy}", caller=caller)
            assert answer.status == (200 if policy in seen else 404)
        assert names(caller, "?name=iron") == (["iron"] if iron in seen else [])
    hidden = send("GET", f"/{iron}", caller=READER).message
    assert hidden.replace(iron, "7") == send("GET", "/7", caller=READER).message
    answer = send("GET", f"/{gold}?in_use=true", caller=READER)
    assert set(answer.body) == {"policy"}
    assert set(answer.body["policy"]) == {
        "id", "name", "description", "settings", "revision", "is_default"}
    assert send("PUT", f"/{gold}", {"policy": {"is_default": True}}, caller=READER).status == 403


def test_an_administrator_needs_no_project() -> None:
    create()
    assert names(ADMIN.using(project="")) == ["Gold"]


@pytest.mark.parametrize("prefix", ["/v2", "/v2.1", f"/v2.1/{PROJECT_ID}"])
def test_every_way_to_write_the_url(prefix: str) -> None:
    caller = ADMIN.using(prefix=prefix)
    policy = create()
    assert send("PUT", f"/{policy}/projects/abc", caller=caller).status == 204
    assert shown(policy, caller)["projects"] == ["abc"]
    assert ADMIN.using(prefix=prefix).request("GET", "/flavors").status == 200


def test_other_changes_of_the_database_are_seen() -> None:
    policy = create()
    assert shown(policy)["revision"] == 1
    # as another process of the API would
    Store(nova.conf.CONF).update(int(policy), {"description": "theirs"}, 1)
    assert shown(policy)["description"] == "theirs"


def test_no_agent_hears_of_another_description(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    # those of tests before
    eventually(lambda: "qos-hint" not in {each.name for each in threading.enumerate()})
    monkeypatch.setattr(cloud.agents["compute"].manager.policies, "hint", heard.append)
    policy = create()
    eventually(lambda: len(heard) == 1)
    assert send("PUT", f"/{policy}", {"policy": {"description": "other words"}}).status == 200
    # what follows is heard of, and after what came before
    for fields in ({"settings": {"memory": 64}}, {"is_default": True, "description": "x"}):
        assert send("PUT", f"/{policy}", {"policy": fields}).status == 200
        now = store().version()[1]
        eventually(lambda now=now: now in heard)  # type: ignore[misc]
    assert len(heard) == 3
