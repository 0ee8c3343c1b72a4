# SPDX-License-Identifier: Apache-2.0
"""The demo's cloud, with virtual machines as further compute hosts of it."""

import os
import time
from collections.abc import Callable, Iterator

import pytest
from stack.layout import Layout
from stack.node import Node, make_known
from stack.tenants import IMAGE, NETWORK, credentials

from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost

_UP_S, _ACTIVE_S = 600, 300


@pytest.fixture(scope="session")
def admin() -> Person:
    return Person(credentials("admin"))


@pytest.fixture(scope="session")
def hosts(admin: Person) -> Iterator[list[NodeHost]]:
    """compute2 and, unless NOVA_QOS_TEST_SIZE says "reduced", compute3."""
    layout = Layout.of_environment()
    numbers = [2] if os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced" else [2, 3]
    nodes = [Node(layout, number) for number in numbers]
    began = time.monotonic()
    try:
        for node in nodes:
            node.boot()
        for node in nodes:
            node.configure()
        for node in nodes:
            wait_for(lambda node=node: _is_up(admin, node), _UP_S, f"{node.name} is up")
        make_known(layout)
        print(f"\n{', '.join(node.name for node in nodes)} up after "
              f"{time.monotonic() - began:.0f} s")
        yield [NodeHost(node) for node in nodes]
    finally:
        for node in nodes:
            node.down()
        _forget(admin, [node.name for node in nodes])


def _is_up(admin: Person, node: Node) -> bool:
    services = admin.request("GET", f"/os-services?host={node.name}").json()["services"]
    up = {each["binary"] for each in services if each["state"] == "up"}
    agents = admin.request("GET", f"/v2.0/agents?host={node.name}", "network").json()["agents"]
    return up == {"nova-compute", "nova-qos-agent"} and any(each["alive"] for each in agents)


def _forget(admin: Person, names: list[str]) -> None:
    """Take the hosts out of the cloud's books."""
    for name in names:
        for service in admin.request("GET", f"/os-services?host={name}").json()["services"]:
            admin.request("DELETE", f"/os-services/{service['id']}")
        for agent in admin.request("GET", f"/v2.0/agents?host={name}", "network").json()["agents"]:
            admin.request("DELETE", f"/v2.0/agents/{agent['id']}", "network")


def _create(admin: Person, name: str, host: str) -> str:
    flavors = admin.request("GET", "/flavors").json()["flavors"]
    image = admin.request("GET", f"/v2/images?name={IMAGE}", "image").json()["images"][0]
    network = admin.request("GET", f"/v2.0/networks?name={NETWORK}", "network").json()
    answer = admin.request("POST", "/servers", json={"server": {
        "name": name, "host": host, "imageRef": image["id"],
        "flavorRef": next(each["id"] for each in flavors if each["name"] == "m256"),
        "networks": [{"uuid": network["networks"][0]["id"]}]}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


@pytest.fixture(scope="session")
def residents(admin: Person, hosts: list[NodeHost]) -> Iterator[dict[str, str]]:
    """A server on each of the hosts, by the host's name; a guest there takes minutes to boot."""
    servers = {host.name: _create(admin, f"on-{host.name}", host.name) for host in hosts}
    for server in servers.values():
        admin.wait_for_status(server, "ACTIVE", _ACTIVE_S)
    yield servers
    for server in servers.values():
        admin.delete(server)


@pytest.fixture
def boot(admin: Person) -> Iterator[Callable[[str, str], str]]:
    """Makes a server of that name on that host; it goes with the test."""
    made: list[str] = []

    def make(name: str, host: str) -> str:
        made.append(_create(admin, name, host))
        admin.wait_for_status(made[-1], "ACTIVE", _ACTIVE_S)
        return made[-1]

    yield make
    for server in made:
        admin.delete(server)
