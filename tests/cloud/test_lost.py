# SPDX-License-Identifier: Apache-2.0
"""What was answered 200 or 202 is saved and in force, whoever else saves the server meanwhile."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.conftest import create
from tests.cloud.host import Observer
from tests.cloud.sets import OPERATIONS_ROUNDS, ROUNDS, hammer, requested
from tests.cloud.values import AT_ONCE, await_held, held
from tests.cloud.writer import Writer, writer

_REASONS = "2.73"
#: Two requests begin within this time of each other (s).
_APART_S = 0.1


def together(*works: Callable[[], Any]) -> list[Any]:
    """Do these at nearly the same time."""
    def begin(work: Callable[[], Any]) -> Any:
        time.sleep(random.uniform(0, _APART_S))
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


@pytest.fixture
def locked(admin: Person, vm1: str) -> Iterator[str]:
    """A server to lock and unlock."""
    yield vm1
    admin.act(vm1, "unlock")
    admin.act(vm1, "set-qos", {"cpu_priority": None, "io_priority": None})


def test_beside_locks_with_reasons(admin: Person, host: Observer, locked: str) -> None:
    lost = []
    for number in range(ROUNDS):
        share, weight, reason = 2000 + number, 100 + number % 900, f"reason {number}"
        (status, _), (answer, _) = together(
            partial(admin.act, locked, "lock", {"locked_reason": reason}, version=_REASONS),
            partial(admin.act, locked, "set-cpu-priority", {"share": share}))
        assert (status, answer) == (202, 200)
        seen, told = requested(admin, locked), admin.show(locked)["locked_reason"]
        if (seen["cpu_priority"], told) != (share, reason):
            lost.append((number, "lock", seen, told))
        (status, _), (answer, _) = together(
            partial(admin.act, locked, "unlock"),
            partial(admin.act, locked, "set-io-priority", {"weight": weight}))
        assert (status, answer) == (202, 200)
        seen, told = requested(admin, locked), admin.show(locked)["locked_reason"]
        if (seen["cpu_priority"], seen["io_priority"], told) != (share, weight, None):
            lost.append((number, "unlock", seen, told))
    assert lost == []
    wait_for(lambda: (held(host, locked)["cpu_priority"], held(host, locked)["io_priority"])
             == (share, weight), 20, "it is in force")


def test_beside_other_sets(admin: Person, host: Observer, vm1: str) -> None:
    lost = []
    for number in range(ROUNDS):
        asked = {"cpu_priority": 2000 + number, "io_priority": 100 + number % 900,
                 "memory_soft_limit": 100 + number % 100, "net_priority": number % 98}
        answers = together(*(
            partial(admin.act, vm1, "set-qos", {name: value})
            for name, value in asked.items()))
        assert {status for status, _ in answers} == {200}
        seen = requested(admin, vm1)
        if asked.items() - seen.items():
            lost.append((number, asked, seen))
    assert lost == []
    now = held(host, vm1)
    assert {name: now[name] for name in asked} == asked
    assert admin.act(vm1, "set-qos", dict.fromkeys(asked))[0] == 200


def test_beside_other_sets_on_no_host(admin: Person, boot: Callable[[str, str], str]) -> None:
    server = boot("lost-shelved", "m256")
    admin.act(server, "shelve")
    admin.wait_for_status(server, "SHELVED_OFFLOADED")
    wait_for(lambda: admin.show(server)["OS-EXT-SRV-ATTR:host"] is None, 20, "it is on no host")
    lost = []
    for number in range(ROUNDS):
        asked = {"cpu_priority": 2000 + number, "io_priority": 100 + number % 900,
                 "memory_soft_limit": 100 + number % 100}
        answers = together(*(
            partial(admin.act, server, "set-qos", {name: value})
            for name, value in asked.items()))
        assert {status for status, _ in answers} == {202}
        seen = requested(admin, server)
        if asked.items() - seen.items():
            lost.append((number, asked, seen))
    assert lost == []


def test_beside_a_guests_password(admin: Person, host: Observer, vm1: str) -> None:
    with writer() as nova:
        lost = lost_beside_passwords(admin, vm1, nova)
    assert lost == []
    await_held(host, vm1, held(host, vm1) | {"cpu_priority": 2000 + ROUNDS}, 20)
    admin.act(vm1, "set-qos", dict.fromkeys(AT_ONCE))


def lost_beside_passwords(admin: Person, vm1: str, nova: Writer) -> list[Any]:
    lost = []
    for number in range(ROUNDS):
        share, password = 2000 + number, f"password-{number}"
        _, (answer, _) = together(
            partial(nova.post_password, vm1, password),
            partial(admin.act, vm1, "set-cpu-priority", {"share": share}))
        assert answer == 200
        seen = requested(admin, vm1)["cpu_priority"]
        path = f"/servers/{vm1}/os-server-password"
        told = admin.request("GET", path).json()["password"]
        if (seen, told) != (share, password):
            lost.append((number, seen, told))
        cleared, (answer, _) = together(
            partial(admin.request, "DELETE", path),
            partial(admin.act, vm1, "set-cpu-priority", {"share": share + 1}))
        assert (cleared.status_code, answer) == (204, 200)
        seen, told = (requested(admin, vm1)["cpu_priority"],
                      admin.request("GET", path).json()["password"])
        if (seen, told) != (share + 1, ""):
            lost.append((number, seen, told))
    return lost


def test_beside_a_second_agent(admin: Person, host: Observer, vm1: str) -> None:
    """Each that is started ends, and nothing is lost that the first one was told meanwhile."""
    ended, lost, said, number = threading.Event(), [], [], 0

    def start_again() -> None:
        while not ended.is_set():
            said.append(host.second_agent())

    with ThreadPoolExecutor(1) as pool:
        starts = pool.submit(start_again)
        try:
            while number < ROUNDS or not said:
                number += 1
                share = 2000 + number
                answer, _ = admin.act(vm1, "set-cpu-priority", {"share": share})
                assert answer == 200
                if (seen := requested(admin, vm1)["cpu_priority"]) != share:
                    lost.append((number, seen))
        finally:
            ended.set()
        starts.result()
    print(f"\n  {number} sets beside {len(said)} second agents")
    assert lost == []
    assert [each for each in said if not each.startswith("exit status 1: ")] == []
    assert held(host, vm1)["cpu_priority"] == share
    admin.act(vm1, "set-cpu-priority", {"share": None})


Steps = Sequence[tuple[dict[str, str | None], dict[str, str | None]]]
#: What nova saves in such an operation: keys of system_metadata and fields of the instance, from
#: one copy (nova/compute/api.py, manager.py, virt/libvirt/driver.py).
OPERATIONS: dict[str, Steps] = {
    "rescue": [
        ({}, {"task_state": "rescuing"}),
        ({"rescue_image_base_ref": "image"}, {"vm_state": "rescued", "task_state": None}),
        ({"rescue_image_base_ref": None}, {"vm_state": "active"})],
    "resize": [
        ({"image_base_image_ref": "image"}, {"task_state": "resize_prep"}),
        ({"old_vm_state": "active"}, {"task_state": "resize_migrating"}),
        ({}, {"vm_state": "resized", "task_state": None}),
        ({"old_vm_state": None}, {"vm_state": "active"})],
    "migrate": [
        ({}, {"task_state": "migrating"}),
        ({"clean_attempts": "1"}, {"task_state": None}),
        ({"clean_attempts": None}, {})],
    "BUILD": [
        ({}, {"vm_state": "building", "task_state": None}),
        ({"boot_roles": "roles"}, {"task_state": "networking"}),
        ({"network_allocated": "True"}, {"task_state": "spawning"}),
        ({"boot_roles": None}, {"vm_state": "active", "task_state": None})],
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_interleaved_with_what_nova_saves(
    admin: Person, boot: Callable[[str, str], str], operation: str
) -> None:
    """Sets at random moments of such an operation: taken and kept, or refused."""
    server = boot("lost-interleaved", "m256")
    wanted, lost, answers = requested(admin, server)["cpu_priority"], [], {200: 0, 409: 0}
    with writer() as nova, ThreadPoolExecutor(1) as pool:
        for number in range(ROUNDS):
            share = 2000 + number
            nova.load(server)
            asked = pool.submit(together, partial(
                admin.act, server, "set-cpu-priority", {"share": share}))
            for keys, fields in OPERATIONS[operation]:
                time.sleep(random.uniform(0, _APART_S / 4))
                assert nova.save(keys, **fields)
            (status, _), = asked.result()
            answers[status] += 1
            wanted = share if status == 200 else wanted
            seen = requested(admin, server)["cpu_priority"]
            if seen != wanted:
                lost.append((number, status, wanted, seen))
    print(f"\n  {operation}: {answers[200]} sets taken, {answers[409]} refused, {len(lost)} lost")
    assert lost == []


def rescued(admin: Person, server: str) -> None:
    for action, status in (("rescue", "RESCUE"), ("unrescue", "ACTIVE")):
        admin.act(server, action)
        admin.wait_for_status(server, status)


def resized(admin: Person, server: str) -> None:
    flavors = admin.request("GET", "/flavors").json()["flavors"]
    for name in ("m512", "m256"):
        flavor = next(each["id"] for each in flavors if each["name"] == name)
        admin.act(server, "resize", {"flavorRef": flavor})
        admin.wait_for_status(server, "VERIFY_RESIZE")
        admin.act(server, "confirmResize")
        admin.wait_for_status(server, "ACTIVE")


@pytest.mark.parametrize("operation", [rescued, resized], ids=["rescue", "resize"])
def test_beside_an_operation(
    admin: Person, host: Observer, boot: Callable[[str, str], str],
    operation: Callable[[Person, str], None],
) -> None:
    server = boot("lost-operated", "m256")
    for _ in range(OPERATIONS_ROUNDS):
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(operation, admin, server)
            taken, answered = hammer(admin, server, done.done)
            done.result()
        assert answered <= {200, 202, 409}
        assert taken is not None
        assert requested(admin, server)["cpu_priority"] == taken
        wait_for(lambda taken=taken: host.cgroup(server, "cpu", "cpu.shares") == taken, 30,
                 "it is in force")


def test_beside_a_build(admin: Person, host: Observer) -> None:
    for _ in range(OPERATIONS_ROUNDS):
        server = create(admin, "lost-built", flavor="m256")
        try:
            taken, answered = hammer(
                admin, server, lambda server=server: admin.show(server)["status"] == "ACTIVE")
            assert answered <= {200, 202, 409}
            if taken is None:
                taken = 1999
                assert admin.act(server, "set-cpu-priority", {"share": taken})[0] == 200
            assert requested(admin, server)["cpu_priority"] == taken
            wait_for(lambda server=server, taken=taken:
                     host.cgroup(server, "cpu", "cpu.shares") == taken, 30, "it is in force")
        finally:
            admin.delete(server)
