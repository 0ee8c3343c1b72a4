# SPDX-License-Identifier: Apache-2.0
"""An administrator in a real browser on the demo's cloud; the host is looked at with virsh."""

import re
from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.cloud.api import Person, wait_for
from tests.dashboard.browser.chrome import Chrome
from tools.bed.observer import Observer


@pytest.fixture
def first(pair: dict[str, str]) -> str:
    return next(iter(pair.values()))


@pytest.fixture
def second(pair: dict[str, str]) -> str:
    return list(pair.values())[1]


@pytest.fixture
def path(compute: str) -> str:
    return f"/admin/qos/hosts/{compute}/"


@pytest.fixture(autouse=True)
def _without_settings(admin: Person, pair: dict[str, str]) -> Iterator[None]:
    yield
    for server in pair.values():
        report = admin.act(server, "get-qos")[1]
        admin.act(server, "set-qos", {**dict.fromkeys(report), "policy": None})


def shares(seen: Observer, server: str) -> int:
    return seen.virsh_value("schedinfo", server, "cpu_shares")


def test_the_hosts(person: Chrome, compute: str) -> None:
    person.open("/admin/qos/")
    person.wait(lambda: re.search(r"calm|tense|short", person.row(compute).text), "the state")
    person.wait(lambda: "warning" not in person.row(compute).get_attribute("class"), "the counts")
    assert person.axe() == []
    person.shoot("hosts", 600)


def test_a_host_with_its_servers(
    person: Chrome, path: str, pair: dict[str, str]
) -> None:
    person.open(path)
    for name, server in pair.items():
        # a name is text, whatever stands in it; Horizon keeps its AngularJS from what looks like
        # an expression
        shown = name.replace("{$", "{%").replace("$}", "%}")
        assert shown in person.row_text(server)
        assert "49" not in person.row_text(server).split()[0]
    assert person.axe() == []


def test_by_keyboard_alone(
    person: Chrome, path: str, first: str, seen: Observer
) -> None:
    person.open(path)
    before = shares(seen, first)
    person.tab_to(f'tr[data-object-id="{first}"] a[href*="/set/"]')
    person.press(Keys.ENTER)
    person.one(".modal #id_memory")
    person.tab_to("#id_cpu_priority")
    person.press("2048")
    person.press(Keys.ENTER)
    preview = person.one("#qos_preview").text
    # nothing has been sent
    assert "cpu_priority unset -> 2048" in preview
    assert shares(seen, first) == before
    assert person.axe() == []
    person.shoot("set", 800)
    person.wait(lambda: person.driver.execute_script(
        "return document.activeElement.matches('.modal input')"), "the focus is in the dialog")
    person.tab_to('.modal input[type="submit"]')
    person.press(Keys.ENTER)
    person.wait(lambda: "cpu_priority 2048 shares" in person.text, "it is told")
    assert shares(seen, first) == 2048
    assert "Applied" in person.row_text(first)


def test_unset_for_several(
    person: Chrome, path: str, pair: dict[str, str], admin: Person, seen: Observer
) -> None:
    for server in pair.values():
        assert admin.act(server, "set-qos", {"cpu_priority": 512})[0] == 200
    person.open(path)
    for server in pair.values():
        # Horizon draws its boxes by their labels
        person.one(f'tr[data-object-id="{server}"] .multi_select_column label').click()
    person.one("#servers__action_unset_selected").click()
    assert person.one("#qos_preview").text.count("cpu_priority 512 -> unset") == 2
    assert [shares(seen, server) for server in pair.values()] == [512, 512]
    assert person.axe() == []
    person.one('#qos_unset_form input[type="submit"]').click()
    person.wait(lambda: person.text.count("all settings unset") == 2, "both are told")
    assert [shares(seen, server) for server in pair.values()] == [1024, 1024]


def test_a_refusal_is_read_in_the_dialog(person: Chrome, path: str, first: str) -> None:
    person.open(path)
    person.row(first).find_element("css selector", 'a[href*="/set/"]').click()
    person.fill("memory", "8")
    assert "memory unset -> 8" in person.previewed()
    person.submit()
    said = person.one(".modal .alert-danger").text
    assert re.search(r"memory: 8 MiB is less than the guest needs.*\(HTTP 409\) "
                     r"\(Request-ID: req-[-\w]+\)", said)
    assert person.axe() == []
    person.shoot("refusal", 620)


def test_memory_is_moved(
    person: Chrome, path: str, pair: dict[str, str], admin: Person, seen: Observer
) -> None:
    first, second = pair.values()
    for server, memory in ((first, 240), (second, 200)):
        wait_for(lambda server=server, memory=memory: admin.act(
            server, "set-qos", {"memory": memory})[0] == 200, 60, "it has less")
    person.open(path)
    row = person.row(first)
    row.find_element("css selector", ".dropdown-toggle").click()
    row.find_element("css selector", 'a[href*="/move/"]').click()
    person.one(".modal #id_amount")
    person.choose("target", "panel-{")
    person.fill("amount", "16M")
    preview = person.previewed()
    assert "memory 240 -> 224" in preview
    assert "memory 200 -> 216" in preview
    assert person.axe() == []
    person.submit()
    person.wait(lambda: "memory 224 MiB" in person.text, "it is told")
    wait_for(lambda: [seen.virsh_value("dommemstat", each, "actual") // 1024
                      for each in (first, second)] == [224, 216], 60, "virsh sees it")


@pytest.fixture
def named(admin: Person, pair: dict[str, str]) -> Iterator[str]:
    """A name for a policy, which goes with the test."""
    name = "panel-gold"
    yield name
    for server in pair.values():
        # who uses it would keep it
        admin.act(server, "set-qos", {"policy": None})
    for each in admin.request("GET", f"/os-qos-policies?name={name}").json()["policies"]:
        assert admin.request("DELETE", f"/os-qos-policies/{each['id']}").ok


def test_a_policy_from_its_creation_to_its_end(
    person: Chrome, path: str, first: str, named: str, seen: Observer
) -> None:
    person.open("/admin/qos/?tab=qos__policies")
    person.one("#policies__action_create").click()
    person.fill("name", named)
    person.fill("cpu_priority", "600")
    assert "No server would change." in person.previewed()
    assert person.axe() == []
    person.submit()
    person.wait(lambda: f"Created policy: {named}" in person.text, "it is told")
    person.open(path)
    row = person.row(first)
    row.find_element("css selector", ".dropdown-toggle").click()
    row.find_element("css selector", 'a[href*="/assign/"]').click()
    person.one(".modal #qos_assign_form")
    person.choose("policy", named)
    assert f"policy {named}" in person.previewed()
    person.submit()
    person.wait(lambda: named in person.row(first).text, "the server has it")
    assert shares(seen, first) == 600
    person.open("/admin/qos/?tab=qos__policies")
    policies = person.driver.find_elements("css selector", "#policies tbody tr")
    mine = next(each for each in policies if named in each.text)
    mine.find_element("css selector", 'a[href*="/edit/"]').click()
    person.one(".modal #id_cpu_priority")
    person.fill("cpu_priority", "700")
    assert "cpu_priority 600 -> 700" in person.previewed()
    assert "1 server would be changed" in person.text
    assert person.axe() == []
    person.submit()
    # what tells it fades after some seconds
    person.wait(lambda: "cpu_priority 700" in person.one("#policies tbody").text, "it is listed")
    wait_for(lambda: shares(seen, first) == 700, 30, "virsh sees the edit")
    person.open("/admin/qos/?tab=qos__policies")
    person.wait(lambda: named in person.text, "the list")
    person.shoot("policies", 600)
    person.one('#policies tbody td.anchor a').click()
    person.wait(lambda: first in person.text, "it is used by the server")


def test_pending_becomes_applied_without_a_reload(
    person: Chrome, path: str, second: str, admin: Person
) -> None:
    """A balloon moves only when the guest's kernel is there."""
    admin.act(second, "os-stop")
    admin.wait_for_status(second, "SHUTOFF")
    assert admin.act(second, "set-qos", {"memory": 200})[0] == 202
    admin.act(second, "os-start")
    admin.wait_for_status(second, "ACTIVE")
    person.open(path)
    assert "Pending" in person.row_text(second)
    person.driver.execute_script("window.untouched = true")
    person.wait(lambda: "Applied" in person.row(second).text, "it is applied", 120)
    assert person.driver.execute_script("return window.untouched")


def test_the_tab_of_an_instance(person: Chrome, first: str) -> None:
    person.open(f"/admin/instances/{first}/detail?tab=instance_details__qos")
    assert "CPU priority" in person.one("#qos_instance").text
    assert person.axe() == []
    person.shoot("instance", 900)
    person.one('a.ajax-modal[href*="/set/"]').click()
    person.one(".modal #id_cpu_priority")


@pytest.mark.parametrize("user", ["demo", "reader"])
def test_who_is_no_administrator_only_looks(
    user: str, chrome: Callable[[str], Chrome], first: str
) -> None:
    browser = chrome(user)
    browser.open(f"/project/instances/{first}/?tab=instance_details__qos")
    assert "CPU priority" in browser.one("#qos_instance").text
    assert browser.count('a[href*="/set/"]') == 0
    browser.open("/admin/qos/")
    assert browser.count("#hosts") == 0


def test_another_theme(person: Chrome, path: str) -> None:
    person.driver.add_cookie({"name": "theme", "value": "material"})
    try:
        person.open(path)
        person.one("#servers")
        assert person.axe() == []
    finally:
        person.driver.delete_cookie("theme")
