# SPDX-License-Identifier: Apache-2.0
"""What answers say of policies that are still to come, or that nobody can tell of."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_qos.api.catalog import catalog
from nova_qos.bus import endpoint
from nova_qos.core.errors import DatabaseAway, HostRefused
from nova_qos.policies.store import Store
from nova_qos.resources import TABLE
from tests.functional import cloud as cloud_module
from tests.functional.caller import ADMIN, READER, Answer, Caller
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.policies import assign, create, edit, held
from tests.pace import Stopwatch

pytestmark = pytest.mark.usefixtures("policies")
GOLD = {"io_priority": 700, "net_priority": 5}


@pytest.fixture
def gold() -> str:
    return create("gold", settings=GOLD)


@pytest.fixture
def cut_off(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Lets the API refuse the policies to agents; with it, an agent has asked in vain."""
    def cut() -> None:
        monkeypatch.setattr(cloud_module, "SERVICE", Caller("nobody", ("other",)))
        for host in ("compute", "second"):
            cloud.agents[host].manager.policies.refresh(10)

    yield cut
    monkeypatch.undo()
    for host in ("compute", "second"):
        cloud.agents[host].manager.policies.refresh(10)


def assign_by(server: Server, policy: str | None, many: bool) -> tuple[int, dict[str, Any]]:
    """The code and the resources that the action answers, or the request for many servers."""
    if not many:
        answer = assign(server, policy)
        return answer.status, answer.body
    answer = change_many({"policy": policy}, server)
    (result,) = answer.body["results"]
    return result["code"], result["qos"]


def change_many(settings: dict[str, Any], *servers: Server) -> Answer:
    answer = ADMIN.request("POST", "/os-qos", json.dumps({"changes": [
        {"server": each.uuid, "settings": settings} for each in servers]}))
    assert answer.status == 200, answer
    return answer


def listed(server: Server, caller: Caller = ADMIN, query: str = "?host=compute") -> dict[str, Any]:
    answer = caller.request("GET", f"/os-qos{query}")
    assert answer.status == 200, answer
    found: dict[str, Any] = next(
        each["qos"] for each in answer.body["servers"] if each["id"] == server.uuid)
    return found


@pytest.mark.parametrize("many", [False, True])
def test_a_policy_that_its_host_cannot_get_is_to_come(
    server: Server, cut_off: Callable[[], None], many: bool
) -> None:
    cut_off()
    create("new", settings=GOLD)
    code, rows = assign_by(server, "new", many)
    assert code == 202
    assert (rows["io_priority"]["requested"], rows["io_priority"]["state"],
            rows["io_priority"]["source"]) == (700, "pending", "policy new")


@pytest.mark.parametrize("policy", ["none", None])
@pytest.mark.parametrize("many", [False, True])
def test_leaving_a_policy_while_the_server_does_not_run_is_to_come(
    server: Server, gold: str, policy: str | None, many: bool
) -> None:
    assert assign(server, "gold").status == 200
    del server.machine.domains[server.uuid]
    assert assign_by(server, policy, many)[0] == 202
    server.restart()
    eventually(lambda: server.lifted() == set())


@pytest.mark.parametrize("settings", [
    {}, GOLD, {"memory": "50%"}, {"memory_guarantee": 64}, {"cpu_guarantee": 20},
    {"io_priority": 100}, {"io_limit": -1}], ids=str)
def test_of_a_server_that_does_not_run_one_and_many_answer_alike(
    server: Server, settings: dict[str, Any]
) -> None:
    """Also of a policy that comes to nothing, or to what no object of a host holds."""
    create("tier", settings=settings)
    del server.machine.domains[server.uuid]
    for policy in ("tier", "tier", "none", None):
        assert [assign_by(server, policy, many)[0] for many in (False, True)] == [202, 202], policy


@pytest.mark.parametrize("policy", ["none", None, "gold"])
def test_without_an_agent_it_is_to_come(
    boot: Callable[..., Server], gold: str, policy: str | None,
    option: Callable[[str, object], None],
) -> None:
    option("rpc_timeout", 1)
    halted = boot("halted")
    for many in (False, True):
        assert assign_by(halted, policy, many)[0] == 202


@pytest.mark.parametrize("policy", ["none", None, "gold"])
def test_what_is_in_force_is_not_to_come(server: Server, gold: str, policy: str | None) -> None:
    assert assign(server, "gold").status == 200
    # nor does it matter what the host refuses for good
    server.domain.refuse = {"cpu_limit"}
    for many in (False, True):
        assert assign_by(server, policy, many)[0] == 200


@pytest.mark.parametrize("url", ["sqlite:///{path}", "no URL", "nothing://there/"])
def test_with_a_database_that_cannot_be_used_nobody_can_tell(
    server: Server, gold: str, database: Callable[[str | None], None], tmp_path: Path, url: str
) -> None:
    assert assign(server, "gold", net_limit=5000).status == 200
    database(url.format(path=tmp_path / "empty"))
    row = held(server)["io_priority"]
    assert (row["requested"], row["applied"], row["state"], row["source"]) == (
        None, 700, "pending", "unknown")
    assert "[nova_qos_database] connection" in row["reason"]
    for found in (listed(server), listed(server, READER, "")):
        assert found["io_priority"]["source"] == "unknown"
        assert "[nova_qos_database] connection" in found["io_priority"]["reason"]
        assert (found["net_limit"]["source"], found["net_limit"]["requested"]) == ("server", 5000)
    assert assign(server, "none").status == 200
    for shown in (held(server), listed(server), listed(server, READER, "")):
        assert (shown["io_priority"]["source"], shown["io_priority"]["reason"]) == ("none", None)


def test_an_edit_that_the_host_has_yet_to_get_is_pending_whatever_it_held(
    server: Server, gold: str, cut_off: Callable[[], None]
) -> None:
    def refuse(name: str, value: int) -> None:
        if value == 800:
            raise HostRefused("no room")

    assert assign(server, "gold").status == 200
    server.domain.before_write = refuse
    edit(gold, settings={"io_priority": 800})
    eventually(lambda: held(server)["io_priority"]["state"] == "refused")
    assert "no room" in held(server)["io_priority"]["reason"]
    cut_off()
    edit(gold, settings={"io_priority": 900, "cpu_priority": 1024})
    for shown in (held(server), listed(server)):
        row = shown["io_priority"]
        assert (row["state"], row["policy_revision"]) == ("pending", 3)
        assert row["reason"].startswith(
            "the host has yet to get revision 3 of policy gold; its agent could not fetch policies "
            "lately (")
        assert row["reason"].endswith(" s old")
        # what is in force already needs no reason
        assert (shown["cpu_priority"]["state"], shown["cpu_priority"]["reason"]) == (
            "applied", None)


def test_users_do_not_read_of_addresses_and_accounts(
    server: Server, gold: str, cut_off: Callable[[], None]
) -> None:
    assert assign(server, "gold").status == 200
    cut_off()
    edit(gold, settings={"io_priority": 900})
    begin = ("the host has yet to get revision 2 of policy gold; its agent could not fetch "
             "policies lately (")
    told = READER.act(server, "get-qos").body["io_priority"]["reason"]
    assert told.startswith(f"{begin}its log says why), its copy is ")
    told = held(server)["io_priority"]["reason"]
    assert told.startswith(begin)
    assert "os-qos:policies:agents" in told


def test_an_agent_that_knows_no_policies_is_too_old_for_them(
    server: Server, gold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assign(server, "gold", net_limit=5000).status == 200
    # as one before 1.5 leaves out what it does not know
    monkeypatch.setattr(endpoint, "_READABLE", frozenset(TABLE))
    for shown in (held(server), listed(server)):
        assert (shown["io_priority"]["state"], shown["io_priority"]["reason"]) == (
            "unsupported", "the host's agent is older than named policies; upgrade it")
        assert (shown["net_limit"]["state"], shown["io_limit"]["state"]) == ("applied", "unset")


def test_no_agent_is_asked_for_policies_without_a_database(
    server: Server, database: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    database(None)
    asked: list[list[str]] = []
    known = endpoint.known

    def noted(names: list[str], partly: bool = False) -> list[str]:
        asked.append(names)
        return known(names, partly)

    monkeypatch.setattr(endpoint, "known", noted)
    held(server)
    listed(server)
    assert [set(names) for names in asked] == [set(TABLE)] * 2


def test_many_servers_cost_one_question(
    boot: Callable[..., Server], server: Server, gold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, asked = [boot() for _ in range(3)], []
    find, this = Store.catalog, threading.current_thread()

    def counted(self: Store) -> Any:
        # an agent may fetch the policies meanwhile
        if threading.current_thread() is this:
            asked.append(self)
        return find(self)

    monkeypatch.setattr(Store, "catalog", counted)
    change_many({"io_priority": 300}, server, *others)
    assert len(asked) == 1
    # one more when all are saved: it may have been deleted
    change_many({"policy": "gold"}, server, *others)
    assert len(asked) == 2 + 1


def test_a_silent_database_is_waited_for_once(
    boot: Callable[..., Server], server: Server, gold: str,
    database: Callable[[str | None], None],
) -> None:
    pytest.importorskip("pymysql")
    others = [boot() for _ in range(3)]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        database(f"mysql+pymysql://user:secret@127.0.0.1:{silent.getsockname()[1]}/nova_qos")
        with Stopwatch() as watch:
            change_many({"io_priority": 300}, server, *others)
        assert watch.seconds < 3.5
        with pytest.raises(DatabaseAway):
            catalog()
        with Stopwatch() as watch:
            for _ in range(3):
                assert held(server)["io_limit"]["source"] == "unknown"
        assert watch.seconds < 1


def test_an_event_tells_the_name_of_the_policy(server: Server, gold: str) -> None:
    for policy, name in ((gold, "gold"), ("none", "none"), (None, "None")):
        assert assign(server, policy, io_limit=500).status == 200
        path = f"/servers/{server.uuid}/os-instance-actions"
        newest = ADMIN.request("GET", path).body["instanceActions"][0]
        shown = ADMIN.using(microversion="2.84").request(
            "GET", f"{path}/{newest['request_id']}").body["instanceAction"]
        words = shown["events"][0]["event"].split()
        assert set(words) == {"qos", f"policy={name}", "io_limit=500"}
