# SPDX-License-Identifier: Apache-2.0
"""What the host holds for a server, each value read from two sides that are not ours."""

import contextlib
import time
from collections.abc import Mapping

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tools.bed.errors import TestbedError

#: A setting for everything, and what of it needs no driver in the guest.
SETTINGS = {
    "memory": 300, "memory_soft_limit": 200, "cpu_priority": 1500, "io_priority": 700,
    "net_priority": 20}
AT_ONCE = {name: value for name, value in SETTINGS.items() if name != "memory"}
#: Within this time a guest has booted, and its driver, asked every 5 s, has moved.
DRIVER_S = 40.0
#: The demo's nova.conf looks every 5 s for values, the agent every 10 s at what servers share.
CHECKED_S = 20.0
_UNLIMITED_MIB = 2**43
#: By resource name, in the API's units; words where the two sides disagree.
Values = Mapping[str, int | str | None]


def held(host: Observer, server: str) -> dict[str, int | str | None]:
    """The first five, read with virsh, in the control groups' files, with tc and with nft.

    :raises tools.bed.errors.TestbedError: libvirt has no such domain, or does not run it
    """
    soft_kib = host.virsh_value("memtune", server, "soft_limit")
    files = in_groups(host, server)
    return {
        "memory": host.virsh_value("dommemstat", server, "actual") // 1024,
        "memory_soft_limit": _agreed(
            soft_kib if soft_kib == -1 else soft_kib // 1024, files["memory_soft_limit"]),
        "cpu_priority": _agreed(
            host.virsh_value("schedinfo", server, "cpu_shares"), files["cpu_priority"]),
        "io_priority": _agreed(
            host.virsh_value("blkiotune", server, "weight"), files["io_priority"]),
        "net_priority": on_uplink(host, server),
    }


def in_groups(host: Observer, server: str) -> dict[str, int | str | None]:
    """What the kernel's files say, without libvirt; it may be asked often.

    :raises OSError: the server does not run
    """
    soft_mib = host.cgroup(server, "memory", "memory.soft_limit_in_bytes") // 2**20
    return {
        "memory_soft_limit": -1 if soft_mib >= _UNLIMITED_MIB - 1 else soft_mib,
        "cpu_priority": host.cgroup(server, "cpu", "cpu.shares"),
        "io_priority": host.cgroup(server, "blkio", "blkio.bfq.weight"),
    }


def on_uplink(host: Observer, server: str) -> int | None:
    """The network priority, -1 without one; None while tc and nft do not agree."""
    return host.network_priority(server)


def _agreed(virsh: int, file: int | str | None) -> int | str:
    return virsh if virsh == file else f"virsh: {virsh}, cgroup: {file}"


def soon_held(host: Observer, server: str) -> dict[str, int | str | None]:
    """What needs no driver in the guest, without the value of virsh; empty while the server
    does not run."""
    # it may end, or be started again, while one looks
    with contextlib.suppress(OSError, AssertionError, TestbedError):
        return {**in_groups(host, server), "net_priority": on_uplink(host, server)}
    return {}


def await_held(host: Observer, server: str, wanted: Values, seconds: float) -> None:
    """Wait until the host holds exactly these.

    :raises AssertionError: it does not by then
    """
    give_up = time.monotonic() + seconds
    while (now := _held_now(host, server)) != wanted and time.monotonic() < give_up:
        time.sleep(0.1)
    assert now == wanted, f"not within {seconds} s"


def _held_now(host: Observer, server: str) -> Values:
    try:
        return held(host, server)
    except (OSError, AssertionError, TestbedError) as error:
        return {"error": str(error)}


def await_applied(admin: Person, server: str) -> None:
    """Wait until get-qos says that everything is applied."""
    def states() -> set[str]:
        told = admin.act(server, "get-qos")[1]
        return {told[name]["state"] for name in SETTINGS}

    wait_for(lambda: states() == {"applied"}, 10, f"get-qos of {server} says applied")
