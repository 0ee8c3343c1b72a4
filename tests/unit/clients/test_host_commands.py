# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as a whole: the Python API and ``openstack server qos host``."""

import json

import openstack as sdk
import pytest

from nova_qos.client import Client
from nova_qos.client_hosts import Pressure, Short, Use
from nova_qos.errors import ApiRefused, NotInstalled
from tests.shells import OpenStack
from tests.unit.clients import hosts
from tests.unit.clients.policies import PolicyCloud

TITLES = ["Host", "State", "Short", "Servers", "Capacity", "Guaranteed", "Needed", "Applied",
          "Available", "Allocation Ratio", "Fitting Ratio", "Agent", "Age"]
SINCE = "2026-09-21T14:13:20+00:00"


@pytest.fixture
def client(cloud: PolicyCloud) -> Client:
    connection = sdk.connect(
        load_yaml_config=False, load_envvars=False, auth_url=f"{cloud.url}/v3", username="demo",
        password="x", project_name="demo", user_domain_id="default", project_domain_id="default")
    return Client(connection.compute)


def test_hosts(client: Client, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short(), hosts.away()]
    one, two = client.hosts()
    assert (one.name, one.agent, one.age_s, one.state, one.since) == (
        "one", "up", 0, "short", SINCE)
    assert (one.promised, one.now) == (Short(1000, SINCE), Short(1000, SINCE))
    assert (one.memory.needs, one.memory.allocation_ratio, one.memory.fitting_ratio) == (
        10000, 1.5, 1.0)
    assert one.uses["memory"] is one.memory
    assert one.uses["net_in"] == Use("kbit/s", None, 0, -1, 10000, 0, 0)
    assert one.pressure == {
        "memory": Pressure(2.5, 0.5), "cpu": Pressure(None, None), "io": Pressure(None, None)}
    assert (two.agent, two.reason) == ("down", "there is no nova-qos-agent on host two")
    assert (two.state, two.servers, two.promised, two.memory.needs) == (None, None, None, None)
    assert [each.name for each in client.hosts("two")] == ["two"]


def test_servers_of_a_host(client: Client, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short() | {"placed": [hosts.placed(3, fixed="it is locked")]}]
    assert client.hosts()[0].placed is not None
    ((server,),) = (each.placed or () for each in client.hosts(servers=True))
    assert (server.name, server.need, server.resident, server.disk, server.fixed) == (
        "web-3", 1000, 900, 2048, "it is locked")
    assert server.guaranteed == {"memory": 100, "cpu": 10, "net": 0, "net_in": 0}


def test_a_host_of_another_release(client: Client, cloud: PolicyCloud) -> None:
    cloud.states = [{"name": "one", "memory": {"needs": 5, "of_tomorrow": 1}, "of_tomorrow": 1}]
    (one,) = client.hosts()
    assert (one.agent, one.memory.needs, one.memory.total) == ("unknown", 5, None)
    assert (one.uses["cpu"].capacity, one.pressure["io"].some) == (None, None)


def test_refusals(client: Client, cloud: PolicyCloud) -> None:
    with pytest.raises(NotInstalled, match="or an older one: its API does not know /os-qos/hosts"):
        client.hosts()
    cloud.states = []
    with pytest.raises(ApiRefused, match="there is no compute host nine") as refused:
        client.hosts("nine")
    assert (refused.type, refused.value.status) == (ApiRefused, 404)


def test_list(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short(), hosts.away()]
    cloud.states[0] |= {"agent": "down", "age_s": 150}
    assert openstack.good("host", "list").rows() == [
        TITLES,
        ["one", "short", "1000 promised, 1000 now", "10", "9000", "1000", "10000", "10000", "300",
         "1.5", "1.0", "down", "2 min"],
        ["two", "", "", "", "", "", "", "", "", "1.5", "", "down", ""]]


def test_list_for_programs(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short(), hosts.away()]
    one, two = json.loads(openstack.good("host", "list", "-f", "json").out)
    assert list(one) == TITLES
    assert (one["Short"], one["Needed"], one["Age"]) == ({"promised": 1000, "now": 1000}, 10000, 0)
    assert (two["Short"], two["Needed"], two["Age"]) == (None, None, None)
    sorted_ = openstack.good("host", "list", "--sort-column", "Needed", "-f", "value", "-c", "Host")
    assert sorted_.out.split() == ["one", "two"]


def test_show(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short(), hosts.away()]
    found = dict(openstack.good("host", "show", "one").rows()[1:])
    assert found["short_now"] == f"1000 MiB since {SINCE}"
    assert (found["net_in_requested"], found["cpu_unit"]) == ("unlimited", "percent of one CPU")
    assert found["reasons"].startswith("memory: its servers need 10000 MiB together")
    away = dict(openstack.good("host", "show", "two").rows()[1:])
    assert (away["agent_reason"], away["state"]) == ("there is no nova-qos-agent on host two", "")
    cloud.states[0]["balancing"]["reasons"] = []
    calm = dict(openstack.good("host", "show", "one").rows()[1:])
    assert calm["balancing_reasons"] == ""


def test_show_for_programs(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.short()]
    found = json.loads(openstack.good("host", "show", "one", "-f", "json").out)
    assert found["short_promised"] == {"mib": 1000, "since": SINCE}
    assert (found["memory_needs"], found["memory_fitting_ratio"]) == (10000, 1.0)
    assert (found["net_in_requested"], found["net_in_capacity"]) == (-1, None)
    assert (found["pressure_memory_some"], found["pressure_cpu_some"]) == (2.5, None)
    assert len(found["reasons"]) == 3


def test_errors(openstack: OpenStack, cloud: PolicyCloud) -> None:
    assert "older one: its API does not know /os-qos/hosts" in openstack.bad("host", "list").error()
    cloud.states = []
    assert openstack.bad("host", "show", "nine").error() == (
        "there is no compute host nine (HTTP 404)")
