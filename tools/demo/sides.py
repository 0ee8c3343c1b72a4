# SPDX-License-Identifier: Apache-2.0
"""From which sides each resource is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.bed.errors import TestbedError
from tools.bed.observer import Observer
from tools.bed.stack.command import Command
from tools.bed.stack.servers import MEMORY_MIB, Server

_PAGES_PER_MIB = 256
Look = Callable[[Server], float]


@dataclass(frozen=True)
class Resource:
    """How to set a resource, and every way to see what it is.

    All ``sides`` must agree with what was asked; ``remarks`` only inform.
    """

    title: str
    set_command: str
    sides: Mapping[str, Look]
    remarks: Mapping[str, Look]


def resources(nova: Command, host: Observer) -> dict[str, Resource]:
    """The resources by name. Memory is in MiB on every side."""
    return {
        "memory": _memory(nova, host), "soft limit": _soft_limit(nova, host),
        "CPU": _cpu(nova, host), "I/O": _io(nova, host), "network": _network(nova, host)}


def _memory(nova: Command, host: Observer) -> Resource:
    return Resource(
        "memory, MiB", "lv-set-mem",
        {"nova lv-get-mem": _from_nova(nova, "lv-get-mem", "actual", 1024),
         "virsh dommemstat": _from_virsh(host, "dommemstat", "actual", 1024),
         "the guest's kernel": _guest_memory_mib},
        {"guest's MemAvailable": _guest_available_mib})


def _soft_limit(nova: Command, host: Observer) -> Resource:
    command, file = "lv-get-mem-soft-limit", "memory.soft_limit_in_bytes"
    return Resource(
        "memory soft limit, MiB", "lv-set-mem-soft-limit",
        {f"nova {command}": _from_nova(nova, command, "soft_limit", 1024),
         "virsh memtune": _from_virsh(host, "memtune", "soft_limit", 1024),
         file: _from_cgroup(host, "memory", file, 2**20)},
        {})


def _cpu(nova: Command, host: Observer) -> Resource:
    return Resource(
        "CPU shares", "lv-set-cpu-priority",
        {"nova lv-get-cpu-priority": _from_nova(nova, "lv-get-cpu-priority", "share"),
         "virsh schedinfo": _from_virsh(host, "schedinfo", "cpu_shares"),
         "cpu.shares": _from_cgroup(host, "cpu", "cpu.shares")},
        {})


def _io(nova: Command, host: Observer) -> Resource:
    return Resource(
        "I/O weight", "lv-set-io-priority",
        {"nova lv-get-io-priority": _from_nova(nova, "lv-get-io-priority", "weight"),
         "virsh blkiotune": _from_virsh(host, "blkiotune", "weight"),
         "blkio.bfq.weight": _from_cgroup(host, "blkio", "blkio.bfq.weight")},
        {})


def _network(nova: Command, host: Observer) -> Resource:
    def seen(server: Server) -> int:
        priority = host.network_priority(server.uuid)
        if priority is None:
            raise TestbedError(f"tc and nft do not agree on the class of {server.name}")
        return priority

    return Resource(
        "network priority", "tc-set-net-priority",
        {"nova tc-get-net-priority": _from_nova(nova, "tc-get-net-priority", "prio"),
         "tc and nft": seen},
        {})


def _from_nova(nova: Command, command: str, field: str, divisor: int = 1) -> Look:
    return lambda server: nova.number(field, command, server.name) / divisor


def _from_virsh(host: Observer, command: str, field: str, divisor: int = 1) -> Look:
    return lambda server: host.virsh_value(command, server.uuid, field) / divisor


def _from_cgroup(host: Observer, controller: str, file: str, divisor: int = 1) -> Look:
    return lambda server: host.cgroup(server.uuid, controller, file) / divisor


def _guest_memory_mib(server: Server) -> float:
    """The guest's memory less the pages that its own kernel has given to the balloon.

    MemTotal would not do: nova lets balloons deflate, so the guest's kernel goes on counting
    pages that it could have back.
    """
    counters = server.inside("grep balloon_ /proc/vmstat")
    pages = {line.split()[0]: int(line.split()[1]) for line in counters}
    held = pages["balloon_inflate"] - pages["balloon_deflate"]
    return MEMORY_MIB - held / _PAGES_PER_MIB


def _guest_available_mib(server: Server) -> int:
    """MemAvailable as the guest sees it."""
    (line,) = server.inside("grep MemAvailable /proc/meminfo")
    return int(line.split()[1]) // 1024
