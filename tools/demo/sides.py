# SPDX-License-Identifier: Apache-2.0
"""From which sides each resource is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.demo.command import Command
from tools.demo.observer import Observer
from tools.demo.servers import Server

Look = Callable[[Server], float]


@dataclass(frozen=True)
class Resource:
    """How to set a resource, and every way to see what it is."""

    title: str
    set_command: str
    sides: Mapping[str, Look]
    remarks: Mapping[str, Look]


def resources(nova: Command, host: Observer) -> dict[str, Resource]:
    """The resources by name. Memory is in MiB on every side.

    All ``sides`` must agree with what was asked; ``remarks`` only inform.
    """
    def from_nova(field: str, command: str, divisor: int = 1) -> Look:
        return lambda server: nova.number(field, command, server.name) / divisor

    def from_virsh(field: str, command: str, divisor: int = 1) -> Look:
        return lambda server: host.virsh(command, field, server) / divisor

    def from_cgroup(controller: str, file: str, divisor: int = 1) -> Look:
        return lambda server: host.cgroup(controller, file, server) / divisor

    return {
        "memory": Resource(
            "memory, MiB", "lv-set-mem",
            {"nova lv-get-mem": from_nova("actual", "lv-get-mem", 1024),
             "virsh dommemstat": from_virsh("actual", "dommemstat", 1024),
             "the guest's kernel": host.guest_memory_mib},
            {"guest's MemAvailable": host.guest_available_mib}),
        "soft limit": Resource(
            "memory soft limit, MiB", "lv-set-mem-soft-limit",
            {"nova lv-get-mem-soft-limit": from_nova("soft_limit", "lv-get-mem-soft-limit", 1024),
             "virsh memtune": from_virsh("soft_limit", "memtune", 1024),
             "memory.soft_limit_in_bytes":
                 from_cgroup("memory", "memory.soft_limit_in_bytes", 2**20)},
            {}),
        "CPU": Resource(
            "CPU shares", "lv-set-cpu-priority",
            {"nova lv-get-cpu-priority": from_nova("share", "lv-get-cpu-priority"),
             "virsh schedinfo": from_virsh("cpu_shares", "schedinfo"),
             "cpu.shares": from_cgroup("cpu", "cpu.shares")},
            {}),
        "I/O": Resource(
            "I/O weight", "lv-set-io-priority",
            {"nova lv-get-io-priority": from_nova("weight", "lv-get-io-priority"),
             "virsh blkiotune": from_virsh("weight", "blkiotune"),
             "blkio.bfq.weight": from_cgroup("blkio", "blkio.bfq.weight")},
            {}),
        "network": Resource(
            "network priority", "tc-set-net-priority",
            {"nova tc-get-net-priority": from_nova("prio", "tc-get-net-priority"),
             "tc and nft": host.network_priority},
            {}),
    }
