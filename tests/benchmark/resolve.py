# SPDX-License-Identifier: Apache-2.0
"""What policies come to for the servers of a large host: no I/O, no other process.

Usage: ``python -m tests.benchmark.resolve [--servers 1000]``
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from nova_qos.core import assignment, desired
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.server import POLICY, Flavor, SavedServer
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE
from tests.benchmark.compare import Comparison, Goal, report

_ROUNDS = 10
_POLICIES, _FLAVORS, _PROJECTS = 50, 20, 100
#: For as many servers as a host can have; for fewer, in proportion.
_MOST_MS, _AT = 20.0, 1000


def catalog() -> Catalog:
    """Policies of eight settings, of which projects have some and one is the default."""
    policies = {number: Policy(number, f"policy {number}", {
        "memory": "75%", "cpu_priority": "512/vcpu", "cpu_limit": "80%/vcpu",
        "cpu_guarantee": "20%/vcpu", "io_priority": 100 + number, "io_limit": 2000 + number,
        "net_limit": 50_000 + number, "net_guarantee": 500 + number})
        for number in range(1, _POLICIES + 1)}
    projects = {f"project {number}": 1 + number % _POLICIES for number in range(0, _PROJECTS, 2)}
    return Catalog("benchmark", 1, policies, projects, default=1)


def servers(count: int) -> list[SavedServer]:
    """A third with a policy of their own, half with one by their flavor, a third with settings."""
    found = []
    for n in range(count):
        flavor = Flavor(512 * (1 + n % _FLAVORS), vcpus=1 + n % _FLAVORS,
                        policy=f"POLICY {1 + n % _FLAVORS}" if n % 2 else None)
        own = {POLICY: 1 + n % 10} if n % 3 == 0 else {}
        if n % 3 == 1:
            own |= {"cpu_limit": 50, "net_limit": UNLIMITED}
        found.append(SavedServer(
            f"server {n}", "compute", None, flavor, own, project=f"project {n % _PROJECTS}"))
    return found


def took_ms(known: Catalog, all_of_them: Sequence[SavedServer]) -> float:
    """The CPU time (ms) of computing every server's targets."""
    began = time.process_time()
    for server in all_of_them:
        desired.resolve(TABLE, replace(
            server, assigned=assignment.assigned(known, TABLE, server)))
    return 1000 * (time.process_time() - began)


def measure(count: int) -> Comparison:
    """After an edit, when nothing of the new policies is known yet, beside the second time."""
    all_of_them, first, again = servers(count), [], []
    for _ in range(_ROUNDS):
        known = catalog()
        first.append(took_ms(known, all_of_them))
        again.append(took_ms(known, all_of_them))
    return Comparison(
        f"CPU to resolve {count} servers, after an edit / the next time", statistics.median(first),
        statistics.median(again), Goal(_MOST_MS * count / _AT, "ms"))


def main() -> int:
    """Print the figures; the exit status says whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", type=int, default=1000)
    return report([measure(parser.parse_args().servers)])


if __name__ == "__main__":
    sys.exit(main())
