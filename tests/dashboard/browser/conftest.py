# SPDX-License-Identifier: Apache-2.0
"""Browsers on the demo's Horizon, which ``tools/demo.sh --dashboard`` has brought up, and on one
whose cloud is in memory."""

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.conftest import create
from tests.dashboard.browser.chrome import Chrome
from tests.dashboard.double import Double
from tools.bed.dashboard import Horizon
from tools.bed.observer import Observer
from tools.bed.stack import host, services
from tools.bed.stack.__main__ import horizon
from tools.bed.stack.layout import PASSWORD, Layout
from tools.bed.stack.tenants import credentials


@pytest.fixture(scope="session")
def layout() -> Layout:
    return Layout.of_environment()


@pytest.fixture(scope="session")
def seen(layout: Layout) -> Observer:
    """The demo's compute host, looked at with tools that are not ours."""
    return Observer(services.libvirt(layout), host.uplink)


@pytest.fixture(scope="session")
def admin() -> Person:
    return Person(credentials("admin"))


@pytest.fixture(scope="session")
def pair(admin: Person) -> Iterator[dict[str, str]]:
    """Two servers whose names would be marks if they were no text."""
    names = ("panel-<b>x</b>", "panel-{$7*7$}")
    made = {name: create(admin, name, flavor="m256") for name in names}
    for server in made.values():
        admin.wait_for_status(server, "ACTIVE")
    for server in made.values():
        wait_for(lambda server=server: admin.act(server, "balloon-driver-enabled")[1].get(
            "ballooning_enabled"), 90, "its balloon driver lives")
    yield made
    for server in made.values():
        admin.delete(server)


@pytest.fixture(scope="session")
def compute(admin: Person, pair: dict[str, str]) -> str:
    """The name of their host."""
    return str(admin.show(next(iter(pair.values())))["OS-EXT-SRV-ATTR:host"])


@pytest.fixture(scope="session")
def chrome(layout: Layout) -> Iterator[Callable[[str], Chrome]]:
    """A browser in which that person is logged in to the demo's Horizon."""
    open_ones: dict[str, Chrome] = {}

    def chrome(user: str) -> Chrome:
        if user not in open_ones:
            open_ones[user] = Chrome(horizon(layout).url).log_in(user, PASSWORD)
        return open_ones[user]

    yield chrome
    for each in open_ones.values():
        each.driver.quit()


@pytest.fixture
def person(chrome: Callable[[str], Chrome]) -> Iterator[Chrome]:
    """An administrator's browser, in which nothing of ours goes wrong, and which asks nobody but
    Horizon."""
    browser = chrome("admin")
    browser.console(), list(browser.requested())
    yield browser
    assert browser.console() == []
    assert {each for each in browser.requested()
            if not each.startswith((browser.url, "data:", "blob:"))} == set()


@pytest.fixture(scope="session")
def in_memory(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[
        tuple[Double, Chrome]]:
    """A cloud in memory, and a browser in which its administrator is logged in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    with Double() as cloud:
        mine = Horizon(
            tmp_path_factory.mktemp("horizon"), Path(sys.prefix), layout.program("uwsgi"),
            f"{cloud.url}/v3", listen, {})
        mine.prepare()
        daemon = mine.daemon()
        daemon.start()
        browser = Chrome(mine.url).log_in("admin", "x")
        yield cloud, browser
        browser.driver.quit()
        daemon.stop()
