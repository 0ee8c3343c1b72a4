# SPDX-License-Identifier: Apache-2.0
"""Servers that nobody touched get CPU shares by their vCPUs, where the operator wants that."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.test_keeping import Option, check, shown
from tests.functional.test_moves import ask

VCPUS, PER_VCPU = 3, 200
FAIR = VCPUS * PER_VCPU


def change_flavor(server: Server, vcpus: int, **extra_specs: str) -> None:
    def changed() -> bool:
        instance = server.instance()
        before = instance.flavor.vcpus, instance.flavor.extra_specs
        instance.flavor.vcpus, instance.flavor.extra_specs = vcpus, extra_specs
        instance.save()
        return before == (vcpus, extra_specs)

    # all threads share one connection to nova's database in memory, and with it its transactions:
    # what one saves may be lost when another saves
    eventually(changed)


@pytest.fixture
def untouched(server: Server, option: Option) -> Iterator[Server]:
    """A server with several vCPUs and no settings."""
    change_flavor(server, VCPUS)
    option("cpu_share_per_vcpu", PER_VCPU)
    yield server
    option("cpu_share_per_vcpu", 0)
    change_flavor(server, 1)


@pytest.fixture
def fair(untouched: Server) -> Server:
    """One that has its part by now."""
    untouched.restart()
    eventually(lambda: untouched.domain.shares == FAIR)
    return untouched


def cpu(server: Server) -> dict[str, object]:
    told = shown(server, "cpu_priority")
    return {name: told[name] for name in ("requested", "applied", "default", "state")}


def test_a_server_starts_with_its_part(untouched: Server) -> None:
    domain = untouched.restart()
    eventually(lambda: domain.shares == FAIR)
    assert domain.writes == [("cpu_priority", FAIR)]
    assert cpu(untouched) == {
        "requested": None, "applied": FAIR, "default": FAIR, "state": "unset"}
    assert untouched.saved() == {}


def test_the_periodic_check_and_an_agent_that_starts(cloud: Cloud, untouched: Server) -> None:
    check(untouched)
    eventually(lambda: untouched.domain.shares == FAIR)
    cloud.agents["compute"].stop()
    try:
        untouched.machine.add(untouched.uuid, 512 * 1024)
    finally:
        cloud.start_agent("compute")
    eventually(lambda: untouched.domain.shares == FAIR)


def test_what_is_there_is_not_written_again(fair: Server) -> None:
    for _ in range(3):
        check(fair)
        fair.machine.happened(fair.uuid, "changed")
    time.sleep(1)
    assert len(fair.domain.writes) == 1


def test_a_move_to_another_host(cloud: Cloud, boot: Callable[..., Server], option: Option) -> None:
    option("cpu_share_per_vcpu", PER_VCPU)
    server = boot()
    server.restart()
    eventually(lambda: server.domain.shares == PER_VCPU)
    ask(server, "os-migrateLive", {"host": "second", "block_migration": "auto"})
    server.arrive("second")
    cloud.wait(server, "ACTIVE")
    eventually(lambda: server.domain.shares == PER_VCPU)


def test_what_a_user_has_set_wins_until_it_is_unset(fair: Server) -> None:
    assert ADMIN.act(fair, "set-cpu-priority", {"share": 77}).body == {"share": 77}
    fair.restart()
    eventually(lambda: fair.domain.shares == 77)
    assert cpu(fair) == {"requested": 77, "applied": 77, "default": FAIR, "state": "applied"}
    assert ADMIN.act(fair, "set-qos", {"cpu_priority": None}).status == 200
    assert cpu(fair) == {"requested": None, "applied": FAIR, "default": FAIR, "state": "unset"}


def test_a_flavor_with_shares_keeps_what_it_says(untouched: Server) -> None:
    change_flavor(untouched, VCPUS, **{"quota:cpu_shares": "300"})
    domain = untouched.restart()
    domain.shares = 300
    check(untouched)
    time.sleep(1)
    assert (domain.writes, untouched.lifted()) == ([], set())
    assert cpu(untouched)["default"] == 300


def test_a_resize_changes_the_part(fair: Server) -> None:
    change_flavor(fair, 2 * VCPUS)
    check(fair)
    eventually(lambda: fair.domain.shares == 2 * FAIR)


def test_a_resize_to_a_flavor_with_shares(fair: Server) -> None:
    change_flavor(fair, VCPUS, **{"quota:cpu_shares": "300"})
    check(fair)
    eventually(lambda: fair.domain.shares == 300)
    eventually(lambda: fair.lifted() == set())


@pytest.mark.parametrize(("vcpus", "per_vcpu", "shares"), [(1, 1, 2), (400, 1024, 262144)])
def test_no_part_is_beyond_the_range(
    untouched: Server, option: Option, vcpus: int, per_vcpu: int, shares: int
) -> None:
    option("cpu_share_per_vcpu", per_vcpu)
    change_flavor(untouched, vcpus)
    untouched.restart()
    eventually(lambda: untouched.domain.shares == shares)
    assert cpu(untouched)["default"] == shares


def test_a_change_behind_our_back_is_put_right(fair: Server) -> None:
    fair.domain.shares = 3000
    check(fair)
    eventually(lambda: fair.domain.shares == FAIR)


def test_a_change_behind_our_back_is_only_reported(fair: Server, option: Option) -> None:
    option("drift", "report")
    fair.domain.shares = 3000
    check(fair)
    eventually(lambda: "report" in str(shown(fair, "cpu_priority")["reason"]))
    assert fair.domain.shares == 3000
    assert cpu(fair)["state"] == "unset"


def test_the_list_shows_it(fair: Server) -> None:
    def listed(query: str) -> dict[str, Any]:
        servers = ADMIN.request("GET", f"/os-qos{query}").body["servers"]
        row: dict[str, Any] = next(
            each["qos"]["cpu_priority"] for each in servers if each["id"] == fair.uuid)
        return row

    assert listed("")["default"] == FAIR
    of_host = listed("?host=compute")
    assert (of_host["default"], of_host["applied"], of_host["weight"]) == (FAIR, FAIR, FAIR)


def test_switched_off_again(cloud: Cloud, fair: Server, option: Option) -> None:
    assert fair.lifted() == {"cpu_priority"}
    cloud.agents["compute"].stop()
    try:
        option("cpu_share_per_vcpu", 0)
    finally:
        cloud.start_agent("compute")
    eventually(lambda: fair.domain.shares == 1024)
    eventually(lambda: fair.lifted() == set())
    assert cpu(fair) == {"requested": None, "applied": 1024, "default": 1024, "state": "unset"}
    fair.domain.shares = 3000
    check(fair)
    time.sleep(0.5)
    assert fair.domain.shares == 3000


def test_switched_off_after_an_unset(cloud: Cloud, fair: Server, option: Option) -> None:
    ADMIN.act(fair, "set-cpu-priority", {"share": 77})
    ADMIN.act(fair, "set-qos", {"cpu_priority": None})
    assert fair.domain.shares == FAIR
    option("cpu_share_per_vcpu", 0)
    check(fair)
    eventually(lambda: fair.domain.shares == 1024)


def test_switched_off_after_a_setting_that_was_refused(fair: Server, option: Option) -> None:
    fair.domain.refuse = {"cpu_priority"}
    assert ADMIN.act(fair, "set-cpu-priority", {"share": 77}).status == 409
    fair.domain.refuse = set()
    option("cpu_share_per_vcpu", 0)
    check(fair)
    eventually(lambda: fair.domain.shares == 1024)


def test_a_server_that_was_on_its_way_when_the_agent_died(fair: Server) -> None:
    """What will have to be taken off the host is known before it is there."""
    marked: list[bool] = []
    fair.reset()
    eventually(lambda: fair.domain.shares == FAIR)
    instance = fair.instance()
    del instance.system_metadata[TABLE["cpu_priority"].names.stored_as]
    instance.save()
    domain = fair.restart()
    domain.before_write = lambda name, value: marked.append(bool(fair.lifted()))
    eventually(lambda: domain.shares == FAIR)
    assert marked == [True]


def test_a_new_server(boot: Callable[..., Server], option: Option) -> None:
    option("cpu_share_per_vcpu", PER_VCPU)
    server = boot()
    server.machine.happened(server.uuid, "started")
    eventually(lambda: server.domain.shares == PER_VCPU)
    eventually(lambda: cpu(server)["state"] == "unset")
