# SPDX-License-Identifier: Apache-2.0
"""A server with every setting, and where it goes."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nova_qos.resources import BALLOON
from tests.cloud.api import Person, wait_for
from tests.twonode.host import NodeHost

#: No CPU limit: it holds the emulator, too, which on an emulated host needs minutes to send a guest
#: that has one.
SETTINGS = {"memory": 200, "memory_soft_limit": 128, "cpu_priority": 2048, "io_priority": 700,
            "net_priority": 20, "memory_guarantee": 100, "io_limit": 500, "net_limit": 40_000}
#: The same as a host with cgroup v2 holds it; first what it does not bring along.
ARRIVING = {"cpu.weight": 200, "io.bfq.weight": 700, "memory.low": 128 * 2**20, "net": 20}
HELD = {**ARRIVING, "memory": 200, "memory.min": 100 * 2**20, "total_iops_sec": 500,
        "ceil": "40Mbit"}
#: What a host with cgroup v2 holds of a server without settings.
FREE = {"cpu.weight": 100, "io.bfq.weight": 100, "memory.low": 0, "memory": 256, "net": -1,
        "memory.min": 0, "total_iops_sec": 0, "ceil": None}
#: The longest that a move may take, and a guest that an emulated host emulates to boot, beside
#: whatever else the machine does.
MOVE_S, DRIVER_S = 400, 600


@dataclass(frozen=True)
class Resident:
    """A server that has migrated live to its host, and how long after it ran there its settings
    were seen."""

    server: str
    took_s: dict[str, float]


def set_all(admin: Person, server: str) -> None:
    """Give it every setting, as soon as its guest lets that be done."""
    wait_for(lambda: admin.act(server, BALLOON)[1].get("ballooning_enabled"), DRIVER_S,
             "its balloon driver lives")
    wait_for(lambda: admin.act(server, "set-qos", SETTINGS)[0] == 200, DRIVER_S, "all are set")


def await_held(host: NodeHost, server: str, wanted: Mapping[str, object] = HELD) -> None:
    """Wait until the host holds that, by tools that are not ours."""
    give_up = time.monotonic() + DRIVER_S
    while (now := host.held(server)) != wanted and time.monotonic() < give_up:
        time.sleep(1)
    assert now == wanted, f"the host holds {now}, not {wanted}"


def host_of(admin: Person, server: str) -> str:
    """Where nova has it."""
    return str(admin.show(server)["OS-EXT-SRV-ATTR:host"])


def reported(admin: Person, host: str) -> dict[str, Any]:
    """A compute host as a whole, with its servers."""
    answer = admin.request("GET", f"/os-qos/hosts?host={host}&servers=true")
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["hosts"]
    return dict(found)


def host_of_v1(admin: Person) -> str:
    """The machine that the cloud itself runs on."""
    services = admin.request("GET", "/os-services?binary=nova-scheduler").json()["services"]
    return str(services[0]["host"])


def migrate_live(admin: Person, server: str, target: NodeHost) -> dict[str, float]:
    """Migrate a server that has every setting; how long after it ran there they were seen."""
    arrival = target.expect(ARRIVING, MOVE_S)
    migrate(admin, server, target)
    return arrival.took_s()


def migrate(admin: Person, server: str, target: NodeHost) -> None:
    """Migrate a server live, and wait until it is there."""
    status, answer = admin.act(
        server, "os-migrateLive", {"host": target.name, "block_migration": "auto"})
    assert status == 202, answer
    wait_for(lambda: host_of(admin, server) == target.name, MOVE_S, "it has moved")
    admin.wait_for_status(server, "ACTIVE")


def stay(admin: Person, server: str, host: NodeHost) -> None:
    """Have a server on a host, wherever the tests before have left it."""
    if host_of(admin, server) != host.name:
        migrate(admin, server, host)


@contextmanager
def locked(admin: Person, servers: Iterable[str]) -> Iterator[None]:
    """While inside, ``relieve`` leaves these where they are."""
    servers = list(servers)
    for server in servers:
        assert admin.act(server, "lock")[0] == 202
    try:
        yield
    finally:
        for server in servers:
            admin.act(server, "unlock")
