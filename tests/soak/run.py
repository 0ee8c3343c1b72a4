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
from tests.soak.visitor import Visitor
from tools.bed.stack import leftovers, servers, tenants
from tools.bed.stack.layout import Layout
from tools.bed.stack.tenants import credentials

#: Behind the router.
_SMALL, _SMALL_FLAVOR = "soak-small", "m256"
#: A guest's boot after the last kill, and the longest pause between two looks of the agent.
_QUIET_S = 150


@dataclass
class Outcome:
    """What happened, by how often; what differs after all; and what else should not have
    happened."""

    counts: dict[str, int]
    differences: list[judge.Difference]
    wrong: list[str]


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
            Customer(name, each.server, each.memory_mib, Person(credentials("admin")), host, calm,
                     random.Random(f"{seed} {name}"), say)
            for name, each in found.items()]
        for customer in customers:
            admin.act(customer.server, "set-qos", dict.fromkeys(TABLE))
        killer = Killer(admin, host, calm, [each.server for each in found.values()],
                        random.Random(f"{seed} kills"), say)
        with Visitor(found[_SMALL].address) as visitor:
            _act(customers, killer, seconds)
            say("all stop; waiting for quiet")
            for customer in customers:
                customer.settle()
            differences = judge.settled(admin, host, customers, _QUIET_S)
        say("compared")
        wrong = [*killer.wrong, *(each for customer in customers for each in customer.lost),
                 *visitor.wrong(host, found[_SMALL].server)]
        for customer in customers:
            admin.act(customer.server, "set-qos", dict.fromkeys(TABLE))
        return Outcome({
            "sets": sum(each.sets for each in customers),
            "locks": sum(each.locks for each in customers),
            "operations": sum(each.operations for each in customers),
            **killer.counts, "answers through the router": visitor.answers,
        }, differences, wrong)


@dataclass(frozen=True)
class _Found:
    """A server to act on, with its memory and where its guest answers."""

    server: str
    memory_mib: int
    address: str


@contextlib.contextmanager
def _servers() -> Iterator[dict[str, _Found]]:
    """The demo's three, and a small one behind the router, which goes afterwards."""
    found = {each.name: _Found(each.uuid, servers.MEMORY_MIB, each.address)
             for each in servers.running()}
    cloud = tenants.connect()
    small = servers.made(cloud, _SMALL, _SMALL_FLAVOR, tenants.BEHIND)
    servers.awaited(cloud, _SMALL, small)
    try:
        with servers.floating_ip(cloud, small) as address:
            yield {**found, _SMALL: _Found(small, tenants.FLAVORS[_SMALL_FLAVOR], address)}
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
