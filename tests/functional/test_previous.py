# SPDX-License-Identifier: Apache-2.0
"""API and agent of this release with those of the one before, in both directions."""

from collections.abc import Iterator
from typing import Any

import nova.conf
import pytest
from nova import context

from nova_qos.bus import wire
from nova_qos.bus.client import AgentClient
from nova_qos.core import errors
from nova_qos.core.server import POLICY
from nova_qos.resources import FIRST, TABLE
from tests.functional import previous
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server
from tests.functional.test_many import change
from tests.functional.values import FLAVOR_MIB

HOST = "second"
#: Where the agent of the release before finds its servers.
MACHINES: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not previous.unpack(tmp_path_factory.mktemp("previous")):
        pytest.skip("the history of this tree is not at hand")


def old_manager(host: str) -> Any:
    """Made by nova's service in place of a class."""
    hooks = previous.module("agent.hooks").Hooks({}, nova.conf.CONF)
    return previous.module("agent.manager").AgentManager(
        host, MACHINES[host], nova.conf.CONF, hooks)


@pytest.fixture
def old_agent(cloud: Cloud, boot: Any) -> Iterator[tuple[Server, Any]]:
    """A server on a host whose agent is of the release before, and its domain there."""
    server: Server = boot(HOST)
    MACHINES[HOST] = previous.module("fakehost").FakeHost()
    domain = MACHINES[HOST].add(server.uuid, FLAVOR_MIB * 1024)
    cloud.agents[HOST].stop()
    service = cloud.start_service(
        "qos-agent", host=HOST, topic=wire.TOPIC,
        manager=f"{old_manager.__module__}.{old_manager.__name__}")
    yield server, domain
    service.stop()
    cloud.start_agent(HOST)


def test_this_api_with_the_agent_before(old_agent: tuple[Server, Any]) -> None:
    server, domain = old_agent
    assert ADMIN.act(server, "set-cpu-priority", {"share": 2048}).body == {"share": 2048}
    assert domain.shares == 2048
    answer = ADMIN.act(server, "set-qos", {"io_priority": 300, "memory": 256})
    assert answer.status == 200
    assert {name: answer.body[name]["state"] for name in TABLE} == {
        "memory": "applied", "memory_soft_limit": "unset", "cpu_priority": "applied",
        "io_priority": "applied", "net_priority": "unset",
        **{name: "unsupported" for name in TABLE if name not in FIRST}}
    assert "is older than this API and does not know cpu_limit" in (
        answer.body["cpu_limit"]["reason"])
    assert ADMIN.act(server, "get-qos").body == answer.body
    assert ADMIN.act(server, "balloon-driver-enabled").body == {"ballooning_enabled": True}
    listed = ADMIN.request("GET", f"/os-qos?host={HOST}").body["servers"]
    assert [each["qos"]["io_priority"]["applied"] for each in listed
            if each["id"] == server.uuid] == [300]


def test_the_agent_before_tells_of_no_policies(old_agent: tuple[Server, Any]) -> None:
    server, _domain = old_agent
    cells, client = context.get_admin_context(), AgentClient()
    assert client.read(cells, HOST, server.uuid, [*TABLE, POLICY]).keys() == set(TABLE)
    many = client.read_many(cells, HOST, [server.uuid], ["io_priority", POLICY])
    assert many[server.uuid].keys() == {"io_priority"}


def test_many_servers_one_by_one(old_agent: tuple[Server, Any]) -> None:
    server, domain = old_agent
    answer = change({server: {"cpu_priority": 77}})
    assert (answer.status, answer.body["results"][0]["code"]) == (200, 200)
    assert (domain.shares, server.saved()) == (77, {"cpu_priority": 77})
    answer = change({server: {"cpu_priority": 78}}, together=True)
    assert (answer.status, "upgrade it" in answer.message) == (501, True)


def test_what_the_agent_before_does_not_know_cannot_be_set(
    old_agent: tuple[Server, Any]
) -> None:
    server, domain = old_agent
    for action, body in (("set-cpu-limit", {"percent": 50}), ("get-cpu-limit", None),
                         ("set-qos", {"cpu_limit": 50, "cpu_priority": 77})):
        answer = ADMIN.act(server, action, body)
        assert answer.status == 501
        assert "does not know cpu_limit; upgrade it" in answer.message
    assert (server.saved(), domain.shares) == ({}, 1024)


def test_this_api_hears_why_the_agent_before_refuses(old_agent: tuple[Server, Any]) -> None:
    server, domain = old_agent
    domain.used_kib = 500 * 1024
    answer = ADMIN.act(server, "set-current-memory", {"memory": 100})
    assert (answer.status, server.saved()) == (409, {})
    assert "lowest safe value" in answer.message


@pytest.fixture
def old_client() -> Any:
    return previous.module("rpc").AgentClient()


def ask(server: Server) -> tuple[Any, str, str]:
    return context.get_admin_context(), "compute", server.uuid


def test_the_api_before_with_this_agent(server: Server, old_client: Any) -> None:
    readings = old_client.set(*ask(server), {"cpu_priority": 2048, "memory": 256}, False)
    assert {name: each.applied for name, each in readings.items()} == {
        "cpu_priority": 2048, "memory": 256 * 1024}
    assert all(each.hindered is None for each in readings.values())
    assert old_client.read(*ask(server), ["cpu_priority"])["cpu_priority"].applied == 2048
    many = old_client.read_many(*ask(server)[:2], [server.uuid], list(TABLE))
    assert many[server.uuid]["memory"].applied == 256 * 1024
    assert old_client.balloon(*ask(server)) == (True, None)


def test_the_agent_waits_for_a_guest_where_the_api_before_asks(
    server: Server, old_client: Any, option: Any
) -> None:
    server.domain.balloon_step_kib = 64 * 1024
    readings = old_client.set(*ask(server), {"memory": 256}, False)
    assert (readings["memory"].applied, readings["memory"].hindered) == (256 * 1024, None)
    option("balloon_timeout", 0.3)
    server.domain.balloon_step_kib = 0
    late = old_client.set(*ask(server), {"memory": 200}, False)["memory"]
    assert (late.applied, late.hindered) == (256 * 1024, "pending")


def test_the_api_before_hears_why_this_agent_refuses(server: Server, old_client: Any) -> None:
    server.domain.used_kib = 500 * 1024
    with pytest.raises(errors.UnsafeMemory):
        old_client.set(*ask(server), {"memory": 100}, False)
    assert server.saved() == {}
