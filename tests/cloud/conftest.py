# SPDX-License-Identifier: Apache-2.0
"""People and servers of the demo's cloud, which ``tools/demo.sh --up`` has brought up."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from nova_qos.resources import BALLOON, TABLE
from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import DRIVER_S, SETTINGS, await_applied, await_held
from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import NAMES
from tools.bed.stack.tenants import IMAGE, IMAGE_WITHOUT_BALLOON, NETWORK, credentials


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


def create(admin: Person, name: str, image: str = IMAGE, flavor: str = "m512") -> str:
    """Have nova make a server, and do not wait for it."""
    flavors = admin.request("GET", "/flavors").json()["flavors"]
    wanted = {
        "name": name,
        "flavorRef": next(each["id"] for each in flavors if each["name"] == flavor),
        "imageRef": _named(admin, "images", "image", "/v2/images", image),
        "networks": [{"uuid": _named(admin, "networks", "network", "/v2.0/networks", NETWORK)}],
    }
    answer = admin.request("POST", "/servers", json={"server": wanted})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["server"]["id"])


def _boot(admin: Person, name: str) -> str:
    """A server of that name: the demo's if it runs or is stopped, else a new one."""
    for old in admin.request("GET", f"/servers/detail?name=^{name}$").json()["servers"]:
        if old["status"] == "SHUTOFF":
            admin.act(old["id"], "os-start")
        if old["status"] in ("ACTIVE", "SHUTOFF"):
            return str(old["id"])
        admin.delete(old["id"])
    return create(admin, name)


@pytest.fixture(scope="session")
def servers(admin: Person) -> dict[str, str]:
    """All of them, before any test disturbs the host; without settings."""
    found = {name: _boot(admin, name) for name in NAMES}
    for name, server in found.items():
        admin.wait_for_status(server, "ACTIVE")
        wait_for(lambda server=server: admin.act(server, BALLOON)[1].get("ballooning_enabled"), 60,
                 f"the balloon driver of {name} lives")
    clear(admin, found.values())
    return found


def clear(admin: Person, servers: Iterable[str]) -> None:
    """Unset everything, by one request."""
    changes = [{"server": server, "settings": dict.fromkeys(TABLE)} for server in servers]
    told = admin.request("POST", "/os-qos", json={"changes": changes}).json()
    assert {each["code"] for each in told["results"]} == {200}, told


@pytest.fixture
def boot(admin: Person) -> Iterator[Callable[[str, str], str]]:
    """Makes another server of that name and flavor; it goes with the test."""
    made: list[str] = []

    def make(name: str, flavor: str) -> str:
        made.append(create(admin, name, flavor=flavor))
        admin.wait_for_status(made[-1], "ACTIVE")
        return made[-1]

    yield make
    for server in made:
        admin.delete(server)


@pytest.fixture
def vm1(servers: dict[str, str]) -> str:
    return servers["vm1"]


@pytest.fixture
def vm2(servers: dict[str, str]) -> str:
    return servers["vm2"]


@pytest.fixture
def clean(admin: Person, servers: dict[str, str]) -> Iterator[None]:
    """The demo's three servers without settings, before and after."""
    clear(admin, servers.values())
    yield
    clear(admin, servers.values())


@pytest.fixture
def no_balloon(admin: Person) -> Iterator[str]:
    server = create(admin, "without-balloon", IMAGE_WITHOUT_BALLOON)
    admin.wait_for_status(server, "ACTIVE")
    yield server
    admin.delete(server)


@pytest.fixture(scope="session")
def host(admin: Person, servers: dict[str, str]) -> Observer:
    addresses = {
        server: admin.show(server)["addresses"][NETWORK][0]["addr"] for server in servers.values()
    }
    return Observer(Layout.of_environment(), addresses)


@pytest.fixture
def kept(admin: Person, host: Observer, vm2: str) -> Iterator[str]:
    """vm2, with a setting for everything."""
    # a test that failed may have left it on its way
    admin.wait_for_status(vm2, "ACTIVE")
    wait_for(lambda: admin.act(vm2, "set-qos", SETTINGS)[0] == 200, DRIVER_S, "all are set")
    await_applied(admin, vm2)
    await_held(host, vm2, SETTINGS, 0)
    yield vm2
    admin.act(vm2, "set-qos", dict.fromkeys(SETTINGS))
