# SPDX-License-Identifier: Apache-2.0
"""Named policies: the list, the page of one, and the dialogs."""

import pytest

from nova_qos.core.server import Flavor
from tests.dashboard.api import fault
from tests.dashboard.double import Double
from tests.dashboard.host import PROJECT
from tests.dashboard.inside import Browser, seen, text

LIST, POLICY = "/admin/qos/?tab=qos__policies", "/admin/qos/policies/"


def test_the_list(admin: Browser, cloud: Double) -> None:
    cloud.host.add_policy("gold", {"cpu_priority": "512/vcpu", "io_limit": -1})
    page = text(admin.get(LIST))
    assert "cpu_priority 512/vcpu, io_limit -1 (unlimited)" in page
    assert cloud.counted == {"GET /os-qos-policies": 1}


def test_no_policies_yet(admin: Browser, cloud: Double) -> None:
    assert "No items to display." in text(admin.get(LIST))


def test_by_whom_it_is_used(admin: Browser, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {"io_priority": 700})
    server = cloud.host.add("web", policy=gold.number)
    page = admin.get(f"{POLICY}{gold.number}/")
    assert f"/admin/instances/{server.id}/" in page


def test_it_is_created(admin: Browser, cloud: Double) -> None:
    cloud.host.add("web", flavor=Flavor(512, vcpus=1))
    fields = {"name": "silver", "memory": "75%", "cpu_limit": "50%/vcpu", "io_rate_limit": "8M"}
    page = text(admin.post(f"{POLICY}create/", **fields))
    assert "0 servers would be changed." in page
    assert cloud.host.catalog.policies == {}
    assert "Created policy: silver" in text(admin.twice(f"{POLICY}create/", LIST, **fields))
    (made,) = cloud.host.catalog.policies.values()
    assert made.settings == {"memory": "75%", "cpu_limit": "50%/vcpu", "io_rate_limit": 8192}


def test_a_new_policy_shows_whom_it_reaches_at_once(admin: Browser, cloud: Double) -> None:
    for name, policy in (("named", "Silver"), ("plain", None)):
        cloud.host.add(name, flavor=Flavor(512, vcpus=8, policy=policy))
    fields = {"name": "silver", "cpu_priority": "2048"}
    page = text(admin.post(f"{POLICY}create/", **fields))
    assert "1 server would be changed" in page
    assert "named cpu_priority unset -> 2048 (policy silver) 50.0 → 66.7" in page
    assert "plain 50.0 → 33.3" in page
    page = text(admin.post(f"{POLICY}create/", **fields, is_default=True))
    assert "plain cpu_priority unset -> 2048 (default policy silver)" in page


def test_a_name_that_is_taken(admin: Browser, cloud: Double) -> None:
    cloud.host.add_policy("gold", {})
    page = text(admin.post(f"{POLICY}create/", name="Gold"))
    assert "there is a policy 'gold' already" in page


def test_a_refusal_stays_in_the_dialog(admin: Browser, cloud: Double) -> None:
    fields = {"name": "gold"}
    mark = seen(admin.post(f"{POLICY}create/", **fields))
    # somebody is faster
    cloud.host.add_policy("gold", {})
    page = text(admin.post(f"{POLICY}create/", **fields, seen=mark))
    assert "there is a policy 'gold' already (HTTP 409) (Request-ID: req-" in page


def test_a_field_says_what_is_wrong(admin: Browser, cloud: Double) -> None:
    page = text(admin.post(f"{POLICY}create/", name="x", io_priority="75%"))
    assert "'75%' is not a whole number" in page


def test_an_edit_shows_who_would_change(admin: Browser, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {"cpu_priority": 1024})
    server = cloud.host.add("web", policy=gold.number)
    cloud.host.add("neighbour")
    path = f"{POLICY}{gold.number}/edit/"
    page = admin.post(path, cpu_priority="2048")
    assert "1 server would be changed." in text(page)
    assert "cpu_priority 1024 -> 2048 (policy gold)" in text(page)
    assert cloud.host.catalog.policies[gold.number].settings == {"cpu_priority": 1024}
    admin.post(path, status=302, cpu_priority="2048", seen=seen(page))
    assert cloud.host.qos(server)["cpu_priority"]["requested"] == 2048


def test_somebody_has_changed_it_meanwhile(admin: Browser, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {})
    page = text(admin.post(f"{POLICY}{gold.number}/edit/", revision=7, memory="10"))
    assert "The policy was changed meanwhile." in page


def test_it_is_deleted_unless_somebody_uses_it(admin: Browser, cloud: Double) -> None:
    gold, silver = (cloud.host.add_policy(name, {}) for name in ("gold", "silver"))
    cloud.host.add("web", policy=gold.number)
    page = text(admin.act(LIST, "policies", "delete", str(gold.number), str(silver.number)))
    assert list(cloud.host.catalog.policies) == [gold.number]
    assert "gold: policy is used by 1 server; it is not deleted (HTTP 409)" in page
    assert "Deleted policy: silver" in page


def test_projects_get_it_and_lose_it(admin: Browser, cloud: Double) -> None:
    gold = cloud.host.add_policy("gold", {"cpu_priority": 2048})
    cloud.host.add("web", flavor=Flavor(512, vcpus=8))
    cloud.host.add("of another project", flavor=Flavor(512, vcpus=8), project="other")
    path = f"{POLICY}{gold.number}/projects/"
    page = text(admin.post(path, projects=[PROJECT]))
    assert "1 server would be changed." in page
    assert "web cpu_priority unset -> 2048 (policy gold) 50.0 → 66.7" in page
    assert "of another project 50.0 → 33.3" in page
    assert cloud.host.catalog.projects == {}
    assert "Changed the projects of policy gold." in text(
        admin.twice(path, LIST, projects=[PROJECT]))
    assert cloud.host.catalog.projects == {PROJECT: gold.number}
    assert "demo" in text(admin.get(LIST))
    page = text(admin.post(path, projects=[]))
    assert "web cpu_priority 2048 (policy gold) -> unset 66.7 → 50.0" in page
    admin.twice(path, LIST, projects=[])
    assert cloud.host.catalog.projects == {}
    assert "Nothing was changed." in text(admin.post(path, projects=[]))


@pytest.mark.parametrize(("answer", "said"), [
    ((404, {"message": "no route"}, {}), "this API has no named policies"),
    (fault(501, "named policies have no database"), "named policies have no database"),
    ((200, "<html>Log in</html>", {}), "the answer is not nova's")])
def test_this_cloud_has_none(
    answer: tuple[int, object, dict[str, str]], said: str, admin: Browser, cloud: Double
) -> None:
    cloud.instead["GET", "/os-qos-policies"] = answer
    server = cloud.host.add("web")
    assert said in text(admin.get(LIST))
    assert said in text(admin.get(f"/admin/qos/hosts/compute/assign/?server={server.id}"))


def test_a_thousand_take_one_request(admin: Browser, cloud: Double) -> None:
    for number in range(1000):
        cloud.host.add_policy(f"policy-{number:04}", {"io_limit": 100 + number})
    page = text(admin.get(LIST))
    assert "Displaying 1000 items" in page
    assert all(f"policy-{number:04}" in page for number in (0, 500, 999))
    assert cloud.counted == {"GET /os-qos-policies": 1}
    cloud.counted.clear()
    server = cloud.host.add("web")
    choices = admin.get(f"/admin/qos/hosts/compute/assign/?server={server.id}")
    assert choices.count("<option") > 1000
    assert cloud.counted["GET /os-qos-policies"] == 1
