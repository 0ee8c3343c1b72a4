# SPDX-License-Identifier: Apache-2.0
"""The list of hosts and the page of a host."""

import re

import pytest

from nova_qos.core.server import Flavor
from tests.dashboard.api import fault
from tests.dashboard.double import Double
from tests.dashboard.inside import HOST, Browser, text

INDEX = "/admin/qos/"


def test_hosts_come_with_one_request(admin: Browser, cloud: Double) -> None:
    cloud.host.add("web", own={"memory_guarantee": 100, "cpu_guarantee": 20})
    page = text(admin.get(INDEX))
    assert cloud.counted == {"GET /os-qos/hosts": 1}
    assert "100 / 60000" in page
    assert "20 / 800" in page


def test_counts_come_with_the_row(admin: Browser, cloud: Double) -> None:
    cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "it does not run"})
    cloud.host.add("idle", own={"io_priority": 500}, idle={"io_priority": "no bfq"})
    status, row = admin.row(INDEX, "compute")
    assert status == 200
    cells = [text(each) for each in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    # drifted, pending, without effect
    assert cells[-3:] == ["0", "1", "1"]
    assert "warning" not in row


def test_a_page_of_a_hundred_servers_costs_three_requests(admin: Browser, cloud: Double) -> None:
    for number in range(100):
        cloud.host.add(f"vm{number}", own={"cpu_priority": 1024 + number})
    page = admin.get(HOST)
    assert page.count("data-object-id=") == 100
    assert sum(cloud.counted.values()) <= 3


def test_parts_and_sums(admin: Browser, cloud: Double) -> None:
    for name, shares in (("small", 1024), ("large", 3072)):
        cloud.host.add(name, own={"cpu_priority": shares}, flavor=Flavor(512, vcpus=8))
    page = text(admin.get(HOST))
    assert "25.0" in page
    assert "75.0" in page
    assert "Sum 16 1024 1024 100.0 100.0" in page


def test_a_state_has_its_reason_as_a_tooltip(admin: Browser, cloud: Double) -> None:
    cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "the guest <sleeps>"})
    page = admin.get(HOST)
    assert 'title="cpu_priority: the guest &lt;sleeps&gt;"' in page
    assert "Pending" in text(page)


def test_what_is_pending_is_asked_for_again_until_it_is_applied(
    admin: Browser, cloud: Double
) -> None:
    server = cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "soon"})
    cloud.host.add("calm")
    page = admin.get(HOST)
    classes = {each[1]: each[0] for each in re.findall(
        r'<tr\s+class="([^"]*)"[^>]*data-object-id="([^"]+)"', page)} or {
        each[0]: each[1] for each in re.findall(
            r'<tr[^>]*data-object-id="([^"]+)"[^>]*class="([^"]*)"', page)}
    assert "warning" in classes[server.id]
    assert [each for each in classes.values() if "warning" in each] == [classes[server.id]]
    server.late.clear()
    status, row = admin.row(HOST, server.id)
    assert status == 200
    assert "status_up" in row
    columns = len(re.findall(r"<th\b", page.partition('id="servers"')[2].partition("</thead>")[0]))
    assert len(re.findall(r"<td\b", row)) == columns


def test_a_server_that_has_left_is_gone_from_the_page(admin: Browser, cloud: Double) -> None:
    server = cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "soon"})
    cloud.host.add("stays")
    url = admin.update_url(HOST, server.id)
    del cloud.host.servers[server.id]
    assert admin.ajax(url)[0] == 404


def test_a_stopped_server_is_not_asked_for_again(admin: Browser, cloud: Double) -> None:
    cloud.host.add("off", status="SHUTOFF", own={"cpu_priority": 9},
                   late={"cpu_priority": "it does not run"})
    assert not re.search(r'<tr[^>]*class="[^"]*warning', admin.get(HOST))


@pytest.mark.parametrize("name", ["<b>x</b>", "{$7*7$}", '"><script>alert(1)</script>', "%s%(a)s"])
def test_names_are_text(name: str, admin: Browser, cloud: Double) -> None:
    server = cloud.host.add(name, own={"cpu_priority": 3})
    for page in (admin.get(HOST), admin.get(f"{HOST}set/?server={server.id}"),
                 admin.post(f"{HOST}set/?server={server.id}", cpu_priority="9")):
        assert "<b>x</b>" not in page
        assert "<script>alert" not in page
        assert "{$7*7$}" not in page


def test_columns_without_content_are_left_out(admin: Browser, cloud: Double) -> None:
    cloud.host.add("plain")
    assert "Inbound" not in text(admin.get(HOST))
    cloud.host.add("limited", own={"io_limit": 500})
    page = text(admin.get(HOST))
    assert "Limits, guarantees" in page
    assert "io_limit 500 IOPS" in page


def test_a_link_to_grafana_where_a_setting_names_it(admin: Browser, cloud: Double) -> None:
    cloud.host.add("web")
    assert "https://grafana.example/host?var-instance=compute" in admin.get(HOST)


def test_the_agent_is_away(admin: Browser, cloud: Double) -> None:
    cloud.host.agent, cloud.host.reason = "down", "there is no nova-qos-agent on host compute"
    cloud.host.add("web", own={"cpu_priority": 9})
    for path in (INDEX, HOST):
        assert "there is no nova-qos-agent on host compute" in admin.get(path)
    status, row = admin.row(INDEX, "compute")
    assert (status, "status_down" in row) == (200, True)


@pytest.mark.parametrize(("answer", "said"), [
    ((404, {"message": "The resource could not be found."}, {}), "nova has no nova-qos"),
    (fault(403, "Policy doesn't allow os_compute_api:os-qos:hosts to be performed."),
     "Policy doesn't allow"),
    (fault(500, "Unexpected API Error."), "Unexpected API Error."),
    ((502, "<html>Bad Gateway</html>", {}), "refused without a message"),
    ((200, "<html>Log in</html>", {}), "the answer is not nova's")])
def test_what_cannot_be_had_is_said(
    answer: tuple[int, object, dict[str, str]], said: str, admin: Browser, cloud: Double
) -> None:
    for path in ("/os-qos", "/os-qos/hosts"):
        cloud.instead["GET", path] = answer
    for path in (INDEX, HOST):
        assert said in text(admin.get(path))
    # back to the host, with the reason
    admin.get(f"{HOST}set/?server=x", status=302)
    assert said in text(admin.get(HOST))


@pytest.mark.parametrize("answer", [
    fault(500, "Unexpected API Error."), fault(403, "Policy doesn't allow it."),
    (404, {"message": "The resource could not be found."}, {})])
def test_a_row_that_cannot_be_brought_again_stays(
    answer: tuple[int, object, dict[str, str]], admin: Browser, cloud: Double
) -> None:
    server = cloud.host.add("late", own={"cpu_priority": 99}, late={"cpu_priority": "soon"})
    for path, name in ((INDEX, "compute"), (HOST, server.id)):
        url = admin.update_url(path, name)
        cloud.instead = {("GET", "/os-qos"): answer, ("GET", "/os-qos/hosts"): answer}
        assert admin.ajax(url)[0] == 503
        cloud.instead = {}


def test_who_is_logged_out_meanwhile_goes_to_log_in(admin: Browser, cloud: Double) -> None:
    server = cloud.host.add("web")
    gone = fault(401, "The request you have made requires authentication.")
    paths = ("/os-qos", "/os-qos/hosts", "/os-qos-policies", "/os-qos-policies/7")
    cloud.instead = {("GET", path): gone for path in paths}
    for path in (HOST, f"{HOST}set/?server={server.id}", "/admin/qos/policies/7/", INDEX,
                 "/admin/qos/?tab=qos__policies", "/admin/qos/policies/7/edit/"):
        answer = admin._client.get(path)
        assert (answer.status_code, "/auth/login/" in answer.headers.get("Location", "")) == (
            302, True), path


def test_a_host_that_is_not_there(admin: Browser, cloud: Double) -> None:
    cloud.instead["GET", "/os-qos"] = fault(404, "there is no compute host nowhere")
    assert "there is no compute host nowhere" in text(admin.get("/admin/qos/hosts/nowhere/"))


@pytest.mark.parametrize("user", ["member", "reader"])
def test_who_is_no_administrator_has_no_panel(user: str, browse, cloud: Double) -> None:
    person = browse(user)
    assert "/admin/qos/" not in person.get("/settings/")
    answer = person._client.get(INDEX)
    assert answer.status_code in (302, 403)


def test_it_uses_the_persons_token(admin: Browser, cloud: Double) -> None:
    admin.get(HOST)
    assert len(cloud.tokens) == 1
    assert cloud.tokens != {""}
