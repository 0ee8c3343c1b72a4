# SPDX-License-Identifier: Apache-2.0
"""The soak itself: who acts, what is killed, and what is left to compare at the end."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from nova_qos.resources import TABLE
from tests.cloud.api import Person
from tests.cloud.host import Observer
from tests.soak import judge
from tests.soak.calm import Calm
from tests.soak.customer import Customer
from tests.soak.killer import Killer
from tools.bed.stack import leftovers, servers, tenants
from tools.bed.stack.layout import Layout
from tools.bed.stack.tenants import credentials

_SMALL, _SMALL_FLAVOR = "soak-small", "m256"
#: A guest's boot after the last kill, and the longest pause between two looks of the agent.
_QUIET_S = 150


@dataclass
class Outcome:
    """What happened, and what differs after all."""

    sets: int
    operations: int
    agent_kills: int
    libvirtd_kills: int
    differences: list[judge.Difference]


def perform(seconds: float, seed: int) -> Outcome:
    """Let everybody act for so long, then compare."""
    layout = Layout.of_environment()
    leftovers.mark(layout)  # so that taking the cloud down ends what this has started
    admin, began = Person(credentials("admin")), time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    with _servers() as found:
        host = Observer(layout, {})
        calm = Calm()
        customers = [
            Customer(name, server, memory_mib, Person(credentials("admin")), host, calm,
                     random.Random(f"{seed} {name}"), say)
            for name, (server, memory_mib) in found.items()]
        for each in customers:
            admin.act(each.server, "set-qos", dict.fromkeys(TABLE))
        killer = Killer(admin, host, calm, random.Random(f"{seed} kills"), say)
        _act(customers, killer, seconds)
        say("all stop; waiting for quiet")
        for each in customers:
            each.settle()
        differences = judge.settled(admin, host, customers, _QUIET_S)
        say("compared")
        for each in customers:
            admin.act(each.server, "set-qos", dict.fromkeys(TABLE))
        return Outcome(
            sum(each.sets for each in customers), sum(each.operations for each in customers),
            killer.agent_kills, killer.libvirtd_kills, differences)


@contextlib.contextmanager
def _servers() -> Iterator[dict[str, tuple[str, int]]]:
    """The demo's three and a small one, with their memory; the small one goes afterwards."""
    found = {each.name: (each.uuid, servers.MEMORY_MIB) for each in servers.running()}
    cloud = tenants.connect()
    small = servers.made(cloud, _SMALL, _SMALL_FLAVOR)
    servers.awaited(cloud, _SMALL, small)
    try:
        yield {**found, _SMALL: (small, tenants.FLAVORS[_SMALL_FLAVOR])}
    finally:
        last = cloud.compute.get_server(small)
        cloud.compute.delete_server(last)
        cloud.compute.wait_for_delete(last, wait=60)


def _act(customers: list[Customer], killer: Killer, seconds: float) -> None:
    end = threading.Event()

    def serve(customer: Customer) -> None:
        while not end.is_set():
            customer.act()

    threads = [threading.Thread(target=serve, args=(each,)) for each in customers]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + seconds
    try:
        while time.monotonic() < give_up:
            killer.strike()
    finally:
        end.set()
        for thread in threads:
            thread.join()
