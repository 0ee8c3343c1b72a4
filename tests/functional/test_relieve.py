# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos relieve`` with nova's real API, conductor and scheduler: only the
hypervisor that moves a guest is not real."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from nova import exception
from nova.virt import fake

from novaclient_qos.relief import carried, pausing, relief
from tests.fakehost import ROOM
from tests.functional.caller import ADMIN
from tests.functional.cloud import MACHINES, Cloud, Server, eventually
from tests.functional.test_shells import alone, keystone, openstack  # noqa: F401
from tests.shells import OpenStack

#: What a guest of the fake host uses, and what the agent leaves it beyond.
USED_MIB, RESERVE_MIB = 64, 32
NEED_MIB = USED_MIB + RESERVE_MIB
TITLES = ["Server", "From", "To", "MiB", "Result", "Details"]


@dataclass
class Hypervisor:
    """What moves guests: ``refusing`` are hosts that refuse them when nova asks, ``failing`` those
    from which no guest gets away, ``slow``: a migration goes on until it is aborted."""

    servers: dict[str, Server] = field(default_factory=dict)
    refusing: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    slow: bool = False
    aborted: threading.Event = field(default_factory=threading.Event)
    at_once: int = 0
    most_at_once: int = 0

    def check(self, driver: Any, context: Any, instance: Any, *args: Any, **kwargs: Any) -> Any:
        if driver._host in self.refusing:
            raise exception.MigrationPreCheckError(reason="CPU doesn't have compatibility")
        return CHECK(driver, context, instance, *args, **kwargs)

    def move(
        self, driver: Any, context: Any, instance: Any, dest: str, post: Any, recover: Any,
        block_migration: bool = False, migrate_data: Any = None,
    ) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.slow:
                self.aborted.wait(30)
                recover(context, instance, dest, migrate_data, migration_status="cancelled")
            elif instance.host in self.failing:
                recover(context, instance, dest, migrate_data)
            else:
                time.sleep(0.2)
                self.servers[instance.uuid].arrive(dest, keeping=("memory_guarantee", "used_kib"))
                post(context, instance, dest, block_migration, migrate_data)
        finally:
            self.at_once -= 1

    def abort(self, driver: Any, instance: Any) -> None:
        self.aborted.set()


CHECK = fake.FakeDriver.check_can_live_migrate_destination


@pytest.fixture
def hypervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hypervisor]:
    found = Hypervisor()

    def of(name: str) -> Callable[..., Any]:
        return lambda driver, *args, **kwargs: getattr(found, name)(driver, *args, **kwargs)

    monkeypatch.setattr(fake.FakeDriver, "check_can_live_migrate_destination", of("check"))
    monkeypatch.setattr(fake.FakeDriver, "live_migration", of("move"))
    monkeypatch.setattr(fake.FakeDriver, "live_migration_abort", of("abort"))
    monkeypatch.setattr(relief, "_POLL_S", 0.1)
    monkeypatch.setattr(carried, "_REASONS_S", 1.0)
    yield found
    found.aborted.set()


@pytest.fixture(autouse=True)
def quick(option: Callable[[str, object], None]) -> None:
    option("rpc_timeout", 2)


@pytest.fixture
def crowd(
    cloud: Cloud, boot: Callable[..., Server], hypervisor: Hypervisor,
) -> Iterator[list[Server]]:
    """Three servers on "second", which is short of 20 MiB; "compute" has room for all."""
    made = [boot("second") for _number in range(3)]
    for number, server in enumerate(made):
        hypervisor.servers[server.uuid] = server
        server.domain.used_kib = (64 + 10 * number) * 1024
    refresh(cloud)
    shrink("second", 3 * NEED_MIB + 30 - 20)
    yield made
    for machine in MACHINES.values():
        machine.own = ROOM
    for server in made:
        act(server, "unpause")


def act(server: Server, action: str) -> None:
    ADMIN.act(server, action)


def shrink(host: str, capacity_mib: int) -> None:
    """Leave a host so much memory for its servers."""
    MACHINES[host].own = type(ROOM)(**{
        **vars(ROOM), "capacity": {**ROOM.capacity, "memory": capacity_mib}})


def refresh(cloud: Cloud) -> None:
    """Have the agents load what nova has there."""
    for host in ("compute", "second"):
        cloud.agents[host].manager.loop.check()


def rows(openstack: OpenStack, *words: str, status: int = 0) -> list[dict[str, Any]]:  # noqa: F811
    ended = openstack("server", "qos", "relieve", *words, "-f", "json")
    assert ended.status == status, ended
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


def host_of(server: Server) -> str:
    return str(server.instance().host)


def migrations(server: Server) -> list[str]:
    answer = ADMIN.using(microversion="2.80").request(
        "GET", f"/os-migrations?instance_uuid={server.uuid}")
    return [each["status"] for each in answer.body["migrations"]]


def test_a_dry_run_sends_nothing(openstack: OpenStack, crowd: list[Server]) -> None:  # noqa: F811
    ended = openstack("server", "qos", "relieve", "second", "--dry-run")
    assert ended.status == 0
    titles, row = ended.rows()
    assert titles == TITLES
    assert row[1:] == ["second", "compute", row[3], "planned", ""]
    assert "nova was not asked yet" in ended.err
    assert [migrations(each) for each in crowd] == [[], [], []]


def test_it_is_relieved(
    openstack: OpenStack, crowd: list[Server], cloud: Cloud  # noqa: F811
) -> None:
    (row,) = rows(openstack, "second")
    (moved,) = (each for each in crowd if host_of(each) == "compute")
    assert (row["Result"], row["From"], row["To"]) == ("moved", "second", "compute")
    assert migrations(moved) == ["completed"]
    refresh(cloud)
    assert rows(openstack, "second") == []


def test_a_locked_server_stays(openstack: OpenStack, crowd: list[Server]) -> None:  # noqa: F811
    (planned,) = rows(openstack, "second", "--dry-run")
    (first,) = (each for each in crowd if each.instance().display_name == planned["Server"])
    act(first, "lock")
    try:
        rows(openstack, "second")
        assert host_of(first) == "second"
        assert sum(host_of(each) == "compute" for each in crowd) == 1
    finally:
        act(first, "unlock")


def test_what_nova_refuses_is_planned_around(
    openstack: OpenStack, crowd: list[Server], hypervisor: Hypervisor  # noqa: F811
) -> None:
    hypervisor.refusing = {"compute"}
    found = rows(openstack, "second", status=1)
    assert {each["Result"] for each in found} == {"refused"}
    assert {each["Server"] for each in found} == {
        each.instance().display_name for each in crowd}
    assert {each["To"] for each in found} >= {"compute"}
    assert all(host_of(each) == "second" for each in crowd)
    for server in crowd:
        assert server.instance().task_state is None


def test_a_failed_move_stops(
    openstack: OpenStack, crowd: list[Server], hypervisor: Hypervisor  # noqa: F811
) -> None:
    shrink("second", NEED_MIB + 30)
    hypervisor.failing = {"second"}
    ended = openstack("server", "qos", "relieve", "second", "-f", "json")
    found = json.loads(ended.out)
    assert ended.status == 1
    assert found[0]["Result"] == "failed"
    assert {each["Result"] for each in found[1:]} == {"left"}
    assert "No more moves were begun" in ended.err
    assert "second is still short of" in ended.err


def test_one_that_takes_too_long_is_aborted(
    openstack: OpenStack, crowd: list[Server], hypervisor: Hypervisor  # noqa: F811
) -> None:
    hypervisor.slow = True
    found = rows(openstack, "second", "--timeout", "1", status=1)
    assert (found[0]["Result"], found[0]["Details"]) == (
        "failed", "not done after 1 s: cancelled")
    # one that nova has not begun yet, it ends without the hypervisor
    assert all(host_of(each) == "second" for each in crowd)


def test_two_at_a_time(
    openstack: OpenStack, crowd: list[Server], hypervisor: Hypervisor, cloud: Cloud  # noqa: F811
) -> None:
    shrink("second", 1)
    found = rows(openstack, "second", "--parallel", "2")
    assert [each["Result"] for each in found] == ["moved"] * 3
    assert all(host_of(each) == "compute" for each in crowd)


def test_to_a_host_that_is_full(openstack: OpenStack, crowd: list[Server]) -> None:  # noqa: F811
    shrink("compute", NEED_MIB // 2)
    assert rows(openstack, "second", "--to", "compute", status=1) == []
    ended = openstack("server", "qos", "relieve", "second", "--to", "silent", "--dry-run")
    assert ended.status == 1
    assert "second would still be short of 20 MiB of memory" in ended.err


def test_pausing_and_undoing(
    openstack: OpenStack, crowd: list[Server], cloud: Cloud  # noqa: F811
) -> None:
    shrink("compute", NEED_MIB // 2)
    assert ADMIN.act(crowd[1], "set-qos", {"memory_priority": 10}).status == 200
    refresh(cloud)
    (dry,) = rows(openstack, "second", "--dry-run", "--pause", status=1)
    assert (dry["Result"], dry["Details"]) == ("would be paused", "memory priority 10")
    (row,) = rows(openstack, "second", "--pause", status=1)
    assert (row["Result"], row["Details"]) == ("paused", "memory priority 10")
    eventually(lambda: crowd[1].instance().vm_state == "paused")
    # the agent learns it from nova at its next check only; it counts at once
    assert rows(openstack, "second", "--pause", status=1) == []
    assert rows(openstack, "second", "--dry-run", "--pause", status=1) == []
    crowd[1].domain.paused = True
    shown = ADMIN.request("GET", f"/servers/{crowd[1].uuid}").body["server"]
    assert shown["metadata"] == {pausing.KEY: "second"}
    assert rows(openstack, "first", "--undo") == []
    (undone,) = rows(openstack, "second", "--undo")
    assert undone["Result"] == "runs again"
    eventually(lambda: crowd[1].instance().vm_state == "active")
    assert ADMIN.request("GET", f"/servers/{crowd[1].uuid}").body["server"]["metadata"] == {}
    assert rows(openstack, "second", "--undo") == []


def test_cold(openstack: OpenStack, crowd: list[Server]) -> None:  # noqa: F811
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(0.1):
            for server in crowd:
                if host_of(server) == "compute" and server.machine is not MACHINES["compute"]:
                    server.arrive("compute", keeping=("used_kib",))

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        (row,) = rows(openstack, "second", "--cold")
    finally:
        stop.set()
        follower.join()
    assert row["Result"] == "moved"
    (moved,) = (each for each in crowd if host_of(each) == "compute")
    assert migrations(moved) == ["confirmed"]


@pytest.mark.parametrize(("words", "said"), [
    (("second", "--undo", "--cold"), "Give --undo alone"),
    (("second", "--cold", "--timeout", "5"), "nova cannot end a cold migration"),
    (("second", "--to", "second"), "--to names the host that is to be relieved"),
    (("nowhere",), "nowhere"),
    (("silent",), "The agent of silent does not tell of its servers")])
def test_what_makes_no_sense(
    openstack: OpenStack, words: tuple[str, ...], said: str  # noqa: F811
) -> None:
    ended = openstack.bad("relieve", *words)
    assert said in ended.err
