# SPDX-License-Identifier: Apache-2.0
"""The demo on a cloud that is up: ``python -m tools.demo``."""

import sys
import time

from tools.bed import observer, tables
from tools.bed.errors import TestbedError
from tools.bed.stack import host, leftovers, servers
from tools.bed.stack.command import Command
from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import Server
from tools.bed.together import together
from tools.demo import balancing, limits, metrics, network, policies, reboot, scenario, sides
from tools.demo.errors import DemoFailed
from tools.demo.sides import Resource


def main() -> int:
    """Exit status 0 when every side agreed in every step."""
    layout = Layout.of_environment()
    leftovers.mark(layout)  # so that taking the cloud down ends what this has started
    start = time.monotonic()
    try:
        steps = _perform(layout)
    except (DemoFailed, TestbedError) as error:
        print(f"\nFAILED: {error}\nlogs of the services: {layout.run}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(f"\n{steps} steps: Nova, libvirt, kernel and guests agree in each; {seconds:.0f} s")
    return 0


def _perform(layout: Layout) -> int:
    print("\nThree servers, one virtual CPU and 512 MiB each; let vm1 and vm2 be one user's, and "
          "vm3 another's", flush=True)
    began = time.monotonic()
    three = servers.running()
    for server in three:
        print(f"  {server.name}  {server.uuid}  {server.address}  its balloon driver is alive")
    print(f"  after {time.monotonic() - began:.1f} s", flush=True)
    nova = Command(layout, "nova")
    openstack = Command(layout, "openstack")
    if host.uplink.has_table():  # an earlier run came to a bad end
        openstack.show("server", "qos", "unset", "--all", *(server.name for server in three))
    looking = host.observer(layout)
    resources = sides.resources(nova, looking)
    steps = 0
    held: dict[str, scenario.Shares] = {}
    for change in scenario.CHANGES:
        resource = resources[change.resource]
        if change.resource != "memory" and not observer.has_cgroup_v1():
            print(f"\nleft out: {change.what}: it needs a host with cgroup v1")
            continue
        steps += 1
        print(f"\n{steps}. {resource.title}: {change.what}", flush=True)
        _ask(nova, resource, three, change.asked, held.get(change.resource))
        held[change.resource] = change.asked
        _compare(resource, three, change.asked)
    steps += network.perform(layout, nova, looking, three, steps + 1)
    steps += limits.perform(nova, openstack, looking, three, steps + 1)
    steps += policies.perform(openstack, looking, three, steps + 1)
    steps += metrics.perform(three, steps + 1)
    asked = {name: shares[scenario.REBOOTED] for name, shares in held.items()}
    asked["network"] = scenario.NET_PRIORITIES[scenario.REBOOTED]
    steps += reboot.perform(nova, openstack, resources, asked, three, steps + 1)
    return steps + balancing.perform(layout, openstack, looking, three, steps + 1)


def _ask(
    nova: Command,
    resource: Resource,
    three: list[Server],
    asked: scenario.Shares,
    before: scenario.Shares | None,
) -> None:
    """Ask for what differs from before, the smaller first: what one gives up another gets."""
    names: dict[int, list[str]] = {}
    for index, server in enumerate(three):
        if before is None or before[index] != asked[index]:
            names.setdefault(asked[index], []).append(server.name)
    for value in sorted(names):
        nova.show(resource.set_command, *names[value], str(value))


def _compare(resource: Resource, three: list[Server], asked: scenario.Shares) -> None:
    """Look from every side and show it.

    :raises DemoFailed: a side sees something else than was asked
    """
    looks = {**resource.sides, **resource.remarks}
    seen = together(lambda server: [look(server) for look in looks.values()], three)
    tables.show(
        ("server", "asked", *looks),
        [(server.name, wanted, *values)
         for server, wanted, values in zip(three, asked, seen, strict=True)])
    wrong = []
    for server, wanted, values in zip(three, asked, seen, strict=True):
        compared = zip(resource.sides, values, strict=False)
        wrong += [f"{server.name}: {wanted} asked for, {side} shows {tables.written(value)}"
                  for side, value in compared if value != wanted]
    if wrong:
        raise DemoFailed("the sides disagree: " + "; ".join(wrong))


if __name__ == "__main__":
    sys.exit(main())
