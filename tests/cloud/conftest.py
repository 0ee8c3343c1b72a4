# SPDX-License-Identifier: Apache-2.0
"""People and servers of the demo's cloud, which ``tools/demo.sh --up`` has brought up."""

import pytest
from stack.layout import Layout
from stack.tenants import IMAGE, IMAGE_WITHOUT_BALLOON, NETWORK, credentials

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer


@pytest.fixture(scope="session")
def admin() -> Person:
    return Person(credentials("admin"))


@pytest.fixture(scope="session")
def member() -> Person:
    return Person(credentials("demo"))


@pytest.fixture(scope="session")
def reader() -> Person:
    return Person(credentials("reader"))


@pytest.fixture(scope="session")
def other() -> Person:
    return Person(credentials("other"))


def _named(admin: Person, kind: str, service: str, path: str, name: str) -> str:
    found = admin.request("GET", f"{path}?name={name}", service).json()[kind]
    return str(found[0]["id"])


def _server(admin: Person, name: str, image: str) -> str:
    """The server of that name, booted if there is none."""
    servers = admin.request("GET", f"/servers?name=^{name}$").json()["servers"]
    if servers:
        server = str(servers[0]["id"])
    else:
        flavors = admin.request("GET", "/flavors").json()["flavors"]
        wanted = {
            "name": name,
            "flavorRef": next(flavor["id"] for flavor in flavors if flavor["name"] == "m512"),
            "imageRef": _named(admin, "images", "image", "/v2/images", image),
            "networks": [{"uuid": _named(admin, "networks", "network", "/v2.0/networks", NETWORK)}],
        }
        answer = admin.request("POST", "/servers", json={"server": wanted})
        assert answer.status_code == 202, answer.text
        server = str(answer.json()["server"]["id"])
    if admin.show(server)["status"] == "SHUTOFF":
        admin.act(server, "os-start")
    admin.wait_for_status(server, "ACTIVE")
    return server


def _with_balloon(admin: Person, name: str) -> str:
    server = _server(admin, name, IMAGE)
    wait_for(lambda: admin.act(server, "balloon-driver-enabled")[1]["ballooning_enabled"], 60,
             f"the balloon driver of {name} lives")
    everything = ("memory", "memory_soft_limit", "cpu_priority", "io_priority")
    assert admin.act(server, "set-qos", dict.fromkeys(everything))[0] == 200
    return server


@pytest.fixture(scope="session")
def vm1(admin: Person) -> str:
    return _with_balloon(admin, "vm1")


@pytest.fixture(scope="session")
def vm2(admin: Person) -> str:
    return _with_balloon(admin, "vm2")


@pytest.fixture(scope="session")
def no_balloon(admin: Person) -> str:
    return _server(admin, "without-balloon", IMAGE_WITHOUT_BALLOON)


@pytest.fixture(scope="session")
def host(admin: Person, vm1: str) -> Observer:
    addresses = {server: admin.show(server)["addresses"][NETWORK][0]["addr"] for server in (vm1,)}
    return Observer(Layout.of_environment(), addresses)
