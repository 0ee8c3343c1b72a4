# SPDX-License-Identifier: Apache-2.0
"""``GET /os-qos/hosts``: compute hosts as a whole, each as its agent tells of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import oslo_messaging as messaging
import pytest
from nova import context, exception, objects

from nova_qos.bus import wire
from nova_qos.core import errors, host_report
from tests.fakehost import CAPACITY, ROOM
from tests.functional.caller import ADMIN, MEMBER, READER, Caller
from tests.functional.cloud import MACHINES, Cloud, FakeAgent, Server
from tests.functional.values import FLAVOR_MIB

HOST = "halted"
ALL = ["compute", "halted", "second", "silent"]
RESERVE_MIB = 32
#: What a guest of the fake host uses.
USED_MIB = 64


class AgentBefore(FakeAgent):
    """Does not know the question."""

    target = messaging.Target(version="1.5")


class AgentWithoutServers(FakeAgent):
    """Tells of its host as a whole alone."""

    target = messaging.Target(version="1.6")


class FailingAgent(FakeAgent):
    """Fails in a way that nobody expects."""

    def host_report(self, context: Any, servers: bool = False) -> Any:
        raise KeyError("MemAvailable")


class NovasErrorAgent(FakeAgent):
    """Fails with an error of nova's, which crosses the bus as itself."""

    def host_report(self, context: Any, servers: bool = False) -> Any:
        raise exception.DBNotAllowed(binary="nova-qos-agent")


class OddAgent(FakeAgent):
    """Answers something else."""

    def host_report(self, context: Any, servers: bool = False) -> Any:
        return "calm"


@pytest.fixture
def start(cloud: Cloud) -> Iterator[Callable[..., Any]]:
    """Runs such an agent on HOST, in place of the one that stopped there."""
    started: list[Any] = []

    def start(kind: type[FakeAgent] = FakeAgent) -> Any:
        started.append(cloud.start_service(
            "qos-agent", host=HOST, topic=wire.TOPIC, manager=f"{kind.__module__}.{kind.__name__}"))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(autouse=True)
def quick(option: Callable[[str, object], None]) -> None:
    option("rpc_timeout", 4)


@pytest.fixture
def own() -> Iterator[Callable[..., None]]:
    """Changes a host's own figures for one test."""
    def own(host: str, **figures: Any) -> None:
        MACHINES[host].own = replace(ROOM, **figures)

    yield own
    for machine in MACHINES.values():
        machine.own = ROOM


def hosts(query: str = "", caller: Caller = ADMIN) -> dict[str, Any]:
    answer = caller.request("GET", f"/os-qos/hosts{query}")
    assert answer.status == 200, answer
    return {each["name"]: each for each in answer.body["hosts"]}


def one(host: str) -> dict[str, Any]:
    (found,) = hosts(f"?host={host}").values()
    return found


def check(cloud: Cloud, host: str) -> None:
    """Have the agent load what nova has there."""
    cloud.agents[host].manager.loop.check()


def test_all_hosts_whether_their_agents_answer_or_not(cloud: Cloud) -> None:
    ratios = {each.host: each.ram_allocation_ratio for each in
              objects.ComputeNodeList.get_all(context.get_admin_context())}
    found = hosts()
    assert list(found) == ALL
    assert {name: each["agent"] for name, each in found.items()} == {
        "compute": "up", "halted": "down", "second": "up", "silent": "down"}
    for name, each in found.items():
        is_up = each["agent"] == "up"
        assert each["age_s"] == (0 if is_up else None)
        assert each["state"] == ("calm" if is_up else None)
        assert (each["reason"] is None) is is_up
        assert is_up or f"nova-qos-agent on host {name}" in each["reason"]
        assert each["memory"]["allocation_ratio"] == ratios[name]
        assert set(each) - {"name", "agent", "reason", "age_s"} == set(host_report.unknown())


def test_the_ratio_of_placement(cloud: Cloud) -> None:
    admin = context.get_admin_context()
    node = objects.ComputeNode.get_first_node_by_host_for_old_compat(admin, "silent")
    before, node.ram_allocation_ratio = node.ram_allocation_ratio, 1.5
    node.save()
    try:
        assert one("silent")["memory"]["allocation_ratio"] == 1.5
    finally:
        node.ram_allocation_ratio = before
        node.save()


def test_one_host(cloud: Cloud) -> None:
    assert list(hosts("?host=second")) == ["second"]


def test_what_servers_are_guaranteed_and_need(
    cloud: Cloud, boot: Callable[..., Server]
) -> None:
    idle, guaranteed, stopped, deaf = (boot("second") for _number in range(4))
    assert ADMIN.act(guaranteed, "set-qos", {
        "memory_guarantee": 300, "cpu_guarantee": 50, "net_guarantee": 1000,
        "memory": 400, "cpu_limit": 80, "net_in_limit": 5000}).status == 200
    del stopped.machine.domains[stopped.uuid]
    deaf.domain.driver = False
    check(cloud, "second")
    found = one("second")
    assert (found["servers"], found["running"], found["state"]) == (4, 3, "calm")
    needs = USED_MIB + RESERVE_MIB + 300 + FLAVOR_MIB
    assert found["memory"] == {
        "unit": "MiB", "capacity": CAPACITY.memory_mib, "guaranteed": 300,
        "requested": 2 * FLAVOR_MIB + 400, "applied": 2 * FLAVOR_MIB + 400, "short": 0, "unread": 0,
        "total": ROOM.memory_mib, "available": ROOM.available_mib, "flavors": 4 * FLAVOR_MIB,
        "flavors_running": 3 * FLAVOR_MIB, "needs": needs, "needs_unmanaged": FLAVOR_MIB,
        "fitting_ratio": int(100 * 3 * FLAVOR_MIB / needs) / 100,
        "allocation_ratio": found["memory"]["allocation_ratio"]}
    vcpus = idle.instance().flavor.vcpus
    assert found["cpu"] == {
        "unit": "percent of one CPU", "capacity": CAPACITY.cpu_percent, "guaranteed": 50,
        "requested": 80 + 200 * vcpus, "applied": 80 + 200 * vcpus, "short": 0, "unread": 0}
    assert (found["net"]["guaranteed"], found["net"]["requested"]) == (1000, -1)
    assert (found["net_in"]["guaranteed"], found["net_in"]["applied"]) == (0, -1)


def test_a_server_that_has_just_started_counts(
    cloud: Cloud, boot: Callable[..., Server]
) -> None:
    check(cloud, "second")
    server = boot("second")
    cloud.agents["second"].manager.looker.look(server.uuid)
    assert one("second")["servers"] == 1


def test_each_server_of_a_host(cloud: Cloud, boot: Callable[..., Server]) -> None:
    idle, locked, stopped, busy = (boot("second") for _number in range(4))
    assert ADMIN.act(idle, "set-qos", {
        "memory_guarantee": 300, "net_guarantee": 1000, "memory_priority": 7}).status == 200
    ADMIN.act(locked, "lock")
    del stopped.machine.domains[stopped.uuid]
    stopped.change(vm_state="stopped")
    busy.change(task_state="rebooting")
    check(cloud, "second")
    assert "placed" not in one("second")
    (found,) = hosts("?host=second&servers=true").values()
    placed = {each["id"]: each for each in found["placed"]}
    busy.change(task_state=None)
    assert placed.keys() == {each.uuid for each in (idle, locked, stopped, busy)}
    flavor = idle.instance().flavor
    assert placed[idle.uuid] == {
        "id": idle.uuid, "name": idle.instance().display_name, "running": True,
        "flavor": FLAVOR_MIB, "need": 300, "applied": FLAVOR_MIB, "resident": FLAVOR_MIB,
        "guaranteed": {"memory": 300, "cpu": 0, "net": 1000, "net_in": 0},
        "disk": 1024 * (flavor.root_gb + flavor.ephemeral_gb) + flavor.swap, "fixed": None,
        "paused": False, "memory_priority": 7}
    assert {each.uuid: placed[each.uuid]["fixed"] for each in (locked, stopped, busy)} == {
        locked.uuid: "it is locked", stopped.uuid: "it is stopped",
        busy.uuid: "nova is at work on it (rebooting)"}
    assert (placed[stopped.uuid]["running"], placed[stopped.uuid]["need"]) == (False, 0)
    assert sum(each["need"] for each in placed.values()) == found["memory"]["needs"]
    silent = hosts("?servers=true")["silent"]
    assert "placed" not in silent


def test_an_agent_that_tells_of_no_servers(cloud: Cloud, start: Callable[..., Any]) -> None:
    start(AgentWithoutServers)
    assert one(HOST)["agent"] == "up"
    found = hosts(f"?host={HOST}&servers=true")[HOST]
    assert (found["agent"], "placed" in found) == ("older", False)
    # what it told of the host as a whole stays
    assert found["state"] == "calm"


def test_a_set_counts_at_once(cloud: Cloud, boot: Callable[..., Server]) -> None:
    server = boot("second")
    check(cloud, "second")
    assert ADMIN.act(server, "set-qos", {"memory_guarantee": 200, "memory": 300}).status == 200
    found = one("second")["memory"]
    assert (found["guaranteed"], found["requested"], found["applied"]) == (200, 300, 300)


def test_a_host_that_is_short(
    cloud: Cloud, boot: Callable[..., Server], own: Callable[..., None]
) -> None:
    server = boot("second")
    check(cloud, "second")
    server.domain.used_kib = server.domain.actual_kib
    capacity = {**ROOM.capacity, "memory": FLAVOR_MIB - 12}
    own("second", capacity=capacity)
    found = one("second")
    assert (found["state"], found["short"]["now"]) == ("short", None)
    assert found["short"]["promised"] == {"mib": 12, "since": found["since"]}
    assert found["reasons"] == [
        f"memory: its servers need {FLAVOR_MIB} MiB together, 12 more than the {FLAVOR_MIB - 12} "
        "that it has for them"]
    own("second", capacity=capacity, available_mib=10)
    later = one("second")
    assert later["since"] == found["since"]
    assert later["short"]["now"]["mib"] == 12
    own("second", available_mib=10)
    assert one("second")["state"] == "tense"


def test_an_agent_that_stops_leaves_its_last_answer(
    cloud: Cloud, start: Callable[..., Any]
) -> None:
    agent = start()
    assert (one(HOST)["agent"], one(HOST)["age_s"]) == ("up", 0)
    agent.stop()
    found = hosts()
    assert (found[HOST]["agent"], found[HOST]["state"]) == ("down", "calm")
    assert 0 <= found[HOST]["age_s"] < 60
    assert found["compute"]["agent"] == "up"


@pytest.mark.parametrize(("kind", "agent", "reason"), [
    (AgentBefore, "older", "agent is older: nova-qos-agent on host halted is too old"),
    (FailingAgent, "up", "nova-qos-agent on host halted failed; its log says why"),
    (NovasErrorAgent, "up", "nova-qos-agent on host halted failed; its log says why"),
    (OddAgent, "up", "nova-qos-agent on host halted answered something else")])
def test_an_agent_that_cannot_tell(
    cloud: Cloud, start: Callable[..., Any], kind: type[FakeAgent], agent: str, reason: str
) -> None:
    start(kind)
    found = hosts()
    assert found[HOST]["agent"] == agent
    assert found[HOST]["reason"].startswith(reason)
    assert found["second"]["agent"] == "up"


def test_libvirt_is_away(cloud: Cloud) -> None:
    MACHINES["second"].away = True
    try:
        found = one("second")
    finally:
        MACHINES["second"].away = False
    assert (found["agent"], found["reason"]) == ("up", "libvirt does not answer")


def test_a_guest_that_hangs_costs_its_own_figures_alone(
    cloud: Cloud, boot: Callable[..., Server]
) -> None:
    boot("second")
    hanging = boot("second")
    check(cloud, "second")
    hanging.domain.failure = errors.HostRefused("QEMU may be hanging")
    found = one("second")
    assert (found["running"], found["memory"]["unread"]) == (2, 1)
    assert found["memory"]["needs"] == USED_MIB + RESERVE_MIB + FLAVOR_MIB


def test_a_cell_that_is_down(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(_context: Any, cells: Iterable[Any], *_asked: Any) -> dict[str, object]:
        return {each.uuid: context.did_not_respond_sentinel for each in cells}

    before = hosts()
    with monkeypatch.context() as down:
        down.setattr(context, "scatter_gather_cells", no_answer)
        found = hosts()
        assert list(one("second")) == list(found["second"])
    assert list(found) == ALL
    for each in found.values():
        assert (each["status"], each["agent"]) == ("UNKNOWN", "unknown")
        assert each["reason"] == "the host's cell does not answer"
        assert each["memory"]["allocation_ratio"] is None
    assert found["compute"]["state"] == before["compute"]["state"]
    assert found["compute"]["age_s"] is not None
    assert all("status" not in each for each in hosts().values())


def test_a_node_that_no_service_has_is_no_host(cloud: Cloud) -> None:
    admin = context.get_admin_context()
    node = objects.ComputeNode.get_first_node_by_host_for_old_compat(admin, "silent")
    service_id, node.host, node.service_id = node.service_id, None, None
    node.save()
    try:
        assert list(hosts()) == [each for each in ALL if each != "silent"]
    finally:
        node.host, node.service_id = "silent", service_id
        node.save()


@pytest.mark.parametrize("caller", [MEMBER, READER], ids=["member", "reader"])
@pytest.mark.parametrize("query", ["", "?host=second", "?host=nowhere"])
def test_it_is_for_administrators(cloud: Cloud, caller: Caller, query: str) -> None:
    answer = caller.request("GET", f"/os-qos/hosts{query}")
    assert answer.status == 403, answer
    assert "os_compute_api:os-qos:hosts" in answer.message


def test_a_host_that_never_was(cloud: Cloud) -> None:
    answer = ADMIN.request("GET", "/os-qos/hosts?host=nowhere.example.org")
    assert answer.status == 404
    assert answer.message == "there is no compute host nowhere.example.org"


@pytest.mark.parametrize("query", [
    "host=", "host=a%00b", "host=second&host=compute", "limit=1", "marker=second",
    "host=second&x=", "all_tenants=1", "servers=1", "servers=true&servers=true"])
def test_queries_that_are_none(cloud: Cloud, query: str) -> None:
    answer = ADMIN.request("GET", f"/os-qos/hosts?{query}")
    assert answer.status == 400, answer
    assert answer.message


@pytest.mark.parametrize("prefix", ["/v2.1/6f70656e737461636b20342065766572", "/v2"])
def test_ways_to_write_the_path(cloud: Cloud, prefix: str) -> None:
    assert "second" in hosts("?host=second", ADMIN.using(prefix=prefix))
