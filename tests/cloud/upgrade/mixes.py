# SPDX-License-Identifier: Apache-2.0
"""What the page says of API, agent, clients and tables of two releases side by side."""

import pytest

from nova_qos.resources import TABLE
from tests.cloud.api import wait_for
from tests.cloud.sets import requested
from tests.cloud.test_documentation import run
from tests.cloud.test_many import change
from tests.cloud.upgrade.scene import LATER, PATH, SOON_S, Scene
from tests.cloud.values import await_applied


def assert_new_clients_work(scene: Scene) -> None:
    """With the earlier API, under the address that the catalog has."""
    printed = run(scene.user, "openstack", "server", "qos", "show", scene.servers[2], "-f", "json")
    assert all(name in printed for name in scene.earlier.resources)
    if not scene.earlier.has_hosts:
        with pytest.raises(AssertionError, match="an older one"):
            run(scene.user, "openstack", "server", "qos", "host", "list")


def assert_this_api_with_the_earlier_agent(scene: Scene) -> None:
    user, earlier, (first, second, _) = scene.user, scene.earlier, scene.servers
    told = user.act(first, "get-qos")[1]
    for name in TABLE:
        is_supported = told[name]["state"] != "unsupported"
        assert is_supported == (name in scene.supported), (name, told[name])
        assert name in earlier.resources or "is older than this API" in told[name]["reason"]
    with scene.answers.allowing(501):
        for name, value in scene.unknown.items():
            assert user.act(first, "set-qos", {name: value})[0] == 501
            assert requested(user, first)[name] is None
    wanted = {each: {"memory_soft_limit": 220} for each in (first, second)}
    assert change(user, wanted)[0] == 200
    scene.set(wanted, "memory_soft_limit", 220)
    with scene.answers.allowing(501):
        status, results = change(user, wanted, together=True)
    assert status == (200 if earlier.has_many else 501), results
    assert_hosts_are_told(scene)


def assert_hosts_are_told(scene: Scene) -> None:
    for path, is_known in (("/os-qos/hosts", scene.earlier.has_hosts),
                           ("/os-qos/hosts?servers=true", scene.earlier.tells_servers_of_hosts)):
        (shown,) = scene.user.request("GET", path).json()["hosts"]
        assert shown["agent"] == ("up" if is_known else "older"), shown


def assert_earlier_api_works(scene: Scene) -> None:
    """Beside what its users do: everything that it knows."""
    third = scene.servers[2]
    assert scene.user.act(third, "get-qos")[1].keys() >= scene.earlier.resources
    await_applied(scene.user, third)


def assert_this_api_with_the_earlier_tables(scene: Scene) -> None:
    answer = scene.user.request("GET", PATH)
    assert (answer.status_code, "nova-qos-manage db sync" in answer.text) == (
        (200, False) if scene.has_same_tables else (501, True))


def assert_what_was_unknown_is_in_force(scene: Scene) -> None:
    """What was set before the way back."""
    first, unknown = scene.servers[0], scene.unknown
    told = scene.user.act(first, "get-qos")[1]
    assert {name: told[name]["requested"] for name in unknown} == unknown
    wait_for(lambda: _states(scene, unknown) <= {"applied"}, SOON_S, f"{unknown} are in force")


def assert_this_works(scene: Scene) -> None:
    """What no earlier release needs to have."""
    user, (first, second, _) = scene.user, scene.servers
    scene.begins("what this release can do")
    assert user.act(first, "set-qos", LATER)[0] == 200
    assert _states(scene, LATER) == {"applied"}
    wanted = {each: {"memory_soft_limit": 230} for each in (first, second)}
    assert change(user, wanted, together=True)[0] == 200
    scene.set(wanted, "memory_soft_limit", 230)
    (shown,) = user.request("GET", "/os-qos/hosts?servers=true").json()["hosts"]
    assert (shown["agent"], len(shown["placed"])) == ("up", 3)
    scene.assert_all_is_in_force()


def _states(scene: Scene, names: dict[str, int]) -> set[str]:
    told = scene.user.act(scene.servers[0], "get-qos")[1]
    return {told[name]["state"] for name in names}
