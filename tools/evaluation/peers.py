# SPDX-License-Identifier: Apache-2.0
"""How long a change takes by bare virsh and tc, by nova's API, and by the command lines."""

import functools
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.bed import observer
from tools.bed.errors import TestbedError
from tools.bed.stack.host import uplink
from tools.bed.stack.servers import Server
from tools.bed.uplink import FRAME, MOST_WEIGHT
from tools.evaluation import timings
from tools.evaluation.rest import Rest
from tools.evaluation.site import Site
from tools.evaluation.timings import Change, Way

_ROUNDS = 5
_POLL_S, _TIMEOUT_S = 0.002, 30
Ask = Callable[[int], object]


@dataclass(frozen=True)
class _Resource:
    """How a resource is called, the two values to go to and fro between, what the host holds, and
    the tool's own way to change it.

    ``needs_one``: there is nothing to change by the tool until nova was asked for a value.
    """

    name: str
    action: str
    key: str
    nova_command: str
    option: str
    values: tuple[int, int]
    read: Callable[[], int]
    bare: Ask
    needs_one: bool = False


def perform(site: Site, out: Path) -> None:
    """Every resource of one server, in turns by each way."""
    rest, server = Rest(), site.servers[0]
    site.clear()
    done: list[Change] = []
    for resource in _resources(site, server):
        print(f"  {resource.name}: {_ROUNDS} times {resource.values} by each way", flush=True)
        if resource.needs_one:
            site.nova.ask(resource.nova_command, server.name, str(resource.values[1]))
        for number in range(_ROUNDS):
            if not resource.needs_one:
                # what bare tools change is put right again where nova was asked for something
                rest.act(server.uuid, "set-qos", {resource.name: None})
            for way, ask in _ways(site, rest, server, resource).items():
                done += [_timed(resource, way, number, ask, value) for value in resource.values]
    site.clear()
    timings.save_changes(done, out / "peers")


def _ways(
    site: Site, rest: Rest, server: Server, resource: _Resource
) -> Mapping[Way, Ask]:
    def api(value: int) -> None:
        if not 200 <= rest.act(server.uuid, resource.action, {resource.key: value}) < 300:
            raise TestbedError(f"nova refused {resource.action} {value}")

    return {
        Way.BARE: resource.bare,
        Way.API: api,
        Way.NOVA: lambda value: site.nova.run(resource.nova_command, server.name, str(value)),
        Way.OPENSTACK: lambda value: site.openstack.run(
            "server", "qos", "set", resource.option, str(value), server.name),
    }


def _resources(site: Site, server: Server) -> list[_Resource]:
    def file(controller: str, name: str, unit: int = 1) -> Callable[[], int]:
        path = site.observer.group_file(server.uuid, controller, name)
        return lambda: int(path.read_text().split()[-1]) // unit

    def virsh(command: str, form: str) -> Ask:
        return lambda value: site.libvirt.virsh(
            command, server.uuid, "--live", *form.format(value=value, kib=value * 1024).split())

    found = [_Resource(
        "memory", "set-current-memory", "memory", "lv-set-mem", "--memory", (1536, 2048),
        lambda: site.observer.virsh_value("dommemstat", server.uuid, "actual") // 1024,
        virsh("setmem", "{kib}"))]
    if observer.has_cgroup_v1():
        found += [
            _Resource("memory_soft_limit", "set-memory-soft-limit", "memory_limit",
                      "lv-set-mem-soft-limit", "--memory-soft-limit", (512, 1024),
                      file("memory", "memory.soft_limit_in_bytes", 2**20),
                      virsh("memtune", "--soft-limit {kib}")),
            _Resource("cpu_priority", "set-cpu-priority", "share", "lv-set-cpu-priority",
                      "--cpu-priority", (2048, 1024), file("cpu", "cpu.shares"),
                      virsh("schedinfo", "cpu_shares={value}")),
            _Resource("io_priority", "set-io-priority", "weight", "lv-set-io-priority",
                      "--io-priority", (900, 500), file("blkio", "blkio.bfq.weight"),
                      virsh("blkiotune", "--weight {value}")),
        ]
    return [*found, _network(site, server)]


def _network(site: Site, server: Server) -> _Resource:
    mac = site.observer.interface(server.uuid)[1]

    @functools.cache
    def name() -> str:
        found = uplink.class_of(mac)
        if found is None:
            raise TestbedError(f"nft shows no class for {mac}")
        return found

    def read() -> int:
        return MOST_WEIGHT - uplink.classes()[name()].weight

    def bare(priority: int) -> None:
        now = uplink.classes()[name()]
        command = ["tc", "class", "change", "dev", uplink.device, "parent", "5ca1:1", "classid",
                   name(), "htb", "rate", now.rate, "ceil", now.ceil, "quantum",
                   str((MOST_WEIGHT - priority) * FRAME)]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            raise TestbedError(f"{' '.join(command)}: {answer.stderr}")

    return _Resource("net_priority", "set-net-priority", "prio", "tc-set-net-priority",
                     "--net-priority", (60, 73), read, bare, needs_one=True)


def _timed(resource: _Resource, way: Way, number: int, ask: Ask, value: int) -> Change:
    """Ask, and see when the host holds it.

    :raises TestbedError: it never does, or asking fails
    """
    def work() -> float:
        ask(value)
        return time.monotonic()

    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(work)
        while resource.read() != value:
            failure = asking.exception() if asking.done() else None
            if failure or time.monotonic() - began > _TIMEOUT_S:
                raise TestbedError(
                    f"{resource.name} {value} by {way} does not arrive: {failure}") from failure
            time.sleep(_POLL_S)
        held = time.monotonic()
        ended = asking.result()
    return Change(resource.name, way, number, held - began, ended - began)
