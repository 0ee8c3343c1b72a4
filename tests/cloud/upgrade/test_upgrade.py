# SPDX-License-Identifier: Apache-2.0
"""doc/source/admin/upgrade.rst on the demo's cloud while people use it: from an earlier release to
this one in the order of the page, back, and up again with the agents first."""

from collections.abc import Callable, Iterator

import pytest

from tests.cloud.api import Person
from tests.cloud.host import Observer
from tests.cloud.upgrade import mixes
from tests.cloud.upgrade.answers import Answers, User
from tests.cloud.upgrade.cloud import Cloud
from tests.cloud.upgrade.load import Load, getter, lister
from tests.cloud.upgrade.releases import Release
from tests.cloud.upgrade.scene import DRIVER_S, PATH, Scene
from tests.cloud.upgrade.steady import Steady
from tests.cloud.values import SETTINGS, await_held

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def scene(
    cloud: Cloud, earlier: Release, this: Release, user: User, answers: Answers, host: Observer,
    servers: dict[str, str], admin: Person, capsys: pytest.CaptureFixture[str],
) -> Iterator[Scene]:
    """The cloud with the earlier release, in use."""
    cloud.begin(earlier)
    *_, third = servers.values()
    assert user.act(third, "set-qos", SETTINGS)[0] in (200, 202)
    await_held(host, third, SETTINGS, DRIVER_S)
    told = user.act(third, "get-qos")[1]
    supported = frozenset(
        name for name in earlier.resources if told[name]["state"] != "unsupported")
    assert supported >= SETTINGS.keys(), told
    with Steady(host, third) as steady, Load(answers) as load:
        made = Scene(cloud, earlier, this, user, answers, host, load, steady,
                     tuple(servers.values()), supported)
        begin_users(made, lambda: User(admin.environment, cloud.pool, answers))
        try:
            yield made
        finally:
            with capsys.disabled():
                print(f"\n  {made.told()}")


def begin_users(scene: Scene, another: Callable[[], User]) -> None:
    """Everybody works at the same time, on different resources."""
    first, second, _ = scene.servers
    load, has = scene.load, scene.earlier
    paths = ["/os-qos", "/servers/detail"]
    if has.has_policies:
        scene.make_policy()
        paths.append(PATH)
        load.begin("editor", load.editor(another(), f"{PATH}/{scene.policy}", "cpu_priority"))
    if has.has_many:
        load.begin("many", load.many(another(), (first, second), "io_priority"))
    else:
        load.begin("alone", load.setter(another(), second, "io_priority"))
    load.begin("lister", lister(another(), [*paths, *["/os-qos/hosts"] * has.has_hosts]))
    load.begin("getter", getter(another(), scene.servers))
    load.begin("first", load.setter(another(), first, "cpu_priority"))
    load.begin("second", load.setter(another(), second, "net_priority"))


def test_upgrade_back_and_again(scene: Scene) -> None:
    processes = {server: scene.host.process(server) for server in scene.servers[:2]}
    mixes.assert_new_clients_work(scene)
    dump = scene.cloud.back_up()
    upgrade_in_order(scene)
    mixes.assert_this_works(scene)
    go_back(scene, dump)
    upgrade_agents_first(scene)
    mixes.assert_this_works(scene)
    assert {server: scene.host.process(server) for server in processes} == processes
    assert scene.answers.lost == []
    assert scene.answers.wrong == []
    assert scene.steady.others == []


def upgrade_in_order(scene: Scene) -> None:
    cloud, newest = scene.cloud, scene.this.tables
    scene.begins("the new release is installed on the API's hosts")
    cloud.api.install(scene.this)
    scene.assert_all_is_in_force()
    scene.begins("db sync")
    assert f"the database is at revision {newest}" in cloud.sync()
    assert cloud.sync() == f"the database is at revision {newest} already\n"
    scene.begins("the APIs are restarted")
    assert cloud.has_paste()
    cloud.restart_apis()
    scene.begins("new API, older agent")
    scene.assert_all_is_in_force()
    mixes.assert_this_api_with_the_earlier_agent(scene)
    scene.begins("the new release is installed on the compute host")
    cloud.compute.install(scene.this)
    scene.begins("the agent is restarted")
    scene.replace_the_agent(reboots=True)
    checked = cloud.check()
    assert all(f"{name}: works" in checked for name in ("cpu_priority", "net_priority")), checked
    scene.begins("all is new")
    scene.assert_all_is_in_force()


def go_back(scene: Scene, dump: str) -> None:
    cloud, before = scene.cloud, scene.later_held()
    scene.begins("the APIs go back")
    cloud.api.install(scene.earlier)
    cloud.restart_apis()
    scene.assert_all_is_in_force()
    scene.begins("the agent goes back")
    cloud.compute.install(scene.earlier)
    scene.replace_the_agent()
    scene.assert_all_is_in_force()
    assert scene.later_held() == before
    scene.begins("the database goes back")
    with scene.answers.allowing(501, 503), scene.load.without("editor"):
        restore(scene, dump)
    scene.begins("all is old again")
    scene.assert_all_is_in_force()


def restore(scene: Scene, dump: str) -> None:
    if scene.earlier.has_policies:
        status, said = scene.cloud.manage("sync")
        assert (status, "a newer release has made it" in said) == (
            (0, False) if scene.has_same_tables else (2, True))
    scene.cloud.restore(dump)
    if scene.earlier.has_policies:
        assert "the new id" in scene.cloud.manage("renew")[1]
        scene.await_policy()


def upgrade_agents_first(scene: Scene) -> None:
    """And the tables last."""
    cloud = scene.cloud
    scene.begins("the agent is restarted first")
    cloud.compute.install(scene.this)
    scene.replace_the_agent()
    scene.begins("older API, new agent")
    scene.assert_all_is_in_force()
    mixes.assert_earlier_api_works(scene)
    scene.begins("the APIs are restarted before db sync")
    cloud.api.install(scene.this)
    with scene.answers.allowing(*([] if scene.has_same_tables else [501])):
        cloud.restart_apis()
        scene.begins("new API, older tables")
        mixes.assert_this_api_with_the_earlier_tables(scene)
        cloud.sync()
    scene.begins("all is new again")
    mixes.assert_what_was_unknown_is_in_force(scene)
    if scene.policy is None:
        scene.make_policy()
