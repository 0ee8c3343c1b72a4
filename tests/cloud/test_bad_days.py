# SPDX-License-Identifier: Apache-2.0
"""What people ask for while something is down."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer


def test_stopped_server(admin: Person, host: Observer, vm2: str) -> None:
    admin.act(vm2, "os-stop")
    admin.wait_for_status(vm2, "SHUTOFF")
    status, body = admin.act(vm2, "set-cpu-priority", {"share": 3333})
    assert (status, body["state"], body["requested"]) == (202, "pending", 3333)
    assert admin.act(vm2, "get-cpu-priority")[0] == 409
    status, qos = admin.act(vm2, "get-qos")
    assert (status, qos["cpu_priority"]["state"]) == (200, "pending")
    admin.act(vm2, "os-start")
    admin.wait_for_status(vm2, "ACTIVE")
    assert admin.act(vm2, "get-qos")[1]["cpu_priority"]["requested"] == 3333
    assert admin.act(vm2, "set-cpu-priority", {"share": 3333}) == (200, {"share": 3333})
    assert host.cgroup(vm2, "cpu", "cpu.shares") == 3333


def test_paused_server(admin: Person, host: Observer, vm2: str) -> None:
    admin.act(vm2, "pause")
    admin.wait_for_status(vm2, "PAUSED")
    assert admin.act(vm2, "set-cpu-priority", {"share": 600}) == (200, {"share": 600})
    assert host.cgroup(vm2, "cpu", "cpu.shares") == 600
    assert admin.act(vm2, "set-current-memory", {"memory": 400})[0] == 202
    admin.act(vm2, "unpause")
    admin.wait_for_status(vm2, "ACTIVE")
    assert admin.act(vm2, "set-current-memory", {"memory": 512}) == (200, {"success": 1})


def test_locked_server(admin: Person, vm2: str) -> None:
    admin.act(vm2, "lock")
    assert admin.act(vm2, "set-cpu-priority", {"share": 1024}) == (200, {"share": 1024})
    admin.act(vm2, "unlock")


def test_server_being_rebuilt(admin: Person, vm2: str) -> None:
    admin.act(vm2, "rebuild", {"imageRef": admin.show(vm2)["image"]["id"]})
    status, fault = admin.act(vm2, "set-cpu-priority", {"share": 2222})
    assert status == 409
    assert "in progress" in fault["conflictingRequest"]["message"]
    admin.wait_for_status(vm2, "ACTIVE")
    assert admin.act(vm2, "get-qos")[1]["cpu_priority"]["requested"] != 2222


def test_agent_killed_and_back(admin: Person, host: Observer, vm1: str) -> None:
    host.kill_agent()
    try:
        start = time.monotonic()
        status, body = admin.act(vm1, "set-cpu-priority", {"share": 1717})
        assert (status, body["state"]) == (202, "pending")
        assert time.monotonic() - start < host.rpc_timeout + 5
        # each waits for as long
        with ThreadPoolExecutor(2) as pool:
            one, all_of_them = pool.map(partial(admin.act, vm1), ["get-cpu-priority", "get-qos"])
        assert one[0] == 503
        status, qos = all_of_them
        assert (status, qos["cpu_priority"]["requested"]) == (200, 1717)
    finally:
        host.start_agent()
    wait_for(lambda: admin.act(vm1, "get-cpu-priority")[0] == 200, 60, "the agent answers")
    assert admin.act(vm1, "set-cpu-priority", {"share": 1717}) == (200, {"share": 1717})


def test_agent_killed_during_a_call(admin: Person, host: Observer, vm1: str) -> None:
    host.freeze_agent()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(admin.act, vm1, "set-io-priority", {"weight": 321})
        time.sleep(1)
        assert not asked.done()
        host.kill_agent()
        status, body = asked.result()
    host.start_agent()
    assert (status, body["state"]) == (202, "pending")
    assert admin.act(vm1, "get-qos")[1]["io_priority"]["requested"] == 321
    assert admin.act(vm1, "set-io-priority", {"weight": 321}) == (200, {"weight": 321})
    assert host.cgroup(vm1, "blkio", "blkio.bfq.weight") == 321


def test_libvirtd_stopped_and_back(admin: Person, host: Observer, vm1: str) -> None:
    host.libvirt.stop_libvirtd()
    try:
        status, body = admin.act(vm1, "set-cpu-priority", {"share": 1919})
        assert (status, body["state"]) == (202, "pending")
        assert "libvirt" in body["reason"]
        assert admin.act(vm1, "get-cpu-priority")[0] == 503
    finally:
        host.start_libvirtd()
    assert admin.act(vm1, "set-cpu-priority", {"share": 1919}) == (200, {"share": 1919})
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 1919
