# SPDX-License-Identifier: Apache-2.0
"""Settings of memory on a host that is balanced: what is answered, saved, held and shown."""

from collections.abc import Callable, Iterator

import pytest

from nova_qos.agent.balance.given import Gift, Given
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.values import FLAVOR_MIB

WHY = "host tense: gives 112 MiB to servers in need"
Give = Callable[..., None]


@pytest.fixture
def given(cloud: Cloud, server: Server) -> Iterator[Given]:
    """What the balancer of the server's host gives."""
    given = cloud.agents["compute"].manager.given
    yield given
    given.clear()


@pytest.fixture
def give(given: Given, server: Server) -> Give:
    """Give the server so much; its balloon has that size."""
    def give(memory_mib: int, most_mib: int = FLAVOR_MIB) -> None:
        server.domain.actual_kib = server.domain.target_kib = memory_mib * 1024
        given.replace({server.uuid: Gift(memory_mib, WHY, most_mib, FLAVOR_MIB)}, {server.uuid})

    return give


def shown(server: Server) -> dict[str, object]:
    answer = ADMIN.act(server, "get-qos")
    assert answer.status == 200
    found: dict[str, object] = answer.body["memory"]
    return found


def test_less_than_the_flavor_is_told_with_its_source(server: Server, give: Give) -> None:
    give(400)
    found = shown(server)
    assert (found["requested"], found["applied"], found["state"]) == (None, 400, "unset")
    assert (found["applied_source"], found["reason"]) == ("balancer", WHY)
    assert (found["source"], found["default"]) == ("none", FLAVOR_MIB)


def test_a_setting_is_the_most_and_no_drift(server: Server, give: Give) -> None:
    give(400)
    answer = ADMIN.act(server, "set-current-memory", {"memory": 500})
    assert (answer.status, answer.body) == (200, {"success": 1})
    assert server.saved() == {"memory": 500}
    assert (server.domain.actual_kib, server.domain.writes) == (400 * 1024, [])
    found = shown(server)
    assert (found["requested"], found["applied"], found["state"], found["source"]) == (
        500, 400, "applied", "server")
    assert found["effective"] is True


def test_a_setting_below_is_applied(server: Server, give: Give) -> None:
    give(400)
    answer = ADMIN.act(server, "set-qos", {"memory": 300})
    assert answer.status == 200
    assert answer.body["memory"]["applied"] == 300
    assert server.domain.actual_kib == 300 * 1024


def test_a_bound_below_what_the_guest_uses_waits(
    cloud: Cloud, server: Server, give: Give
) -> None:
    ADMIN.act(server, "set-qos", {"memory": 300})
    give(450, most_mib=300)
    server.domain.used_kib = 430 * 1024
    cloud.agents["compute"].manager.looker.balance(server.uuid)
    assert server.domain.target_kib == 450 * 1024
    found = shown(server)
    assert (found["requested"], found["applied"], found["state"]) == (300, 450, "refused")
    server.domain.used_kib = 64 * 1024
    cloud.agents["compute"].manager.looker.balance(server.uuid)
    assert server.domain.actual_kib == 300 * 1024
    assert shown(server)["state"] == "applied"


def test_more_again_waits_for_the_balancer(server: Server, give: Give, given: Given) -> None:
    give(400)
    ADMIN.act(server, "set-qos", {"memory": 300})
    give(300, most_mib=300)
    assert shown(server)["applied_source"] is None
    answer = ADMIN.act(server, "set-qos", {"memory": None})
    assert answer.status == 200
    assert server.domain.actual_kib == 300 * 1024
    assert server.saved() == {}
    assert shown(server)["applied"] == 300


def test_a_set_waits_for_what_the_balancer_will_say(
    server: Server, give: Give, given: Given
) -> None:
    give(400)
    given.replace({}, set())
    assert shown(server)["applied_source"] == "balancer"
    answer = ADMIN.act(server, "set-qos", {"memory": 300})
    assert answer.status == 200
    assert answer.body["memory"]["state"] == "pending"
    assert "yet to say" in answer.body["memory"]["reason"]
    assert server.saved() == {"memory": 300}
    assert (server.domain.actual_kib, server.domain.writes) == (400 * 1024, [])
    assert shown(server)["state"] == "refused"
    # what is more than it has is only the most that it may have
    ADMIN.act(server, "set-qos", {"memory": 450})
    assert shown(server)["state"] == "applied"


def test_what_nobody_balances_any_more_comes_back(
    cloud: Cloud, server: Server, give: Give, given: Given
) -> None:
    give(400)
    loop = cloud.agents["compute"].manager.loop
    loop.check_soon()
    eventually(lambda: server.lifted() == {"memory"})
    assert server.domain.actual_kib == 400 * 1024
    given.clear()
    loop.check_soon()
    eventually(lambda: server.lifted() == set())
    assert server.domain.actual_kib == FLAVOR_MIB * 1024


def test_a_server_that_comes_from_a_balanced_host_gets_everything_back(
    cloud: Cloud, server: Server, give: Give
) -> None:
    give(400)
    cloud.agents["compute"].manager.loop.check_soon()
    eventually(lambda: server.lifted() == {"memory"})
    try:
        server.change(host="second")
        server.arrive("second", keeping=("actual_kib", "target_kib"))
        eventually(lambda: server.domain.actual_kib == FLAVOR_MIB * 1024)
        eventually(lambda: server.lifted() == set())
    finally:
        server.change(host="compute")
        server.arrive("compute")


def test_the_host_tells(server: Server) -> None:
    answer = ADMIN.request("GET", "/os-qos/hosts?host=compute", None)
    assert answer.body["hosts"][0]["balancing"]["mode"] == "off"
