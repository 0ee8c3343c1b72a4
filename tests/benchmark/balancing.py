# SPDX-License-Identifier: Apache-2.0
"""What balancing costs the agent, on a host in memory whose guests work, in simulated seconds.

Usage: ``python -m tests.benchmark.balancing [--servers 100] [--seconds 300]``
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass
from unittest import mock

from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.balance.steer import Balancer
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.roster import Roster
from nova_qos.balance_options import thresholds_of
from tests.benchmark.compare import status, verdict
from tests.fakehost import FakeHost
from tools.bed.memory_records import HOST, MemoryRecords

#: Percent of one CPU, by the state of the host.
GOALS = {"calm": 0.5, "tense": 3.0}
_FLAVOR_KIB = 512 * 1024


@dataclass
class Bench:
    """A host with guests whose needs change, and its balancer."""

    machine: FakeHost
    balancer: Balancer
    now_s: float = 1000.0

    def second(self, random_numbers: random.Random) -> float:
        """Let a second pass in which a tenth of the guests change; the CPU time of the balancer."""
        for domain in random_numbers.sample(list(self.machine.domains.values()),
                                            len(self.machine.domains) // 10):
            domain.used_kib = random_numbers.randrange(60, 450) * 1024
        self.now_s += 1
        began_s = time.process_time()
        self.balancer._second()
        return time.process_time() - began_s


def bench(count: int, is_tense: bool) -> Bench:
    """A host with so many servers, each with a guarantee and a weight of its own."""
    options = cfg.ConfigOpts()
    options([])
    conf.register(options)
    options.set_override("mode", "on", "nova_qos_balance")
    machine, records = FakeHost(), MemoryRecords()
    looker = Looker(
        Roster(HOST, records), machine, options, Hooks({}, options), History(), 0.0)
    for number in range(count):
        uuid = str(number)
        records.add(uuid, memory_guarantee=128 + number % 128, memory_priority=50 + number)
        machine.add(uuid, _FLAVOR_KIB).used_kib = 200 * 1024
    looker.roster.remember(records.all.values())
    balancer = Balancer(
        machine.memory, options.nova_qos_balance, thresholds_of(options, 10),
        lambda: {each.uuid: each for each in looker.roster.servers()}, frozenset, looker.balance,
        lambda: None)
    # what its threads do is counted, too
    balancer._errands.begin = lambda subject, what, work: work()  # type: ignore[method-assign]
    looker.roster.assigned = balancer.given.balanced
    machine.memory.memory_mib = count * (285.0 if is_tense else 1000.0)
    machine.memory.available_mib = None
    return Bench(machine, balancer)


def measure(count: int, seconds: int, state: str) -> bool:
    """Print what a host in this state takes; whether the goal is met."""
    here = bench(count, state == "tense")
    random_numbers = random.Random(1)  # nosec B311  # a benchmark's
    with mock.patch("time.monotonic", side_effect=lambda: here.now_s):
        for _ in range(20):
            here.second(random_numbers)
        began = here.balancer.account.moves
        percent = 100 * sum(here.second(random_numbers) for _ in range(seconds)) / seconds
    account = here.balancer.account
    seen = "tense" if account.state == "short" else account.state
    assert seen == state, f"the host is {account.state}"
    print(f"balancing of {count} servers on a {state} host: {percent:.2f} % of one CPU "
          f"{verdict(percent, GOALS[state])}; {(account.moves - began) / seconds:.1f} moves a "
          "second", flush=True)
    return percent <= GOALS[state]


def main() -> int:
    """Exit status 1 when a goal was missed in a run that is to be judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=300)
    asked = parser.parse_args()
    are_met = [measure(asked.servers, asked.seconds, state) for state in GOALS]
    return status(all(are_met))


if __name__ == "__main__":
    sys.exit(main())
