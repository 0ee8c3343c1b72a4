# SPDX-License-Identifier: Apache-2.0
"""Policies reach running servers: by assignment, by an edit, and on both hosts."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nova_qos.agent.locks import locked
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, MEMBER
from tests.functional.cloud import HOOKS, Cloud, Server, eventually
from tests.functional.policies import assign, create, edit, send
from tests.functional.policies import held as shown

pytestmark = pytest.mark.usefixtures("policies")
GOLD = {"memory": "75%", "io_priority": 700, "net_priority": 5}


def sources(server: Server) -> dict[str, str]:
    return {name: row["source"] for name, row in shown(server).items() if row["source"] != "none"}


@pytest.fixture
def gold() -> str:
    return create("gold", settings=GOLD)


@pytest.fixture
def at_end(server: Server) -> Iterator[None]:
    yield
    ADMIN.act(server, "set-qos", {"policy": None})


def test_an_assigned_policy_is_in_force_when_the_request_is_answered(
    server: Server, gold: str
) -> None:
    answer = assign(server, "GOLD")
    assert answer.status == 200, answer
    held = server.domain.held()
    assert (held["memory"], held["io_priority"], held["net_priority"]) == (384, 700, 5)
    row = answer.body["memory"]
    assert (row["requested"], row["applied"], row["source"], row["policy_revision"],
            row["state"]) == (384, 384, "policy gold", 1, "applied")
    assert shown(server) == {**shown(server), **answer.body}
    assert sources(server) == dict.fromkeys(GOLD, "policy gold")
    # by its id, and once more
    assert assign(server, gold).status == 200


def test_own_settings_come_first_and_fall_back(server: Server, gold: str) -> None:
    assert assign(server, "gold", io_priority=300).status == 200
    assert server.domain.held()["io_priority"] == 300
    assert sources(server)["io_priority"] == "server"
    assert ADMIN.act(server, "set-qos", {"io_priority": None}).status == 200
    assert server.domain.held()["io_priority"] == 700
    assert sources(server)["io_priority"] == "policy gold"


def test_none_of_its_own_overrules_the_policy(server: Server, gold: str) -> None:
    assert assign(server, "gold").status == 200
    answer = ADMIN.act(server, "set-qos", {"net_priority": -1})
    assert answer.status == 200, answer
    assert server.domain.held()["net_priority"] == -1
    row = shown(server)["net_priority"]
    assert (row["requested"], row["source"], row["state"]) == (-1, "server", "applied")
    assert ADMIN.act(server, "set-qos", {"net_priority": None}).status == 200
    assert server.domain.held()["net_priority"] == 5


@pytest.mark.parametrize("action", ["set-qos", "set-net-priority"])
def test_none_is_a_setting_whatever_policies_there_will_be(server: Server, action: str) -> None:
    key = "net_priority" if action == "set-qos" else TABLE["net_priority"].names.key
    assert ADMIN.act(server, action, {key: -1}).status == 200
    row = shown(server)["net_priority"]
    assert (row["requested"], row["source"], row["state"]) == (-1, "server", "applied")
    assert server.saved() == {"net_priority": -1}
    gold = create("gold", settings={"io_priority": 700}, is_default=True)
    eventually(lambda: server.domain.held()["io_priority"] == 700)
    edit(gold, settings={"io_priority": 800, "net_priority": 5})
    eventually(lambda: server.domain.held()["io_priority"] == 800)
    assert server.domain.held()["net_priority"] == -1
    assert sources(server)["net_priority"] == "server"


def test_without_policies_none_is_no_setting(
    server: Server, database: Callable[[str | None], None]
) -> None:
    database(None)
    assert ADMIN.act(server, "set-qos", {"net_priority": -1}).status == 200
    assert sources(server) == {}
    assert server.saved() == {}


def test_none_holds_while_the_policies_cannot_be_seen(
    server: Server, database: Callable[[str | None], None], tmp_path: Path
) -> None:
    create("gold", settings={"net_priority": 5}, is_default=True)
    eventually(lambda: server.domain.held()["net_priority"] == 5)
    database(f"sqlite:///{tmp_path / 'empty'}")
    assert ADMIN.act(server, "set-qos", {"net_priority": -1}).status == 200
    assert server.saved() == {"net_priority": -1}
    assert server.domain.held()["net_priority"] == -1


def test_a_setting_that_was_saved_meanwhile_stays(server: Server, gold: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        with locked(server.uuid, time.monotonic() + 10):
            # it has loaded the server, and waits for the agent's turn
            setting = pool.submit(assign, server, "gold")
            time.sleep(0.5)
            server.keep(io_priority=300)
        assert setting.result().status in (200, 202)
    assert server.saved()["io_priority"] == 300
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.domain.held()["io_priority"] == 300)
    assert sources(server)["io_priority"] == "server"
    assert server.domain.held()["memory"] == 384


def test_leaving_a_policy_resets_what_it_gave(server: Server, gold: str) -> None:
    before = server.domain.held()
    assert assign(server, "gold").status == 200
    answer = assign(server, None)
    assert answer.status == 200, answer
    eventually(lambda: server.domain.held() == before)
    assert sources(server) == {}
    eventually(lambda: server.lifted() == set())


def test_a_server_that_opts_out(server: Server, gold: str) -> None:
    before = server.domain.held()
    edit(gold, is_default=True)
    eventually(lambda: server.domain.held()["io_priority"] == 700)
    assert assign(server, "none").status == 200
    eventually(lambda: server.domain.held() == before)
    assert assign(server, None).status == 200
    eventually(lambda: server.domain.held()["io_priority"] == 700)
    edit(gold, is_default=False)
    eventually(lambda: server.domain.held() == before)


def test_an_edit_reaches_servers_of_both_hosts(
    server: Server, boot: Callable[..., Server], gold: str
) -> None:
    other = boot("second")
    for each in server, other:
        assert assign(each, "gold").status == 200
    edit(gold, settings={"io_priority": 800, "cpu_priority": "512/vcpu"})
    for each in server, other:
        eventually(lambda each=each: each.domain.held()["io_priority"] == 800)  # type: ignore[misc]
        # what the policy names no more is taken back
        eventually(lambda each=each: (  # type: ignore[misc]
            each.domain.held()["memory"], each.domain.held()["net_priority"],
            each.domain.held()["cpu_priority"]) == (512, -1, 512))
        assert sources(each) == {"io_priority": "policy gold", "cpu_priority": "policy gold"}
        assert shown(each)["io_priority"]["policy_revision"] == 2


def test_a_project_and_a_default(server: Server, gold: str) -> None:
    bronze = create("bronze", settings={"io_priority": 200, "cpu_priority": 300}, is_default=True)
    eventually(lambda: server.domain.held()["io_priority"] == 200)
    assert sources(server)["io_priority"] == "default policy bronze"
    project = server.instance().project_id
    assert send("PUT", f"/{gold}/projects/{project}").status == 204
    eventually(lambda: server.domain.held()["io_priority"] == 700)
    # for each resource the first that names it
    assert sources(server) == {**dict.fromkeys(GOLD, "policy gold"),
                               "cpu_priority": "default policy bronze"}
    assert send("DELETE", f"/{gold}/projects/{project}").status == 204
    eventually(lambda: server.domain.held()["io_priority"] == 200)
    edit(bronze, is_default=False)
    eventually(lambda: server.domain.held()["io_priority"] == 100)


def test_a_flavors_policy(fresh: Server, gold: str) -> None:
    instance = fresh.instance()
    instance.flavor.extra_specs["qos:policy"] = "Gold"
    instance.save()
    fresh.restart()
    eventually(lambda: fresh.domain.held()["io_priority"] == 700)
    assert sources(fresh)["memory"] == "policy gold"


def test_a_flavor_that_names_nothing_takes_no_other_policy_away(fresh: Server, gold: str) -> None:
    instance = fresh.instance()
    instance.flavor.extra_specs["qos:policy"] = "goldd"
    instance.save()
    assert assign(fresh, "gold").status == 200
    rows = shown(fresh)
    assert (rows["io_priority"]["applied"], rows["io_priority"]["source"]) == (700, "policy gold")
    assert rows["io_limit"]["reason"] == "the flavor names policy 'goldd', which does not exist"


def test_a_policy_that_is_not_known_resets_nothing(fresh: Server, gold: str) -> None:
    assert assign(fresh, "gold").status == 200
    instance = fresh.instance()
    instance.system_metadata["qos:policy"] = "7"
    instance.save()
    fresh.machine.happened(fresh.uuid, "changed")
    row = shown(fresh)["io_priority"]
    assert (row["applied"], row["state"], row["source"]) == (700, "pending", "unknown")
    assert row["reason"].startswith("policy 7 is assigned, which is not known here")
    assert row["reason"].endswith("; the host keeps what it has")


def test_a_restart_gets_it_again(server: Server, gold: str) -> None:
    assert assign(server, "gold").status == 200
    server.restart()
    eventually(lambda: server.domain.held()["memory"] == 384)
    assert sources(server) == dict.fromkeys(GOLD, "policy gold")


def test_while_the_agent_is_away(
    cloud: Cloud, boot: Callable[..., Server], gold: str, option: Callable[[str, object], None]
) -> None:
    option("rpc_timeout", 1)
    halted = boot("halted")
    answer = assign(halted, "gold")
    assert answer.status == 202, answer
    assert answer.body["memory"]["requested"] == 384
    agent = cloud.start_agent("halted")
    try:
        eventually(lambda: halted.domain.held()["memory"] == 384)
    finally:
        agent.stop()


def test_of_many_servers_at_once(
    server: Server, boot: Callable[..., Server], gold: str
) -> None:
    other = boot("second")
    changes = [{"server": each.uuid, "settings": {"policy": "gold", "cpu_priority": 2000}}
               for each in (server, other)]
    answer = ADMIN.request("POST", "/os-qos", json.dumps({"changes": changes}))
    assert answer.status == 200, answer
    for each, result in zip((server, other), answer.body["results"], strict=True):
        assert each.domain.held()["memory"] == 384
        assert result["qos"]["memory"]["source"] == "policy gold"
        assert result["qos"]["cpu_priority"]["source"] == "server"
    refused = ADMIN.request("POST", "/os-qos", json.dumps(
        {"changes": changes, "together": True}))
    assert (refused.status, "policy cannot be changed together" in refused.message) == (400, True)


def test_a_guarantee_above_the_servers_own_limit_is_cut(server: Server) -> None:
    create("sure", settings={"cpu_guarantee": 60})
    assert assign(server, "sure", cpu_limit=40).status == 200
    row = shown(server)["cpu_guarantee"]
    assert (row["requested"], row["applied"], row["effective"]) == (60, 40, False)
    assert "policy sure asks for 60" in row["reason"]
    assert row["reason"] == ("policy sure asks for 60 percent of one CPU, reduced to 40 percent of "
                             "one CPU, the server's cpu_limit")


@pytest.mark.parametrize("policy", ["silver", "", 5, ["gold"], "123"])
def test_what_is_no_policy(server: Server, gold: str, policy: object) -> None:
    answer = ADMIN.act(server, "set-qos", {"policy": policy, "io_priority": 300})
    assert answer.status == 400, answer
    assert server.saved() == {}
    assert server.domain.held()["io_priority"] == 100


def test_who_may_assign(server: Server, gold: str) -> None:
    answer = MEMBER.act(server, "set-qos", {"policy": "gold"})
    assert (answer.status, "os-qos:policies:assign" in answer.message) == (403, True), answer


def test_without_a_database(
    server: Server, gold: str, database: Callable[[str | None], None]
) -> None:
    database(None)
    answer = assign(server, "gold")
    assert (answer.status, "[nova_qos_database] connection" in answer.message) == (501, True)
    assert ADMIN.act(server, "set-qos", {"io_priority": 300}).status == 200
    assert set(shown(server)) == set(TABLE)


def test_a_hook_is_a_source_of_its_own_below_policies(
    boot: Callable[..., Server], gold: str
) -> None:
    HOOKS["half"] = lambda server: {"memory": server.flavor.memory_mib // 2}
    try:
        ballooned = boot()
        ballooned.machine.happened(ballooned.uuid, "started")
        eventually(lambda: ballooned.domain.held()["memory"] == 256)
    finally:
        del HOOKS["half"]
    assert sources(ballooned) == {"memory": "hook"}
    assert assign(ballooned, "gold").status == 200
    assert (ballooned.domain.held()["memory"], sources(ballooned)["memory"]) == (
        384, "policy gold")
    assert assign(ballooned, None).status == 200
    eventually(lambda: ballooned.domain.held()["memory"] == 256)
