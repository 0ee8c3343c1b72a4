# SPDX-License-Identifier: Apache-2.0
"""Every action on a running server, observed on its host with other tools than ours."""

import threading

import pytest

from tests.cloud.api import OLDEST, RECENT, Person, wait_for
from tests.cloud.host import Observer


@pytest.mark.parametrize("version", [OLDEST, RECENT])
@pytest.mark.resources("cpu_priority")
def test_cpu_priority(admin: Person, host: Observer, vm1: str, version: str) -> None:
    assert admin.act(vm1, "set-cpu-priority", {"share": 2048}, version) == (200, {"share": 2048})
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 2048
    assert host.virsh_value("schedinfo", vm1, "cpu_shares") == 2048
    assert admin.act(vm1, "get-cpu-priority", None, version) == (200, {"share": 2048})


@pytest.mark.resources("io_priority")
def test_io_priority(admin: Person, host: Observer, vm1: str) -> None:
    assert admin.act(vm1, "set-io-priority", {"weight": "900"}) == (200, {"weight": 900})
    assert host.cgroup(vm1, "blkio", "blkio.bfq.weight") == 900
    assert host.virsh_value("blkiotune", vm1, "weight") == 900
    assert admin.act(vm1, "get-io-priority", {}) == (200, {"weight": 900})


@pytest.mark.resources("memory_soft_limit")
def test_memory_soft_limit(admin: Person, host: Observer, vm1: str) -> None:
    assert admin.act(vm1, "set-memory-soft-limit", {"memory_limit": 200}) == (200, {"success": 1})
    assert host.cgroup(vm1, "memory", "memory.soft_limit_in_bytes") == 200 * 2**20
    assert host.virsh_value("memtune", vm1, "soft_limit") == 200 * 1024
    assert admin.act(vm1, "get-memory-soft-limit") == (200, {"soft_limit": 200 * 1024})
    assert admin.act(vm1, "set-memory-soft-limit", {"memory_limit": -1}) == (200, {"success": 1})
    assert admin.act(vm1, "get-memory-soft-limit") == (200, {"soft_limit": -1})


@pytest.mark.resources("memory")
def test_memory_moves_and_the_guest_notices(admin: Person, host: Observer, vm1: str) -> None:
    before = host.guest_available_kib(vm1)
    assert admin.act(vm1, "set-current-memory", {"memory": 256}) == (200, {"success": 1})
    assert host.virsh_value("dommemstat", vm1, "actual") == 256 * 1024
    assert before - host.guest_available_kib(vm1) > 200 * 1024
    status, memory = admin.act(vm1, "get-current-memory")
    assert (status, memory["actual"]) == (200, 256 * 1024)
    assert {"usable", "unused", "rss", "last_update"} <= memory.keys()
    assert admin.act(vm1, "set-current-memory", {"memory": 512}) == (200, {"success": 1})
    assert host.virsh_value("dommemstat", vm1, "actual") == 512 * 1024


def test_memory_that_the_guest_cannot_spare(admin: Person, host: Observer, vm1: str) -> None:
    status, fault = admin.act(vm1, "set-current-memory", {"memory": 16})
    assert status == 409
    assert "lowest safe value now is" in fault["conflictingRequest"]["message"]
    assert host.virsh_value("dommemstat", vm1, "actual") == 512 * 1024
    assert admin.act(vm1, "get-qos")[1]["memory"]["applied"] == 512


def test_memory_above_the_flavor(admin: Person, vm1: str) -> None:
    status, fault = admin.act(vm1, "set-current-memory", {"memory": 513})
    assert status == 400
    assert "memory" in fault["badRequest"]["message"]
    assert "1 to 512" in fault["badRequest"]["message"]


def test_balloon_driver(admin: Person, vm1: str, no_balloon: str) -> None:
    assert admin.act(vm1, "balloon-driver-enabled") == (200, {"ballooning_enabled": True})
    assert admin.act(no_balloon, "balloon-driver-enabled") == (200, {"ballooning_enabled": False})
    status, fault = admin.act(no_balloon, "set-current-memory", {"memory": 256})
    assert status == 409
    assert "balloon" in fault["conflictingRequest"]["message"]


def test_all_at_once(admin: Person, host: Observer, vm1: str) -> None:
    asked = {"cpu_priority": 512, "io_priority": 300, "memory": 300, "memory_soft_limit": 128}
    status, qos = admin.act(vm1, "set-qos", asked)
    assert status == 200, qos
    for name, value in asked.items():
        assert (qos[name]["requested"], qos[name]["applied"]) == (value, value)
        assert qos[name]["state"] == "applied"
        assert qos[name]["effective"] is True
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 512
    assert host.cgroup(vm1, "blkio", "blkio.bfq.weight") == 300
    assert admin.act(vm1, "get-qos") == (200, qos)

    status, qos = admin.act(vm1, "set-qos", dict.fromkeys(asked))
    assert status == 200, qos
    assert {qos[name]["state"] for name in asked} == {"unset"}
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 1024
    assert host.virsh_value("dommemstat", vm1, "actual") == 512 * 1024


def test_one_bad_value_changes_nothing(admin: Person, host: Observer, vm1: str) -> None:
    before = admin.act(vm1, "get-qos")
    status, _fault = admin.act(vm1, "set-qos", {"cpu_priority": 4096, "io_priority": 5000})
    assert status == 400
    assert admin.act(vm1, "get-qos") == before
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 1024


def test_every_set_leaves_an_action(admin: Person, vm1: str) -> None:
    admin.act(vm1, "set-cpu-priority", {"share": 1500})
    path = f"/servers/{vm1}/os-instance-actions"
    newest = admin.request("GET", path).json()["instanceActions"][0]
    assert newest["action"] == "set-cpu-priority"
    assert newest["user_id"] == admin.session.get_user_id()
    seen = admin.request("GET", f"{path}/{newest['request_id']}").json()["instanceAction"]
    assert [event["event"] for event in seen["events"]] == ["qos cpu_priority=1500"]
    assert seen["events"][0]["result"] == "Success"


def test_two_sets_racing(admin: Person, host: Observer, vm1: str) -> None:
    answers: list[tuple[int, object]] = []
    threads = [
        threading.Thread(target=lambda value=value: answers.append(
            admin.act(vm1, "set-cpu-priority", {"share": value})))
        for value in (700, 800)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _body in answers] == [200, 200]
    qos = admin.act(vm1, "get-qos")[1]["cpu_priority"]
    assert qos["state"] == "applied"
    assert host.cgroup(vm1, "cpu", "cpu.shares") == qos["requested"]


def test_hundred_sets_in_flight(admin: Person, host: Observer, vm1: str) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda value=value: answers.append(
            admin.act(vm1, "set-cpu-priority", {"share": value})[0]))
        for value in range(1000, 1100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 100
    qos = admin.act(vm1, "get-qos")[1]["cpu_priority"]
    assert qos["state"] == "applied"
    assert host.cgroup(vm1, "cpu", "cpu.shares") == qos["requested"]


def test_agent_is_a_nova_service(admin: Person) -> None:
    def agent() -> list[str]:
        services = admin.request("GET", "/os-services?binary=nova-qos-agent").json()["services"]
        return [service["state"] for service in services]

    wait_for(lambda: agent() == ["up"], 60, "the agent is shown as up")
