# SPDX-License-Identifier: Apache-2.0
"""The host balances the memory of its guests by itself: what one needs comes from idle ones."""

import time
from collections.abc import Callable, Sequence

from tools.bed import tables
from tools.bed.observer import Observer
from tools.bed.stack import tenants
from tools.bed.stack.balancing import BUDGET_MIB, WORKING_MIB, as_before, balanced
from tools.bed.stack.command import Command
from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import MEMORY_MIB, Server
from tools.demo.errors import DemoFailed

#: What an idle one is guaranteed.
GUARANTEED_MIB = 256
#: What an idle guest is left at most, which uses less than a hundred.
_MOST_IDLE_MIB = 320
_TIMEOUT_S, _POLL_S = 60, 1.0
_KIB_PER_MIB = 1024


def perform(
    layout: Layout, openstack: Command, host: Observer, three: Sequence[Server], number: int
) -> int:
    """The step of that number; how many they were.

    :raises DemoFailed, TestbedError: memory does not go where it is needed, or does not come back
    """
    guaranteed, _idle, working = three
    print(f"\n{number}. balancing: the host lets its servers use {BUDGET_MIB} MiB together, and "
          f"{working.name} needs more than a third", flush=True)
    openstack.show("server", "qos", "set", "--memory-guarantee", f"{GUARANTEED_MIB}M",
                   guaranteed.name)
    print(f"  the agent starts again with [nova_qos_balance] mode = on, memory_mib = {BUDGET_MIB}; "
          f"{working.name} occupies {WORKING_MIB} MiB", flush=True)
    with balanced(layout):
        working.inside(f"occupy-memory {WORKING_MIB}")
        seen = _await(host, three, lambda mib: (
            max(mib[:2]) <= _MOST_IDLE_MIB and mib[2] > WORKING_MIB + 32))
        _show(openstack, three, seen)
        working.inside("occupy-memory 0")
    back = _await(host, three, lambda mib: min(mib) == MEMORY_MIB)
    print(f"  balancing is off again: all have {min(back)} MiB", flush=True)
    as_before(layout)
    openstack.show("server", "qos", "unset", "--all", guaranteed.name)
    return 1


def _await(
    host: Observer, three: Sequence[Server], is_so: Callable[[Sequence[int]], bool]
) -> list[int]:
    """What virsh shows of all three, in MiB, once it is so.

    :raises DemoFailed: it does not come to be so
    """
    give_up = time.monotonic() + _TIMEOUT_S
    while True:
        seen = [host.virsh_value("dommemstat", each.uuid, "actual") // _KIB_PER_MIB
                for each in three]
        if is_so(seen):
            return seen
        if time.monotonic() > give_up:
            raise DemoFailed(f"after {_TIMEOUT_S} s the balloons of the three have {seen} MiB")
        time.sleep(_POLL_S)


def _show(openstack: Command, three: Sequence[Server], seen: Sequence[int]) -> None:
    """Show all sides."""
    tables.show(("server", "virsh dommemstat: actual", "guest: MemAvailable"), [
        (server.name, f"{mib} MiB", f"{_available_mib(server)} MiB")
        for server, mib in zip(three, seen, strict=True)])
    openstack.show("server", "qos", "show", three[0].name, "--fit-width")
    host = tenants.connect().compute.get_server(three[0].uuid).compute_host
    columns = ("state", "reasons", "room", "managed", "lent", "lacking", "moves")
    openstack.show("server", "qos", "host", "show", host, "--fit-width",
                   *(word for name in columns for word in ("-c", f"balancing_{name}")))


def _available_mib(server: Server) -> int:
    (line,) = server.inside("grep MemAvailable /proc/meminfo")
    return int(line.split()[1]) // _KIB_PER_MIB
