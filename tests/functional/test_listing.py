# SPDX-License-Identifier: Apache-2.0
"""The settings of many servers in one request a page, of a project and of a compute host."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import oslo_messaging as messaging
import pytest
from nova import context, objects
from nova.compute import instance_list
from nova.tests.fixtures import DownCellFixture
from nova.tests.fixtures.nova import PROJECT_ID
from oslo_db.exception import DBError

from nova_qos.bus import wire
from nova_qos.bus.client import AgentClient
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, MEMBER, READER, STRANGER, Answer, Caller
from tests.functional.cloud import MACHINES, Cloud, FakeAgent, Server
from tests.functional.values import FLAVOR_MIB, SETTINGS

#: Its agent has stopped; each test starts the one that it needs.
HOST = "halted"
Make = Callable[..., list[str]]
Boot = Callable[..., Server]


class CountingAgent(FakeAgent):
    """Counts what it is asked."""

    asked: ClassVar[list[str]] = []

    def read(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.append("read")
        return super().read(*args, **kwargs)

    def read_many(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.append("read_many")
        return super().read_many(*args, **kwargs)


class OldAgent(FakeAgent):
    """Knows what the first agents knew."""

    target = messaging.Target(version="1.0")


@pytest.fixture
def start(cloud: Cloud) -> Iterator[Callable[[type[FakeAgent]], None]]:
    """Runs such an agent on HOST, in place of the one that stopped there."""
    started: list[Any] = []

    def start(kind: type[FakeAgent]) -> None:
        started.append(cloud.start_service(
            "qos-agent", host=HOST, topic=wire.TOPIC, manager=f"{kind.__module__}.{kind.__name__}"))

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def messages(start: Callable[[type[FakeAgent]], None]) -> list[str]:
    """What the agent on HOST is asked."""
    start(CountingAgent)
    # first what others asked while no agent was there
    AgentClient().read_many(context.get_admin_context(), HOST, [str(uuid.uuid4())], [])
    CountingAgent.asked.clear()
    return CountingAgent.asked


@pytest.fixture
def make(cloud: Cloud) -> Iterator[Make]:
    """Makes running servers faster than nova does, though nova knows them as its own."""
    admin = context.get_admin_context()
    flavor = objects.Flavor.get_by_name(admin, "m1.tiny")
    made: list[Any] = []

    def make(count: int, host: str = HOST, project: str = PROJECT_ID) -> list[str]:
        for number in range(count):
            instance = objects.Instance(
                admin, uuid=str(uuid.uuid4()), host=host, display_name=f"server-{number}",
                project_id=project, user_id="user", vm_state="active", task_state=None,
                flavor=flavor, memory_mb=flavor.memory_mb, vcpus=1, root_gb=0, ephemeral_gb=0,
                instance_type_id=flavor.id, system_metadata={})
            instance.create()
            mapping = objects.InstanceMapping(
                admin, instance_uuid=instance.uuid, project_id=project,
                cell_mapping=cloud.cell_mappings["cell1"])
            mapping.create()
            MACHINES[host].add(instance.uuid, FLAVOR_MIB * 1024)
            made.extend((instance, mapping))
        return [each.uuid for each in made[-2 * count::2]]

    yield make
    for each in made:
        each.destroy()


@pytest.fixture
def waiting() -> Iterator[Callable[[int], list[str]]]:
    """Makes servers that nova has yet to place, so that no cell has them."""
    made: list[Any] = []

    def make(count: int) -> list[str]:
        admin = context.get_admin_context()
        flavor = objects.Flavor.get_by_name(admin, "m1.tiny")
        for number in range(count):
            instance = objects.Instance(
                admin, uuid=str(uuid.uuid4()), display_name=f"to come {number}",
                project_id=PROJECT_ID, user_id="user", vm_state="building", flavor=flavor,
                memory_mb=flavor.memory_mb, vcpus=1, instance_type_id=flavor.id,
                system_metadata={})
            made.append(objects.BuildRequest(
                admin, instance_uuid=instance.uuid, project_id=PROJECT_ID, instance=instance))
            made[-1].create()
        return [each.instance_uuid for each in made[-count:]]

    yield make
    for each in made:
        each.destroy()


def ask(caller: Caller, query: str = "") -> Answer:
    return caller.request("GET", f"/os-qos{query}")


def servers(caller: Caller, query: str = "") -> dict[str, Any]:
    """What is listed on one page, by id."""
    answer = ask(caller, query)
    assert answer.status == 200, answer
    return {each["id"]: each for each in answer.body["servers"]}


def pages(caller: Caller, query: str = "", most: int = 1000) -> list[list[str]]:
    """The ids on each page, the links followed to the end, which comes within ``most`` pages."""
    found: list[list[str]] = []
    while True:
        assert len(found) < most, "the pages have no end"
        answer = ask(caller, query)
        assert answer.status == 200, answer
        found.append([each["id"] for each in answer.body["servers"]])
        if "servers_links" not in answer.body:
            return found
        (link,) = answer.body["servers_links"]
        assert link["rel"] == "next"
        before, path, query = link["href"].partition("/os-qos")
        assert path, link
        assert before.endswith(caller.prefix)


def of_nova(caller: Caller) -> list[str]:
    return [each["id"] for each in caller.request("GET", "/servers").body["servers"]]


@pytest.mark.parametrize("prefix", ["/v2.1", f"/v2.1/{PROJECT_ID}", "/v2"])
def test_pages_of_a_project(make: Make, server: Server, prefix: str) -> None:
    """Each server once, in the order of nova's own list."""
    make(3), make(2, "silent")
    caller = READER.using(prefix=prefix)
    expected = of_nova(caller)
    assert len(expected) >= 6
    for limit in (1, 2, 4):
        found = pages(caller, f"?limit={limit}")
        assert [each for page in found for each in page] == expected
        assert all(len(page) == limit for page in found[:-1])
        assert len(found[-1]) < limit


def test_pages_of_a_host(make: Make, messages: list[str]) -> None:
    """201 servers: one question a page to the agent, not one a server."""
    expected = make(201)
    found = pages(ADMIN, f"?host={HOST}")
    assert [len(page) for page in found] == [100, 100, 1]
    assert sorted(each for page in found for each in page) == sorted(expected)
    assert messages == ["read_many"] * 3
    for query in (f"?host={HOST}&limit=1000", "?limit=1000"):
        assert len(servers(ADMIN, query)) == 100
    assert messages == ["read_many"] * 4


def test_a_marker_that_moved_away(make: Make, messages: list[str]) -> None:
    make(3)
    first, second, third = pages(ADMIN, f"?host={HOST}")[0]
    instance = objects.Instance.get_by_uuid(context.get_admin_context(), second)
    instance.host = "silent"
    instance.save()
    assert pages(ADMIN, f"?host={HOST}&marker={second}") == [[third]]
    assert pages(ADMIN, f"?host={HOST}") == [[first, third]]


def test_a_project_is_told_what_is_saved_and_no_agent_is_asked(
    boot: Boot, messages: list[str]
) -> None:
    server, other = boot(HOST), boot("silent")
    server.keep(**SETTINGS)
    other.keep(memory=400)
    found = servers(READER)
    for name, row in TABLE.items():
        shown = ADMIN.act(server, "get-qos").body[name]
        assert found[server.uuid]["qos"][name] == {
            key: shown[key] for key in (
                "requested", "unit", "range", "default", "source", "policy_revision")} | {
                    "reason": None}
        assert found[server.uuid]["qos"][name]["requested"] == SETTINGS[row.name]
    assert {name: each["requested"] for name, each in found[other.uuid]["qos"].items()} == (
        dict.fromkeys(TABLE) | {"memory": 400})
    shown = ADMIN.request("GET", f"/servers/{server.uuid}").body["server"]
    assert found[server.uuid] == {
        "id": server.uuid, "name": shown["name"], "host": None, "vcpus": 1,
        "memory_mib": FLAVOR_MIB, "project_id": shown["tenant_id"], "status": shown["status"],
        "qos": found[server.uuid]["qos"]}
    assert shown["status"] == "ACTIVE"
    assert set(messages) == {"read"}
    assert "host" not in ask(READER).body


def test_hosts_are_for_those_who_may_list_them(boot: Boot) -> None:
    server, other = boot(HOST), boot("silent")
    found = servers(ADMIN)
    assert (found[server.uuid]["host"], found[other.uuid]["host"]) == (HOST, "silent")
    for caller in (READER, MEMBER):
        assert {each["host"] for each in servers(caller).values()} == {None}


def test_another_projects_servers_are_not_listed(server: Server, make: Make) -> None:
    (strange,) = make(1, "compute", STRANGER.project)
    assert strange not in servers(READER)
    assert strange not in servers(ADMIN)
    assert list(servers(STRANGER)) == [strange]
    assert list(servers(ADMIN.using(project=STRANGER.project))) == [strange]
    assert {strange, server.uuid} <= servers(ADMIN, "?host=compute").keys()
    # nova's own list takes any server as a marker, too
    assert servers(STRANGER, f"?marker={server.uuid}").keys() <= {strange}


def test_servers_in_a_cell_that_is_down(cloud: Cloud, make: Make, server: Server) -> None:
    """None is left out: each is listed once, after all that are known."""
    lost, strange = {server.uuid, *make(4)}, make(1, project=STRANGER.project)
    nothing = {"requested": None, "range": None, "default": None}
    with DownCellFixture([cloud.cell_mappings["cell1"]]):
        for query in ("", "?limit=1", "?limit=2", "?limit=100"):
            found = servers(READER, query)
            assert lost <= found.keys() - set(strange)
            assert found[server.uuid] == {
                "id": server.uuid, "name": None, "host": None, "vcpus": None, "memory_mib": None,
                "project_id": None, "status": "UNKNOWN", "qos": {
                    name: {**nothing, "unit": row.unit.name} for name, row in TABLE.items()}}
        assert "servers_links" not in ask(READER, "?limit=1").body
    assert {each["status"] for each in servers(READER).values()}.isdisjoint({"UNKNOWN"})


def test_a_cell_that_is_down_beside_servers_that_are_known(
    cloud: Cloud, make: Make, waiting: Callable[[int], list[str]]
) -> None:
    lost, known = set(make(3)), waiting(3)
    with DownCellFixture([cloud.cell_mappings["cell1"]]):
        for limit in (1, 2, 3, 4, 100):
            found = [each for page in pages(READER, f"?limit={limit}") for each in page]
            assert set(found[:3]) == set(known)
            assert lost <= set(found[3:])
            assert len(set(found)) == len(found)


def test_a_server_that_nova_has_not_placed_yet(server: Server) -> None:
    admin = context.get_admin_context()
    flavor = objects.Flavor.get_by_name(admin, "m1.tiny")
    instance = objects.Instance(
        admin, uuid=str(uuid.uuid4()), display_name="to come", project_id=PROJECT_ID,
        user_id="user", vm_state="building", flavor=flavor, memory_mb=flavor.memory_mb,
        vcpus=1, instance_type_id=flavor.id, system_metadata={})
    request = objects.BuildRequest(
        admin, instance_uuid=instance.uuid, project_id=PROJECT_ID, instance=instance)
    request.create()
    try:
        found = servers(ADMIN)
        assert (found[instance.uuid]["name"], found[instance.uuid]["host"]) == ("to come", None)
        assert found[instance.uuid]["qos"]["memory"]["requested"] is None
        every = pages(ADMIN, "?limit=1")
        assert [page[0] for page in every[:-1]] == list(found)
    finally:
        request.destroy()


@pytest.mark.parametrize("page", [1, 2])
def test_a_cell_that_fails_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """No server is left out, and none comes back as unknown."""
    made, asked = make(3), list[object]()
    get_by_filters = instance_list.InstanceLister.get_by_filters

    def fails_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(None)
        # each page asks both cells
        if len(asked) in (2 * page - 1, 2 * page) and not failed:
            failed.append(None)
            raise DBError("database is locked")
        return get_by_filters(self, *args, **kwargs)

    failed: list[None] = []
    expected = of_nova(READER)
    assert set(made) <= set(expected)
    monkeypatch.setattr(instance_list.InstanceLister, "get_by_filters", fails_once)
    found = pages(READER, "?limit=2")
    assert failed
    assert [each for each_page in found for each in each_page] == expected


@pytest.fixture
def left_behind() -> Iterator[Callable[[str], None]]:
    """Leaves the build request of a server that runs, as nova does when it cannot delete it
    ("database is locked")."""
    made: list[Any] = []

    def leave(server_uuid: str) -> None:
        admin = context.get_admin_context()
        flavor = objects.Flavor.get_by_name(admin, "m1.tiny")
        instance = objects.Instance(
            admin, uuid=server_uuid, display_name="placed", project_id=PROJECT_ID,
            user_id="user", vm_state="building", flavor=flavor, memory_mb=flavor.memory_mb,
            vcpus=1, instance_type_id=flavor.id, system_metadata={})
        made.append(objects.BuildRequest(
            admin, instance_uuid=server_uuid, project_id=PROJECT_ID, instance=instance))
        made[-1].create()

    yield leave
    for each in made:
        each.destroy()


@pytest.mark.parametrize("which", [[0], [1], [3], [0, 2], [1, 3], [0, 1, 2, 3]], ids=str)
def test_servers_whose_build_requests_were_left(
    make: Make, left_behind: Callable[[str], None], waiting: Callable[[int], list[str]],
    which: list[int],
) -> None:
    """The pages have an end, and each server once."""
    made, coming = make(4), waiting(1)
    for number in which:
        left_behind(made[number])
    expected = {*of_nova(READER)}
    assert {*made, *coming} <= expected
    for limit in (1, 2, 3, 100):
        found = pages(READER, f"?limit={limit}", most=len(expected) + 1)
        assert all(len(page) == limit for page in found[:-1])
        listed = [each for page in found for each in page]
        assert len(listed) == len(expected)
        assert set(listed) == expected


def test_a_host_tells_of_each_server_what_get_qos_tells(boot: Boot, messages: list[str]) -> None:
    busy, idle = boot(HOST), boot(HOST)
    idle.domain.io_reason = "no disk of the server has an I/O scheduler that knows weights"
    idle.domain.soft_limit_kib = 100 * 1024
    idle.domain.driver = False
    busy.domain.cannot = {"cpu_priority"}
    assert ADMIN.act(busy, "set-qos", {"memory": 300, "net_priority": 20}).status == 200
    idle.keep(cpu_priority=77)
    del messages[:]
    answer = ask(ADMIN, f"?host={HOST}")
    assert messages == ["read_many"]
    found = {each["id"]: each for each in answer.body["servers"]}
    assert found.keys() == {busy.uuid, idle.uuid}
    for server in (busy, idle):
        listed = found[server.uuid]["qos"]
        weights = {name: each.pop("weight") for name, each in listed.items()}
        assert listed == ADMIN.act(server, "get-qos").body
        assert (found[server.uuid]["host"], found[server.uuid]["memory_mib"]) == (HOST, FLAVOR_MIB)
        assert listed["memory"]["applied"] * 1024 == server.domain.actual_kib
        assert listed["io_priority"]["applied"] == server.domain.weight
        assert listed["net_priority"]["applied"] == server.domain.net["net_priority"]
        assert weights == dict.fromkeys(TABLE) | {
            "cpu_priority": 1024 if server is idle else None,
            "io_priority": 100 if server is busy else None,
            "net_priority": 79 if server is busy else 50}
    assert found[busy.uuid]["qos"]["cpu_priority"]["state"] == "unsupported"
    assert found[idle.uuid]["qos"]["cpu_priority"]["state"] == "drifted"
    node = objects.ComputeNode.get_first_node_by_host_for_old_compat(
        context.get_admin_context(), HOST)
    assert answer.body["host"] == {
        "name": HOST, "vcpus": node.vcpus, "memory_mib": node.memory_mb}
    assert node.vcpus > 1


def test_no_network_weight_while_no_server_has_a_priority(
    make: Make, messages: list[str]
) -> None:
    MACHINES[HOST].domains.clear()
    (server,) = make(1)
    assert servers(ADMIN, f"?host={HOST}")[server]["qos"]["net_priority"]["weight"] is None


def test_a_server_that_does_not_run_beside_one_that_does(
    boot: Boot, messages: list[str]
) -> None:
    stopped, running = boot(HOST), boot(HOST)
    stopped.keep(**SETTINGS)
    del stopped.machine.domains[stopped.uuid]
    found = servers(ADMIN, f"?host={HOST}")
    for name, each in found[stopped.uuid]["qos"].items():
        assert each.pop("weight") is None
        assert each == ADMIN.act(stopped, "get-qos").body[name]
        assert (each["applied"], each["state"], each["reason"]) == (
            None, "pending", "the server is not running")
    assert found[running.uuid]["qos"]["cpu_priority"]["applied"] == running.domain.shares


@pytest.mark.parametrize("host", ["silent", "halted"])
def test_a_host_without_an_agent(
    boot: Boot, option: Callable[[str, object], None], host: str
) -> None:
    option("rpc_timeout", 1)
    server = boot(host)
    server.keep(**SETTINGS)
    answer = ask(ADMIN, f"?host={host}")
    assert (answer.status, answer.body["host"]["name"]) == (200, host)
    (listed,) = answer.body["servers"]
    for name, each in listed["qos"].items():
        assert (each["requested"], each["applied"], each["weight"]) == (SETTINGS[name], None, None)
        assert (each["state"], each["effective"]) == ("pending", False)
        assert f"nova-qos-agent on host {host}" in each["reason"]


def test_a_host_where_libvirt_is_away(boot: Boot, messages: list[str]) -> None:
    server = boot(HOST)
    server.machine.away = True
    try:
        listed = servers(ADMIN, f"?host={HOST}")[server.uuid]["qos"]
    finally:
        server.machine.away = False
    assert {each["reason"] for each in listed.values()} == {"libvirt does not answer"}


def test_an_agent_that_is_older_than_the_api(
    boot: Boot, start: Callable[[type[FakeAgent]], None]
) -> None:
    start(OldAgent)
    server = boot(HOST)
    listed = servers(ADMIN, f"?host={HOST}")[server.uuid]["qos"]
    assert {each["reason"] for each in listed.values()} == {
        f"nova-qos-agent on host {HOST} is too old for this request; upgrade it"}
    assert {each["state"] for each in listed.values()} == {"unset"}
    assert ADMIN.act(server, "set-cpu-priority", {"share": 7}).body == {"share": 7}
    assert ADMIN.act(server, "get-qos").body["cpu_priority"]["applied"] == 7
    assert ADMIN.act(server, "balloon-driver-enabled").status == 200


def test_a_host_without_servers(cloud: Cloud) -> None:
    answer = ask(ADMIN, "?host=second")
    assert (answer.status, answer.body["servers"]) == (200, [])
    assert "servers_links" not in answer.body


@pytest.mark.parametrize("query", [
    "limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=1&limit=2", "marker=x",
    "marker=", "marker=5c2ff0a8-0d5a-4b9c-9a0f-3f2f7a0e6d11", "host=", "host=a%00b",
    "host=%F0%9F%92%A9", "host=%FF",
    f"host={'x' * 300}", "host=second&host=compute", "all_tenants=1", "page=2", "host=second&x=",
    "project_id=0123456789abcdef0123456789abcdef",
])
def test_queries_that_are_none(cloud: Cloud, query: str) -> None:
    answer = ask(ADMIN, f"?{query}")
    assert answer.status == 400, answer
    assert answer.message


@pytest.mark.parametrize("query", ["marker=00000000-0000-0000-0000-000000000000", "limit=0"])
def test_queries_that_are_none_for_a_host(cloud: Cloud, query: str) -> None:
    answer = ask(ADMIN, f"?host={HOST}&{query}")
    assert answer.status == 400, answer
    assert query.partition("=")[2] in answer.message


def test_a_host_that_never_was(cloud: Cloud) -> None:
    answer = ask(ADMIN, "?host=nowhere.example.org")
    assert answer.status == 404
    assert answer.message == "there is no compute host nowhere.example.org"
