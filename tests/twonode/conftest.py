# SPDX-License-Identifier: Apache-2.0
"""The demo's cloud, with virtual machines as further compute hosts of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cloud.api import Person, wait_for
from tests.twonode.crowd import told
from tests.twonode.host import NodeHost
from tests.twonode.moves import (
    DRIVER_S,
    Resident,
    host_of_v1,
    migrate_live,
    set_all,
    stay,
)
from tools.bed.stack.layout import Layout
from tools.bed.stack.node import joined
from tools.bed.stack.tenants import IMAGE, NETWORK, credentials

_ACTIVE_S = 300


@pytest.fixture(scope="session")
def admin() -> Person:
    return Person(credentials("admin"))


@pytest.fixture(scope="session")
def hosts(admin: Person) -> Iterator[list[NodeHost]]:
    """compute2 and, unless NOVA_QOS_TEST_SIZE says "reduced", compute3."""
    numbers = [2] if os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced" else [2, 3]
    with joined(Layout.of_environment(), numbers) as nodes:
        yield [NodeHost(node) for node in nodes]


def _create(admin: Person, name: str, host: str, flavor: str = "m256") -> str:
    flavors = admin.request("GET", "/flavors").json()["flavors"]
    image = admin.request("GET", f"/v2/images?name={IMAGE}", "image").json()["images"][0]
    network = admin.request("GET", f"/v2.0/networks?name={NETWORK}", "network").json()
    answer = admin.request("POST", "/servers", json={"server": {
        "name": name, "host": host, "imageRef": image["id"],
        "flavorRef": next(each["id"] for each in flavors if each["name"] == flavor),
        "networks": [{"uuid": network["networks"][0]["id"]}]}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


@pytest.fixture(scope="session")
def residents(admin: Person, hosts: list[NodeHost]) -> Iterator[dict[str, Resident]]:
    """On each of the hosts, by its name, a server with every setting. It has booted where the
    cloud runs and migrated live: there, an emulated guest takes minutes to boot."""
    servers = {host: _create(admin, f"on-{host.name}", host_of_v1(admin)) for host in hosts}
    found = {}
    try:
        for host, server in servers.items():
            admin.wait_for_status(server, "ACTIVE", _ACTIVE_S)
            set_all(admin, server)
            found[host.name] = Resident(server, migrate_live(admin, server, host))
        yield found
    finally:
        for server in servers.values():
            admin.delete(server)


@pytest.fixture
def short(
    admin: Person, hosts: list[NodeHost], residents: dict[str, Resident]
) -> Iterator[NodeHost]:
    """The first node with its resident, whose agent is told that nova keeps nearly all memory to
    itself."""
    if len(hosts) == 1:
        pytest.skip("one virtual machine only: NOVA_QOS_TEST_SIZE is reduced")
    host, server = hosts[0], residents[hosts[0].name].server
    stay(admin, server, host)
    with host.reserved():
        wait_for(lambda: told(admin, host)["state"] == "short", DRIVER_S, "it is short")
        yield host
    told(admin, host)


@pytest.fixture
def boot(admin: Person) -> Iterator[Callable[..., str]]:
    """Makes a server of that name on that host; it goes with the test."""
    with booting(admin) as make:
        yield make


@pytest.fixture(scope="module")
def boot_for_all(admin: Person) -> Iterator[Callable[..., str]]:
    """As ``boot``; it goes with all tests of the file."""
    with booting(admin) as make:
        yield make


@contextmanager
def booting(admin: Person) -> Iterator[Callable[..., str]]:
    """Makes servers, which are gone at the end, also where one of them does not go."""
    with ExitStack() as made:
        def make(name: str, host: str, flavor: str = "m256") -> str:
            server = _create(admin, name, host, flavor)
            made.callback(admin.delete, server)
            admin.wait_for_status(server, "ACTIVE", _ACTIVE_S)
            return server

        yield make
