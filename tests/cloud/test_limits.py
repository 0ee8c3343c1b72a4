# SPDX-License-Identifier: Apache-2.0
"""Guarantees and limits of real servers, set through nova and observed with virsh, with tc and in
control groups."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import CHECKED_S
from tools.bed.stack import limits
from tools.bed.stack.host import uplink
from tools.bed.stack.network import UPLINK

SETTINGS = {"cpu_limit": 60, "cpu_guarantee": 50, "memory_guarantee": 200, "memory_priority": 300,
            "io_limit": 500, "io_rate_limit": 16384, "net_limit": 40_000, "net_guarantee": 30_000,
            "net_in_limit": 20_000, "net_in_guarantee": 10_000, "net_in_priority": 9}
_STARTED_S = 20.0
#: Beside so many shares of a neighbour, the guarantee needs more than 1024.
_MANY_SHARES = 262144


def held(host: Observer, server: str) -> dict[str, object]:
    """What libvirt, and the kernel below it, hold of all that a number on the host shows."""
    tuned = host.throttling(server)
    receiving = limits.inbound_class(host, server)
    return {
        "cpu_limit": host.virsh_value("schedinfo", server, "global_quota"),
        "kernel's": host.cgroup(server, "cpu", "cpu.cfs_quota_us"),
        "io_limit": int(tuned["total_iops_sec"]), "io_rate_limit": int(tuned["total_bytes_sec"]),
        "group": tuned["group_name"], "net": net_class(host, server),
        "net_in": receiving and receiving.ceil}


def net_class(host: Observer, server: str) -> tuple[str, str] | None:
    """Rate and ceiling of the server's class as tc shows them; None while it has none."""
    found = limits.outbound_class(host, server)
    return (found.rate, found.ceil) if found else None


WITH = {"cpu_limit": 12000, "kernel's": 12000, "io_limit": 500, "io_rate_limit": 2**24,
        "group": "nova-qos", "net": ("30Mbit", "40Mbit"),
        "net_in": "20Mbit"}
WITHOUT = {"cpu_limit": -1, "kernel's": -1, "io_limit": 0, "io_rate_limit": 0, "group": "",
           "net": None, "net_in": None}


@pytest.fixture
def limited(admin: Person, host: Observer, clean: None, vm1: str) -> str:
    """vm1 with a guarantee and a limit of everything."""
    status, answer = admin.act(vm1, "set-qos", SETTINGS)
    assert status == 200, answer
    assert held(host, vm1) == WITH
    return vm1


def test_an_unset_leaves_nothing(admin: Person, host: Observer, limited: str) -> None:
    assert admin.act(limited, "set-qos", dict.fromkeys(SETTINGS))[0] == 200
    assert held(host, limited) == WITHOUT
    assert "5ca1" not in uplink.root()
    assert not limits.has_receiver()


def test_the_device_that_they_receive_by_comes_back(
    admin: Person, host: Observer, limited: str
) -> None:
    subprocess.run(["ip", "link", "delete", limits.RECEIVER], check=True)
    wait_for(lambda: held(host, limited) == WITH, CHECKED_S, "it is put right")


@pytest.mark.resources("net_limit")
def test_a_network_limit_alone_concerns_nobody_else(
    admin: Person, host: Observer, clean: None, vm1: str, vm2: str
) -> None:
    assert admin.act(vm1, "set-net-limit", {"kbit": 5000}) == (200, {"kbit": 5000})
    assert net_class(host, vm1) == ("5Mbit", "5Mbit")
    assert net_class(host, vm2) is None
    assert admin.act(vm1, "get-net-limit") == (200, {"kbit": 5000})
    assert host.network_priority(vm2) == -1


def test_more_than_the_uplink_has_is_not_guaranteed(
    admin: Person, host: Observer, limited: str, vm2: str
) -> None:
    status, answer = admin.act(vm2, "set-net-guarantee", {"kbit": 60_000})
    assert status == 409
    assert "has promised 30000 to others" in answer["conflictingRequest"]["message"]
    assert admin.act(vm2, "get-net-guarantee") == (200, {"kbit": -1})


@pytest.mark.resources(*(name for name in SETTINGS if name != "memory_priority"))
def test_a_hard_reboot_keeps_them(admin: Person, host: Observer, limited: str) -> None:
    assert admin.act(limited, "reboot", {"type": "HARD"})[0] == 202
    admin.wait_for_status(limited, "ACTIVE")
    wait_for(lambda: held(host, limited) == WITH, _STARTED_S, "all are in force again")
    told = admin.act(limited, "get-qos")[1]
    assert {name: (told[name]["applied"], told[name]["state"]) for name in SETTINGS} == {
        name: (value, "applied") for name, value in SETTINGS.items()}


@pytest.mark.parametrize("command", [
    ["schedinfo", "{}", "--live", "global_quota=-1"],
    ["blkdeviotune", "{}", "vda", "--live", "--total-iops-sec", "0", "--total-bytes-sec", "0"],
    ["blkdeviotune", "{}", "vda", "--live", "--total-iops-sec", "900"],
], ids=["quota", "no throttling", "another throttling"])
def test_drift_is_put_right(
    admin: Person, host: Observer, limited: str, command: list[str]
) -> None:
    with host.frozen_agent():
        host.libvirt.virsh(*(limited if word == "{}" else word for word in command))
        assert held(host, limited) != WITH
    wait_for(lambda: held(host, limited) == WITH, CHECKED_S, "it is put right")


def test_drift_of_its_class_is_put_right(admin: Person, host: Observer, limited: str) -> None:
    name = uplink.class_of(host.interface(limited)[1])
    assert name is not None
    with host.frozen_agent():
        subprocess.run(
            ["tc", "class", "change", "dev", UPLINK, "parent", "5ca1:1", "classid", name, "htb",
             "rate", "1mbit", "ceil", "2mbit"], check=True, capture_output=True)
        assert held(host, limited) != WITH
    wait_for(lambda: held(host, limited) == WITH, CHECKED_S, "it is put right")


@pytest.mark.resources("cpu_guarantee")
def test_a_guarantee_raises_the_weight_and_no_more(
    admin: Person, host: Observer, limited: str, vm2: str
) -> None:
    assert host.cgroup(limited, "cpu", "cpu.shares") == 1024
    assert admin.act(vm2, "set-cpu-priority", {"share": _MANY_SHARES})[0] == 200
    wait_for(lambda: host.cgroup(limited, "cpu", "cpu.shares") > 1024, 5, "it is raised")
    told = admin.act(limited, "get-qos")[1]["cpu_priority"]
    assert (told["state"], told["reason"]) == ("unset", "raised by cpu_guarantee")
    assert admin.act(vm2, "set-cpu-priority", {"share": 1024})[0] == 200
    wait_for(lambda: host.cgroup(limited, "cpu", "cpu.shares") == 1024, 5, "it is raised no more")


@pytest.fixture
def flavor(admin: Person) -> Iterator[str]:
    """One with limits of its own, which nova gives the server when it starts."""
    answer = admin.request("POST", "/flavors", json={
        "flavor": {"name": "limited", "ram": 256, "vcpus": 1, "disk": 0}})
    number = answer.json()["flavor"]["id"]
    answer = admin.request("POST", f"/flavors/{number}/os-extra_specs", json={"extra_specs": {
        "quota:disk_total_iops_sec": "800", "quota:cpu_quota": "50000",
        "quota:cpu_period": "100000"}})
    assert answer.status_code == 200, answer.text
    yield "limited"
    admin.request("DELETE", f"/flavors/{number}")


def test_limits_of_the_flavor_are_left_alone(
    admin: Person, host: Observer, flavor: str, boot: Callable[[str, str], str]
) -> None:
    server = boot("flavored", flavor)
    before = held(host, server)
    assert (before["io_limit"], before["kernel's"]) == (800, -1)
    for action, value, why in (
            ("set-io-limit", {"iops": 500}, "no disk can be limited: disk vda is not counted"),
            ("set-cpu-limit", {"percent": 40}, "quota:cpu_quota lets each vCPU have 50 percent")):
        status, answer = admin.act(server, action, value)
        assert status == 409
        assert why in answer["conflictingRequest"]["message"]
    assert held(host, server) == before
    assert admin.act(server, "set-cpu-limit", {"percent": 50})[0] == 200
    assert held(host, server) == {**before, "cpu_limit": 10000, "kernel's": 10000}
