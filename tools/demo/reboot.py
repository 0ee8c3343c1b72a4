# SPDX-License-Identifier: Apache-2.0
"""A server with a setting for everything is rebooted hard, and everything is there again."""

import time
from collections.abc import Mapping, Sequence

from tools.bed import tables
from tools.bed.errors import TestbedError
from tools.bed.stack import tenants
from tools.bed.stack.command import Command
from tools.bed.stack.host import uplink
from tools.bed.stack.servers import Server
from tools.demo import scenario
from tools.demo.errors import DemoFailed
from tools.demo.sides import Look, Resource

# a guest boots in some seconds, and its balloon driver is asked every 5 s
_TIMEOUT_S, _POLL_S = 60, 0.5
_Seen = Mapping[tuple[str, str], float | str]


def perform(
    nova: Command, openstack: Command, resources: Mapping[str, Resource], asked: Mapping[str, int],
    three: Sequence[Server], number: int,
) -> int:
    """The step of that number; how many they were.

    :param asked: by resource, what the server has been asked to have
    :raises DemoFailed: something is missing after the reboot, or stays behind at the end
    """
    server = three[scenario.REBOOTED]
    print(f"\n{number}. hard reboot: {server.name} keeps all that was asked for", flush=True)
    original = uplink.root()
    network = resources["network"]
    nova.show(network.set_command, server.name, str(asked["network"]))
    before = _look(resources, asked, server)
    nova.show("reboot", "--hard", "--poll", server.name)
    began = time.monotonic()
    after, wrong = _await(resources, asked, server)
    tables.show(
        ("resource", "asked", "side", "before", "after"),
        [(resources[name].title, asked[name], side, before[name, side], value)
         for (name, side), value in after.items()])
    print(f"  {time.monotonic() - began:.1f} s after nova's task had ended", flush=True)
    if wrong:
        raise DemoFailed(f"{server.name} after its reboot: " + "; ".join(wrong))
    host = tenants.connect().compute.get_server(server.uuid).compute_host
    openstack.show("server", "qos", "list", "--host", host, "--fit-width")
    # so that the next run begins as this one did
    openstack.show("server", "qos", "unset", "--all", *(each.name for each in three))
    if uplink.root() != original or uplink.has_table():
        raise DemoFailed(f"the uplink had {original} before, and no table of ours")
    return 1


def _look(
    resources: Mapping[str, Resource], asked: Mapping[str, int], server: Server
) -> dict[tuple[str, str], float | str]:
    return {(name, side): _seen(look, server)
            for name in asked for side, look in resources[name].sides.items()}


def _seen(look: Look, server: Server) -> float | str:
    try:
        return look(server)
    except (TestbedError, OSError) as error:
        # a guest that boots does not answer, and there is a moment without a process
        return str(error).splitlines()[0][:40]


def _await(
    resources: Mapping[str, Resource], asked: Mapping[str, int], server: Server
) -> tuple[_Seen, list[str]]:
    """What all sides show when they agree, at the latest after some time, and who does not."""
    give_up = time.monotonic() + _TIMEOUT_S
    while True:
        seen = _look(resources, asked, server)
        wrong = [f"{asked[name]} asked for, {side} shows {tables.written(value)}"
                 for (name, side), value in seen.items() if value != asked[name]]
        if not wrong or time.monotonic() > give_up:
            return seen, wrong
        time.sleep(_POLL_S)
