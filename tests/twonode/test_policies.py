# SPDX-License-Identifier: Apache-2.0
"""A named policy reaches servers on all hosts, and follows one that moves."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost
from tests.twonode.moves import DRIVER_S, migrate
from tools.bed.stack import services
from tools.bed.stack.layout import Layout
from tools.bed.stack.tenants import connect

# the first one's includes the boot of all hosts
pytestmark = pytest.mark.timeout(1800)

Boot = Callable[[str, str], str]
_PATH = "/os-qos-policies"
#: An edit is in force within 5 s on a host of its own; these are emulated.
_REACHED_S = 60.0


@pytest.fixture
def tier(admin: Person) -> Iterator[str]:
    """The id of a policy, whose servers are taken from it in the end."""
    answer = admin.request("POST", _PATH, json={"policy": {
        "name": "tier", "settings": {"cpu_priority": 512, "io_priority": 300}}})
    assert answer.status_code == 201, answer.text
    tier = str(answer.json()["policy"]["id"])
    yield tier
    used = admin.request("GET", f"{_PATH}/{tier}?in_use=true").json()["used_by"]
    for server in used["servers"]:
        admin.act(server["id"], "set-qos", {"policy": None})
    assert admin.request("DELETE", f"{_PATH}/{tier}").status_code == 204


def weights(host: NodeHost, server: str) -> tuple[object, object]:
    """Of CPU and disk, as the host's control groups have them."""
    held = host.held(server)
    return held.get("cpu.weight"), held.get("io.bfq.weight")


def test_a_policy_on_all_hosts(
    admin: Person, hosts: list[NodeHost], boot: Boot, tier: str
) -> None:
    there = {host: boot(f"tier-{host.name}", host.name) for host in hosts}
    for server in there.values():
        assert admin.act(server, "set-qos", {"policy": tier})[0] in (200, 202)
    for host, server in there.items():
        wait_for(lambda host=host, server=server: weights(host, server) == (50, 300), _REACHED_S,
                 f"{host.name} holds what the policy says")
    answer = admin.request("PUT", f"{_PATH}/{tier}", json={"policy": {"settings": {
        "cpu_priority": 2048, "io_priority": 700}}})
    assert answer.status_code == 200, answer.text
    for host, server in there.items():
        wait_for(lambda host=host, server=server: weights(host, server) == (200, 700), _REACHED_S,
                 f"{host.name} holds what the edit says")
        row = admin.act(server, "get-qos")[1]["cpu_priority"]
        assert (row["source"], row["policy_revision"], row["state"]) == (
            "policy tier", 2, "applied")


@pytest.mark.skipif(os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced",
                    reason="to boot takes minutes: NOVA_QOS_TEST_SIZE is reduced")
def test_its_host_loses_power_while_the_api_is_away(
    admin: Person, hosts: list[NodeHost], boot: Boot, tier: str
) -> None:
    host = hosts[0]
    server = boot("tier", host.name)
    assert admin.act(server, "set-qos", {"policy": tier})[0] in (200, 202)
    wait_for(lambda: weights(host, server) == (50, 300), _REACHED_S, "it holds the policy")
    host.node.machine.run("sync")
    api = next(each for each in services.everything(Layout.of_environment())
               if each.name == "nova-api")
    api.stop()
    try:
        host.node.restart()
        wait_for(lambda: weights(host, server) == (50, 300), DRIVER_S,
                 "it runs again, with the policy that the agent had kept")
    finally:
        api.start()
    answer = admin.request("PUT", f"{_PATH}/{tier}", json={"policy": {"settings": {
        "cpu_priority": 2048, "io_priority": 700}}})
    assert answer.status_code == 200, answer.text
    # the hint of an edit, or the agent's own question
    wait_for(lambda: weights(host, server) == (200, 700), 2 * _REACHED_S, "it holds the edit")
    # neutron's agent comes last, and what follows needs it
    wait_for(lambda: host.node.is_up(connect()), DRIVER_S, "the cloud can use it")


def test_a_policy_follows_a_server(
    admin: Person, hosts: list[NodeHost], boot: Boot, tier: str
) -> None:
    if len(hosts) < 2:
        pytest.skip("one virtual machine only: NOVA_QOS_TEST_SIZE is reduced")
    first, second = hosts[:2]
    server = boot("tier", first.name)
    assert admin.act(server, "set-qos", {"policy": tier})[0] in (200, 202)
    migrate(admin, server, second)
    wait_for(lambda: weights(second, server) == (50, 300), DRIVER_S, "it has come along")
    assert admin.act(server, "set-qos", {"policy": None})[0] == 200
    wait_for(lambda: weights(second, server) == (100, 100), DRIVER_S, "it is lifted")
