# SPDX-License-Identifier: Apache-2.0
"""The dialogs that set, assign and move, and what they show before they send anything."""

import pytest

from nova_qos.core.server import Flavor
from tests.dashboard.api import fault
from tests.dashboard.double import Double
from tests.dashboard.host import Server
from tests.dashboard.inside import HOST, Browser, seen, text

WRITES = ("POST", "PUT", "DELETE")


def dialog(name: str, *servers: Server) -> str:
    query = "&".join(f"server={each.id}" for each in servers)
    return f"{HOST}{name}/?{query}"


def sent(cloud: Double) -> int:
    """How many requests have changed something."""
    return sum(count for asked, count in cloud.counted.items() if asked.startswith(WRITES))


@pytest.fixture
def web(cloud: Double) -> Server:
    return cloud.host.add("web", own={"cpu_priority": 2048}, flavor=Flavor(512, vcpus=8))


@pytest.fixture
def neighbour(cloud: Double) -> Server:
    return cloud.host.add("neighbour", flavor=Flavor(512, vcpus=8))


def test_a_field_says_which_priority_is_the_highest(admin: Browser, web: Server) -> None:
    page = text(admin.get(dialog("set", web)))
    assert page.count("prio, 0 to 98; -1: none. 0 is the highest. Now: none.") == 2
    assert page.count("is the highest") == 2


def test_the_neighbours_parts_are_shown_before_anything_is_sent(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    page = text(admin.post(dialog("set", web), cpu_priority="3072"))
    assert sent(cloud) == 0
    assert "cpu_priority 2048 -> 3072" in page
    assert "66.7 → 75.0" in page
    assert "33.3 → 25.0" in page
    assert web.own == {"cpu_priority": 2048}


def test_sent_again_it_is_set(admin: Browser, cloud: Double, web: Server) -> None:
    page = text(admin.twice(dialog("set", web), cpu_priority="3072", memory="384M"))
    assert web.own == {"cpu_priority": 3072, "memory": 384}
    assert "web: " in page
    assert sent(cloud) == 1


def test_what_was_changed_after_the_preview_is_shown_again(
    admin: Browser, cloud: Double, web: Server
) -> None:
    page = admin.post(dialog("set", web), cpu_priority="3072")
    page = text(admin.post(dialog("set", web), cpu_priority="4096", seen=seen(page)))
    assert sent(cloud) == 0
    assert "cpu_priority 2048 -> 4096" in page


def test_an_empty_field_unsets(admin: Browser, cloud: Double, web: Server) -> None:
    admin.twice(dialog("set", web), cpu_priority="")
    assert web.own == {}


def test_what_an_unset_setting_leaves_to_a_policy(
    admin: Browser, cloud: Double, web: Server
) -> None:
    web.policy = cloud.host.add_policy("gold", {"cpu_priority": 512}).number
    assert "cpu_priority 2048 (server) -> 512" not in (
        page := text(admin.post(dialog("set", web), cpu_priority="")))
    assert "512" in page.partition("what would change")[2]
    assert "policy gold" in page.partition("what would change")[2]


@pytest.mark.parametrize(("field", "value", "said"), [
    ("cpu_priority", "1", "1 is not within 2 to 262144."),
    ("memory", "513", "513 is not within 1 to 512."),
    ("memory", "lots", "'lots' is not a size; write MiB or a unit"),
    ("net_priority", "-2", "-2 is not within 0 to 98.")])
def test_a_field_says_what_is_wrong(
    field: str, value: str, said: str, admin: Browser, cloud: Double, web: Server
) -> None:
    assert said in text(admin.post(dialog("set", web), **{field: value}))
    assert sent(cloud) == 0


def test_nothing_was_changed(admin: Browser, cloud: Double, web: Server) -> None:
    assert "Nothing was changed." in text(admin.post(dialog("set", web)))


def test_a_refusal_stays_in_the_dialog_with_its_number(
    admin: Browser, cloud: Double, web: Server
) -> None:
    status, body, _ = fault(409, "memory: 100 MiB is less than the guest needs")
    cloud.instead["POST", f"/servers/{web.id}/action"] = (
        status, body, {"x-openstack-request-id": "req-5"})
    mark = seen(admin.post(dialog("set", web), memory="100"))
    page = text(admin.post(dialog("set", web), memory="100", seen=mark))
    assert ("memory: 100 MiB is less than the guest needs (HTTP 409) (Request-ID: req-5)"
            in page)
    # and what was written is still there
    assert 'value="100"' in admin.post(dialog("set", web), memory="100", seen=mark)


def test_several_servers_at_once(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    page = admin.get(dialog("set", web, neighbour))
    assert "different; stays as it is" in page
    admin.twice(dialog("set", web, neighbour), io_priority="300")
    assert web.own == {"cpu_priority": 2048, "io_priority": 300}
    assert neighbour.own == {"io_priority": 300}
    assert sent(cloud) == 1


def test_several_different_settings_are_unset_by_the_word(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    admin.twice(dialog("set", web, neighbour), cpu_priority="unset")
    assert web.own == neighbour.own == {}


def test_selected_rows_lead_to_the_dialog(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    page = text(admin.act(HOST, "servers", "set_selected", web.id, neighbour.id))
    assert "web , neighbour" in page


def test_all_settings_are_unset(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    neighbour.own = {"memory": 100}
    page = admin.act(HOST, "servers", "unset_selected", web.id, neighbour.id)
    # the dialog begins with what would come of it
    assert "cpu_priority 2048 -> unset 66.7 → 50.0" in text(page)
    assert "memory 100 -> unset 33.3 → 50.0" in text(page)
    assert sent(cloud) == 0
    admin.post(dialog("unset", web, neighbour), status=302, seen=seen(page))
    assert web.own == neighbour.own == {}
    assert "web: all settings unset" in text(admin.get(HOST))
    assert sent(cloud) == 1


def test_what_is_unset_shows_the_neighbours_and_what_policies_say(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    web.policy = cloud.host.add_policy("gold", {"cpu_priority": 512}).number
    page = text(admin.get(dialog("unset", web)))
    assert "cpu_priority 2048 -> 512 (policy gold)" in page
    assert "neighbour 33.3 → 66.7" in page


def test_a_setting_that_comes_meanwhile_is_shown_before_it_is_unset(
    admin: Browser, cloud: Double, web: Server
) -> None:
    mark = seen(admin.get(dialog("unset", web)))
    web.own["memory"] = 100
    page = text(admin.post(dialog("unset", web), seen=mark))
    assert "memory 100 -> unset" in page
    assert web.own == {"cpu_priority": 2048, "memory": 100}


def test_there_is_nothing_to_unset(admin: Browser, cloud: Double, neighbour: Server) -> None:
    assert "There are no settings to unset." in text(admin.get(dialog("unset", neighbour)))
    assert "There are no settings to unset." in text(admin.post(dialog("unset", neighbour)))
    assert sent(cloud) == 0


def test_one_of_several_fails(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    results = [{"server": web.id, "code": 200, "qos": cloud.host.qos(web)},
               {"server": neighbour.id, "code": 409, "error": {"message": "it is locked"}}]
    cloud.instead["POST", "/os-qos"] = (
        207, {"results": results}, {"x-openstack-request-id": "req-7"})
    page = text(admin.twice(dialog("set", web, neighbour), io_priority="300"))
    assert "neighbour: it is locked (HTTP 409) (Request-ID: req-7)" in page


def test_a_policy_is_assigned(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    gold = cloud.host.add_policy("gold", {"io_priority": 700})
    page = text(admin.post(dialog("assign", web), policy="gold"))
    assert "io_priority unset -> 700 (policy gold)" in page
    admin.twice(dialog("assign", web), policy="gold")
    assert web.policy == gold.number
    assert "gold" in text(admin.get(HOST))
    admin.twice(dialog("assign", web), policy="")
    assert web.policy is None


def test_memory_is_moved(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    neighbour.own = {"memory": 256}
    page = text(admin.post(dialog("move", web), target=neighbour.id, amount="128"))
    assert "memory unset -> 384" in page
    assert "memory 256 -> 384" in page
    admin.twice(dialog("move", web), target=neighbour.id, amount="128")
    assert (web.own["memory"], neighbour.own["memory"]) == (384, 384)
    assert cloud.counted["POST /os-qos"] == 1


def test_a_move_is_refused(
    admin: Browser, cloud: Double, web: Server, neighbour: Server
) -> None:
    # it has all that its flavor has
    page = text(admin.post(dialog("move", web), target=neighbour.id, amount="128"))
    assert "640 is not within 1 to 512" in page
    assert "Nothing would be moved." in text(
        admin.post(dialog("move", web), target=neighbour.id, amount="0"))


def test_a_server_that_has_gone(admin: Browser, cloud: Double, web: Server) -> None:
    del cloud.host.servers[web.id]
    admin.get(dialog("set", web), status=302)
    assert "no longer on this host" in text(admin.get(HOST))
