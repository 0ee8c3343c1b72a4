# SPDX-License-Identifier: Apache-2.0
"""What comes over the message bus is not trusted: others may write to it.

nova's fixture of the bus hands exceptions over as they are.
"""

from typing import Any

import oslo_messaging as messaging
import pytest
from nova import context
from nova import rpc as nova_rpc
from oslo_messaging.rpc.dispatcher import NoSuchMethod

from nova_qos.bus import wire
from nova_qos.core import errors
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server
from tests.functional.values import SETTINGS

UUID = "00000000-0000-0000-0000-000000000000"
BAD = [
    {"disk_priority": 5}, {"net_priority": 99}, {"net_priority": -2}, {"share": 5},
    {"cpu_priority": 5, "x" * 500: 5}, {"": 5},
    {"cpu_priority": 1}, {"cpu_priority": 262145}, {"memory": 0}, {"memory": 513},
    {"memory": -1}, {"io_priority": 99}, {"io_priority": 1001}, {"memory_soft_limit": 0},
    {"cpu_priority": True}, {"cpu_priority": 5.5}, {"cpu_priority": "x"}, {"cpu_priority": [5]},
    {"cpu_priority": {}}, {"cpu_priority": 10**400}, {**SETTINGS, "io_priority": 5},
]


def call(method: str, version: str = "1.0", **arguments: Any) -> Any:
    """Write to the agent's queue as any other program could."""
    client = nova_rpc.get_client(messaging.Target(topic=wire.TOPIC, version=version))
    return client.prepare(server="compute", timeout=60).call(
        context.get_admin_context(), method, **arguments)


@pytest.mark.parametrize("settings", BAD, ids=lambda settings: str(settings)[:40])
def test_settings_that_the_api_would_have_refused(server: Server, settings: object) -> None:
    with pytest.raises(errors.InvalidSetting):
        call("set", server_uuid=server.uuid, settings=settings, force=False)
    assert (server.saved(), server.domain.writes) == ({}, [])


@pytest.mark.parametrize("settings", [None, 5, "memory", [], ["memory"], [["memory", 5]], True])
def test_settings_that_are_none(server: Server, settings: object) -> None:
    try:
        answer = call("set", server_uuid=server.uuid, settings=settings, force=False)
    except (errors.InvalidSetting, TypeError):
        answer = {}
    assert answer == {}
    assert (server.saved(), server.domain.writes) == ({}, [])


@pytest.mark.parametrize("force", ["true", 1, [1], {"force": True}, None])
def test_only_true_forces(server: Server, force: object) -> None:
    server.domain.used_kib = 400 * 1024
    with pytest.raises(errors.UnsafeMemory):
        call("set", server_uuid=server.uuid, settings={"memory": 100}, force=force)
    assert server.saved() == {}


@pytest.mark.parametrize("uuid", ["no-uuid", "", "../x", "00000000-0000-0000-0000-000000000000"])
def test_servers_that_are_none(server: Server, uuid: str) -> None:
    with pytest.raises(errors.ServerGone):
        call("set", server_uuid=uuid, settings=SETTINGS, force=False)


@pytest.mark.parametrize("names", [["disk_priority"], ["memory", "x"], "memory", [""]])
def test_readings_of_resources_that_are_none(server: Server, names: object) -> None:
    with pytest.raises(errors.InvalidSetting):
        call("read", server_uuid=server.uuid, names=names)


@pytest.mark.parametrize(("server_uuids", "names"), [
    ([UUID], ["disk_priority"]), ([UUID], "memory"), (["no-uuid"], ["memory"]),
    ([UUID, "../x"], ["memory"]), ([UUID, None], ["memory"]), (UUID, ["memory"]),
    ([UUID] * 101, ["memory"]), ([["memory"]], ["memory"]),
], ids=lambda value: str(value)[:40])
def test_many_readings_of_what_is_none(
    server: Server, server_uuids: object, names: object
) -> None:
    with pytest.raises(errors.InvalidSetting):
        call("read_many", "1.1", server_uuids=server_uuids, names=names)


def test_many_readings_of_servers_here_and_elsewhere(server: Server) -> None:
    answer = call("read_many", "1.1", server_uuids=[server.uuid, UUID], names=["cpu_priority"])
    assert answer[server.uuid]["cpu_priority"]["applied"] == 1024
    assert answer[UUID]["cpu_priority"]["hindered"] == "pending"
    assert answer[UUID]["cpu_priority"]["reason"] == "the server is not running"


@pytest.mark.parametrize("method", ["_set", "_machine", "no_such_method"])
def test_methods_that_are_none(server: Server, method: str) -> None:
    with pytest.raises(NoSuchMethod):
        call(method, server_uuid=server.uuid)
    assert ADMIN.act(server, "get-qos").status == 200


def test_a_version_to_come_is_refused(server: Server) -> None:
    client = nova_rpc.get_client(messaging.Target(topic=wire.TOPIC, version="2.0"))
    with pytest.raises(messaging.UnsupportedVersion):
        client.prepare(server="compute", timeout=60).call(
            context.get_admin_context(), "read", server_uuid=server.uuid, names=list(TABLE))


def test_what_the_api_would_have_let_through(server: Server) -> None:
    readings = call("set", server_uuid=server.uuid, settings={"cpu_priority": 77}, force=False)
    assert readings["cpu_priority"]["applied"] == 77
    assert server.saved() == {"cpu_priority": 77}
