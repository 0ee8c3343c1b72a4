# SPDX-License-Identifier: Apache-2.0
"""Named policies on the real cloud, observed with virsh and in control groups."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import DRIVER_S
from tools.bed.stack.config import POLICY_INTERVAL_S

PATH = "/os-qos-policies"
#: In which an edit is in force on every running server: 5 s are promised, and what it took is
#: printed; more is for a busy machine.
_SOON_S = 20.0
#: In which an agent that was away catches up.
_BACK_S = 60.0


@pytest.fixture
def policy(admin: Person, clean: None) -> Iterator[Callable[..., str]]:
    """Makes policies, which end with the test."""
    made: list[str] = []

    def create(name: str, **settings: object) -> str:
        answer = admin.request("POST", PATH, json={"policy": {"name": name, "settings": settings}})
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["policy"]["id"])
        return made[-1]

    yield create
    for each in made:
        edit(admin, each, is_default=False)
        for project in admin.request("GET", f"{PATH}/{each}").json()["policy"]["projects"]:
            admin.request("DELETE", f"{PATH}/{each}/projects/{project}")
    for each in made:
        used = admin.request("GET", f"{PATH}/{each}?in_use=true").json()["used_by"]
        for server in used["servers"]:
            admin.act(server["id"], "set-qos", {"policy": None})
        answer = admin.request("DELETE", f"{PATH}/{each}")
        assert answer.status_code == 204, answer.text


def edit(admin: Person, policy: str, **fields: object) -> None:
    answer = admin.request("PUT", f"{PATH}/{policy}", json={"policy": fields})
    assert answer.status_code == 200, answer.text


def assign(admin: Person, server: str, policy: str | None) -> None:
    status, body = admin.act(server, "set-qos", {"policy": policy})
    # 202: of memory, the guest's driver is still to give it back
    assert status in (200, 202), body


def shares(host: Observer, server: str) -> int:
    return host.cgroup(server, "cpu", "cpu.shares")


def memory_mib(host: Observer, server: str) -> int:
    return host.virsh_value("dommemstat", server, "actual") // 1024


def test_tiers_by_server_project_and_default(
    admin: Person, host: Observer, policy: Callable[..., str], servers: dict[str, str]
) -> None:
    first, second, third = servers.values()
    policy("gold", cpu_priority="4096/vcpu", memory="75%")
    silver = policy("silver", cpu_priority=2048)
    bronze = policy("bronze", cpu_priority=512)
    assign(admin, first, "gold")
    assert shares(host, first) == 4096
    wait_for(lambda: memory_mib(host, first) == 384, DRIVER_S, "the guest has given memory back")
    edit(admin, bronze, is_default=True)
    wait_for(lambda: [shares(host, each) for each in (second, third)] == [512, 512], _SOON_S,
             "the default policy has reached all")
    project = admin.show(third)["tenant_id"]
    assert admin.request("PUT", f"{PATH}/{silver}/projects/{project}").status_code == 204
    wait_for(lambda: [shares(host, each) for each in (first, second, third)] == [
        4096, 2048, 2048], _SOON_S, "the project's policy has reached it")
    row = admin.act(third, "get-qos")[1]["cpu_priority"]
    assert (row["source"], row["policy_revision"], row["state"]) == ("policy silver", 1, "applied")


def test_an_edit_is_in_force_within_seconds(
    admin: Person, host: Observer, policy: Callable[..., str], servers: dict[str, str]
) -> None:
    gold = policy("gold", cpu_priority=3000, io_priority=500)
    for server in servers.values():
        assign(admin, server, gold)
    for value in (3001, 3002):
        began = time.monotonic()
        edit(admin, gold, settings={"cpu_priority": value})
        wait_for(lambda value=value: {shares(host, each) for each in servers.values()} == {value},
                 _SOON_S, "the edit is in force")
        print(f"an edit is in force on three servers after {time.monotonic() - began:.1f} s")
    for server in servers.values():
        row = admin.act(server, "get-qos")[1]["io_priority"]
        assert (row["applied"], row["source"], row["state"]) == (100, "none", "unset")


def test_a_flavor_names_it(
    admin: Person, host: Observer, policy: Callable[..., str],
    boot: Callable[[str, str], str],
) -> None:
    policy("gold", cpu_priority="700/vcpu", net_priority=30)
    flavor = admin.request("POST", "/flavors", json={"flavor": {
        "name": "m512.gold", "ram": 512, "vcpus": 1, "disk": 1}}).json()["flavor"]["id"]
    specs = f"/flavors/{flavor}/os-extra_specs"
    try:
        refused = admin.request("POST", specs, json={"extra_specs": {"qos:policy": " "}})
        assert refused.status_code == 400, refused.text
        assert admin.request(
            "POST", specs, json={"extra_specs": {"qos:policy": "gold"}}).status_code == 200
        server = boot("tiered", "m512.gold")
        wait_for(lambda: (shares(host, server), host.network_priority(server)) == (700, 30),
                 DRIVER_S, "the flavor's policy is in force")
        row = admin.act(server, "get-qos")[1]["cpu_priority"]
        assert (row["source"], row["state"]) == ("policy gold", "applied")
        admin.delete(server)
    finally:
        admin.request("DELETE", f"/flavors/{flavor}")


def test_an_agent_that_was_killed_meanwhile(
    admin: Person, host: Observer, policy: Callable[..., str], vm1: str
) -> None:
    gold = policy("gold", cpu_priority=3000)
    assign(admin, vm1, gold)
    host.kill_agent()
    try:
        edit(admin, gold, settings={"cpu_priority": 3500})
        assert shares(host, vm1) == 3000
    finally:
        host.start_agent()
    wait_for(lambda: shares(host, vm1) == 3500, _BACK_S, "the agent has caught up")


def test_a_start_without_the_api(
    admin: Person, host: Observer, policy: Callable[..., str], vm1: str
) -> None:
    """The file that the agent keeps stands in."""
    gold = policy("gold", cpu_priority=3000)
    assign(admin, vm1, gold)
    api = host.daemon("nova-api")
    host.kill_agent()
    api.stop()
    try:
        host.group_file(vm1, "cpu", "cpu.shares").write_text("55")
        host.start_agent()
        wait_for(lambda: shares(host, vm1) == 3000, _BACK_S, "the copy is in force")
    finally:
        api.start()
        host.start_agent()
    edit(admin, gold, settings={"cpu_priority": 3100})
    wait_for(lambda: shares(host, vm1) == 3100, _BACK_S, "the agent hears of edits again")


def test_an_edit_while_the_bus_is_away(
    admin: Person, host: Observer, policy: Callable[..., str], vm1: str
) -> None:
    """Nobody waits for the bus, and the agent's own question finds what the hint did not tell."""
    gold = policy("gold", cpu_priority=3000)
    assign(admin, vm1, gold)
    bus = host.daemon("rabbitmq")
    bus.stop()
    try:
        began = time.monotonic()
        edit(admin, gold, settings={"cpu_priority": 3500})
        assert time.monotonic() - began < _SOON_S
    finally:
        bus.start()
    wait_for(lambda: shares(host, vm1) == 3500, _BACK_S + POLICY_INTERVAL_S,
             "the agent has asked by itself")


def test_while_the_database_is_away(
    admin: Person, host: Observer, policy: Callable[..., str], vm1: str
) -> None:
    gold = policy("gold", cpu_priority=3000)
    assign(admin, vm1, gold)
    database = host.daemon("mariadb")
    database.stop()
    try:
        host.group_file(vm1, "cpu", "cpu.shares").write_text("55")
        time.sleep(6)  # a periodic check finds no server
    finally:
        database.start()
    wait_for(lambda: shares(host, vm1) == 3000, _BACK_S, "the policy is in force again")
    edit(admin, gold, settings={"cpu_priority": 3100})
    wait_for(lambda: shares(host, vm1) == 3100, _BACK_S, "the agent hears of edits again")


def test_a_reboot_gets_it_again(
    admin: Person, host: Observer, policy: Callable[..., str], vm1: str
) -> None:
    assign(admin, vm1, policy("gold", cpu_priority=3000))
    assert admin.act(vm1, "reboot", {"type": "HARD"})[0] == 202
    admin.wait_for_status(vm1, "ACTIVE")
    wait_for(lambda: shares(host, vm1) == 3000, _BACK_S, "the policy is in force again")
