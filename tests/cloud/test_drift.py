# SPDX-License-Identifier: Apache-2.0
"""What somebody changes by hand on the host is put right by the periodic check."""

import subprocess

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.values import CHECKED_S, SETTINGS, await_applied, await_held, held
from tools.bed.stack.host import uplink
from tools.bed.stack.network import UPLINK


@pytest.mark.parametrize(("resource", "command"), [
    ("memory", ["setmem", "{}", "250M", "--live"]),
    ("memory_soft_limit", ["memtune", "{}", "--soft-limit", "99M", "--live"]),
    ("cpu_priority", ["schedinfo", "{}", "--live", "cpu_shares=33"]),
    ("io_priority", ["blkiotune", "{}", "--weight", "123", "--live"]),
])
def test_with_virsh(
    admin: Person, host: Observer, kept: str, resource: str, command: list[str]
) -> None:
    # an event of libvirt's may have the agent put it right within milliseconds
    with host.frozen_agent():
        host.libvirt.virsh(*(kept if word == "{}" else word for word in command))
        wait_for(lambda: held(host, kept)[resource] != SETTINGS[resource], 5, "it has changed")
    await_held(host, kept, SETTINGS, CHECKED_S)
    await_applied(admin, kept)


def test_memory_that_the_guest_may_have_taken_back(
    admin: Person, host: Observer, kept: str
) -> None:
    # nothing tells this from a guest that was short of memory, which is left in peace for a while
    with host.frozen_agent():
        host.libvirt.virsh("setmem", kept, "400M", "--live")
        wait_for(lambda: held(host, kept)["memory"] == 400, 10, "the guest has it")
    memory = wait_for(lambda: not_applied(admin, kept), CHECKED_S, "get-qos says so")
    assert (memory["state"], memory["requested"], memory["applied"]) == ("deflated", 300, 400)
    await_held(host, kept, SETTINGS, 2 * CHECKED_S)
    await_applied(admin, kept)


def not_applied(admin: Person, server: str) -> dict[str, object] | None:
    memory: dict[str, object] = admin.act(server, "get-qos")[1]["memory"]
    return memory if memory["state"] not in ("applied", "drifted") else None


def test_with_a_groups_file(admin: Person, host: Observer, kept: str) -> None:
    with host.frozen_agent():
        host.group_file(kept, "cpu", "cpu.shares").write_text("44")
        assert host.cgroup(kept, "cpu", "cpu.shares") == 44
    await_held(host, kept, SETTINGS, CHECKED_S)
    await_applied(admin, kept)


@pytest.mark.parametrize("command", [
    ["tc", "qdisc", "del", "dev", UPLINK, "root"],
    ["tc", "class", "change", "dev", UPLINK, "parent", "5ca1:1", "classid", "{name}",
     "htb", "rate", "1mbit", "ceil", "1mbit"],
    ["nft", "delete", "table", "netdev", "nova_qos"],
    ["nft", "delete", "element", "netdev", "nova_qos", "by_mac", "{{ {mac} }}"],
    ["nft", "flush", "chain", "netdev", "nova_qos", "{chain}"],
], ids=lambda command: " ".join(command[:3]))
def test_with_tc_and_nft(admin: Person, host: Observer, kept: str, command: list[str]) -> None:
    tap, mac = host.interface(kept)
    name = uplink.class_of(mac)
    assert name is not None
    before = uplink.classes()[name]
    words = {"name": name, "mac": mac, "chain": uplink.chain_of(tap)}
    subprocess.run([word.format_map(words) for word in command], check=True, capture_output=True)

    def as_before() -> bool:
        now = uplink.classes().get(uplink.class_of(mac) or "") if uplink.has_table() else None
        return now is not None and (now.rate, now.ceil) == (before.rate, before.ceil)

    wait_for(as_before, CHECKED_S, "the class is there with its rates")
    await_held(host, kept, SETTINGS, CHECKED_S)
    await_applied(admin, kept)
