# SPDX-License-Identifier: Apache-2.0
"""The soak itself: who acts, what is killed, and what is left to compare at the end."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from demo import servers
from stack import leftovers, tenants
from stack.layout import Layout
from stack.tenants import credentials

from nova_qos.resources import TABLE
from tests.cloud.api import Person
from tests.cloud.host import Observer
from tests.soak import judge
from tests.soak.customer import Calm, Customer

_SMALL, _SMALL_FLAVOR = "soak-small", "m256"
#: A guest's boot after the last kill, and the longest pause between two looks of the agent.
_QUIET_S = 90


@dataclass
class Outcome:
    """What happened, and what differs after all."""

    sets: int = 0
    operations: int = 0
    agent_kills: int = 0
    libvirtd_kills: int = 0
    differences: list[judge.Difference] = field(default_factory=list)


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
        outcome = Outcome()
        _act(customers, host, calm, outcome, seconds, random.Random(f"{seed} kills"), say)
        say("all stop; waiting for quiet")
        for each in customers:
            each.settle()
        outcome.differences = judge.settled(admin, host, customers, _QUIET_S)
        say("compared")
        outcome.sets = sum(each.sets for each in customers)
        outcome.operations = sum(each.operations for each in customers)
        for each in customers:
            admin.act(each.server, "set-qos", dict.fromkeys(TABLE))
        return outcome


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


def _act(
    customers: list[Customer], host: Observer, calm: Calm, outcome: Outcome, seconds: float,
    choose: random.Random, say: Callable[[str], None],
) -> None:
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
            end.wait(choose.uniform(2, 12))
            _kill(host, calm, outcome, choose, say)
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _kill(
    host: Observer, calm: Calm, outcome: Outcome, choose: random.Random,
    say: Callable[[str], None],
) -> None:
    away_s = choose.choice((0.0, 0.5, 4.0))
    # whoever was killed less often is the likelier one: a short soak is to see both
    if choose.random() < (0.8 if outcome.agent_kills <= outcome.libvirtd_kills else 0.2):
        say(f"kill -9 of the agent, back after {away_s} s")
        outcome.agent_kills += 1
        host.kill_agent()
        time.sleep(away_s)
        host.start_agent()
        return
    number = choose.choice((signal.SIGKILL, signal.SIGTERM))
    # nova-compute would not survive it within an operation; sets go on meanwhile
    with calm.kept():
        say(f"{number.name} to libvirtd, back after {away_s} s")
        outcome.libvirtd_kills += 1
        pid = host.libvirt.libvirtd_pid()
        assert pid is not None, "libvirtd does not run"
        os.kill(pid, number)
        time.sleep(away_s)
        host.libvirt.stop_libvirtd()
        host.start_libvirtd()
