# SPDX-License-Identifier: Apache-2.0
"""What the demo's cloud does not have: a hundred servers on a host, no nova-qos, a stuck agent."""

import pytest

from nova_qos.core.server import Flavor
from tests.dashboard.browser.chrome import Chrome
from tests.dashboard.double import Double

HOST, POLICIES = "/admin/qos/hosts/compute/", "/admin/qos/?tab=qos__policies"


@pytest.fixture
def cloud(in_memory: tuple[Double, Chrome]) -> Double:
    in_memory[0].clear()
    return in_memory[0]


@pytest.fixture
def browser(in_memory: tuple[Double, Chrome]) -> Chrome:
    in_memory[1].console()
    return in_memory[1]


def test_a_hundred_servers(browser: Chrome, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {"io_priority": 700})
    for number in range(100):
        cloud.host.add(
            f"server-{number:03}", flavor=Flavor(512 * (1 + number % 4), vcpus=1 + number % 4),
            own={"cpu_priority": 1024 + 10 * number, "memory_guarantee": 128, "net_priority": 40,
                 **({"io_limit": 500, "cpu_limit": 50} if number % 3 else {})},
            idle={"io_limit": "no disk of the server can be limited"} if number == 4 else {},
            policy=gold.number if number % 5 == 0 else None)
    browser.open(HOST)
    browser.wait(lambda: browser.count("#servers tbody tr") == 100, "there are a hundred rows")
    assert sum(cloud.counted.values()) <= 3
    browser.shoot("host", 900)
    # sorted by the browser, by a number
    header = next(each for each in browser.driver.find_elements("css selector", "#servers th")
                  if each.text.startswith("CPU shares"))
    header.click()
    header.click()
    assert browser.wait(lambda: "server-099" in browser.one("#servers tbody tr").text, "sorted")
    field = browser.one('input[name="servers__filter__q"]')
    field.send_keys("server-04")
    browser.wait(lambda: sum(each.is_displayed() for each in browser.driver.find_elements(
        "css selector", "#servers tbody tr")) == 10, "filtered")
    assert browser.axe() == []
    assert browser.console() == []


def test_pending_becomes_applied_without_a_reload(browser: Chrome, cloud: Double) -> None:
    server = cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "soon"})
    cloud.host.add("calm")
    browser.open(HOST)
    assert "Pending" in browser.row_text(server.id)
    browser.driver.execute_script("window.untouched = true")
    server.late.clear()
    browser.wait(lambda: "Applied" in browser.row(server.id).text, "it is applied")
    assert browser.driver.execute_script("return window.untouched")


def test_this_cloud_has_no_nova_qos(browser: Chrome, cloud: Double) -> None:
    for path in ("/os-qos", "/os-qos/hosts", "/os-qos-policies"):
        cloud.instead["GET", path] = 404, {"message": "The resource could not be found."}, {}
    for path in ("/admin/qos/", HOST, POLICIES):
        browser.open(path)
        assert "Not available:" in browser.one(".alert-warning").text
        assert browser.axe() == []


def test_no_host_yet(browser: Chrome, cloud: Double) -> None:
    browser.open(HOST)
    assert "No items to display." in browser.one("#servers").text
    assert browser.axe() == []


def test_unset_shows_what_would_change(browser: Chrome, cloud: Double) -> None:
    server = cloud.host.add("web", own={"cpu_priority": 2048}, flavor=Flavor(512, vcpus=8))
    cloud.host.add("neighbour", flavor=Flavor(512, vcpus=8))
    browser.open(HOST)
    browser.row(server.id).find_element("css selector", ".dropdown-toggle").click()
    browser.row(server.id).find_element("css selector", 'a[href*="/unset/"]').click()
    shown = browser.one(".modal #qos_preview").text
    assert "cpu_priority 2048 -> unset" in shown
    assert "neighbour" in shown
    assert server.own == {"cpu_priority": 2048}
    assert browser.axe() == []
    browser.submit()
    browser.wait(lambda: "all settings unset" in browser.text, "it is told")
    assert server.own == {}


def test_a_policy_and_its_projects_are_previewed(browser: Chrome, cloud: Double) -> None:
    cloud.host.add("web", flavor=Flavor(512, vcpus=8))
    browser.open(POLICIES)
    browser.one("#policies__action_create").click()
    browser.fill("name", "gold")
    browser.fill("cpu_priority", "2048")
    assert "No server would change." in browser.previewed()
    assert browser.axe() == []
    browser.submit()
    browser.wait(lambda: "Created policy: gold" in browser.text, "it is told")
    browser.open(POLICIES)
    browser.one("#policies tbody .dropdown-toggle").click()
    browser.one('#policies tbody a[href*="/projects/"]').click()
    browser.one(".modal #id_projects")
    browser.choose("projects", "demo")
    assert "cpu_priority unset -> 2048 (policy gold)" in browser.previewed()
    assert cloud.host.catalog.projects == {}
    assert browser.axe() == []
    browser.submit()
    browser.wait(lambda: cloud.host.catalog.projects, "the project has it")
    assert browser.console() == []
