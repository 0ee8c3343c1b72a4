# SPDX-License-Identifier: Apache-2.0
"""Named policies at a large size: an edit that reaches the servers of one host, and agents that ask
for policies. nova's API, its objects and its database (SQLite) are real and in one process with the
agent; the host is in memory.

Usage: ``python -m tests.benchmark.policies [--servers 1000] [--rounds 5] [--no-marks]``
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

# first of all: nova decides its threading on import
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import nova.tests.functional  # noqa: F401
from nova import context
from nova.conf import CONF

from nova_qos.instances import hosts
from nova_qos.policies import schema
from nova_qos.policies.engine import Database
from nova_qos.resources import TABLE
from tests.benchmark.agent_start import HOST, make_servers
from tests.benchmark.compare import Comparison, Goal, compare, report, status, verdict
from tests.functional.caller import ADMIN, SERVICE
from tests.functional.cloud import MACHINES, Cloud
from tests.functional.policies import PATH, create, send

Settings = dict[str, int]
#: From the answer to an edit until the last server of the host holds it.
_EDIT_S = 5.0
#: A conditional request of an agent beside nova's own for one flavor.
_POLL_RATIO = 1.1
#: How many policies there are beside the one that is edited.
_POLICIES = 50
_AGENTS, _INTERVAL_S, _THREADS = 1000, 60, 8
#: After so long, some servers never get what the policy says.
_NEVER_S = 180.0
_FIRST: Settings = {"cpu_priority": 512, "io_priority": 300, "io_limit": 2000, "net_priority": 20}
#: What an edit adds that no server had before, one a round.
_MORE: Settings = {"net_limit": 5000, "net_in_limit": 6000, "cpu_limit": 50,
                   "io_rate_limit": 8192, "net_in_priority": 30}


def make_database(directory: str) -> None:
    """A database for policies, as an operator makes it."""
    CONF.set_override("connection", f"sqlite:///{directory}/policies.sqlite", "nova_qos_database")
    with Database(CONF, patient=True).engine().connect() as connection:
        schema.upgrade(connection)


def wait(holds: Callable[[], bool], what: str, pause_s: float = 0.05) -> None:
    give_up = time.monotonic() + _NEVER_S
    while not holds():
        if time.monotonic() > give_up:
            raise SystemExit(f"{what} takes more than {_NEVER_S:.0f} s")
        time.sleep(pause_s)


def wait_for(uuids: Iterable[str], settings: Mapping[str, int]) -> None:
    """Until every server holds these."""
    waiting, servers = list(uuids), MACHINES[HOST].domains

    def all_hold() -> bool:
        # from the end: to look at each of them every time would take half of this process
        while waiting and settings.items() <= servers[waiting[-1]].held().items():
            waiting.pop()
        return not waiting

    wait(all_hold, "an edit")


class Edited:
    """A policy of all servers of a host, to be edited."""

    def __init__(self, cloud: Cloud, uuids: list[str]) -> None:
        self._uuids, self._loop = uuids, cloud.agents[HOST].manager.loop
        self.settings = dict(_FIRST)
        self._policy = create("edited", settings=self.settings, is_default=True)
        wait_for(uuids, self.settings)
        self.wait_for_marks()
        self._loop.check()

    def edit(self, **changes: int) -> float:
        """How long (s) it takes until all servers hold a change."""
        self.settings |= changes
        began = time.monotonic()
        answer = send("PUT", f"/{self._policy}", {"policy": {"settings": self.settings}})
        assert answer.status == 200, answer
        wait_for(self._uuids, changes)
        return time.monotonic() - began

    def wait_for_marks(self) -> None:
        """Until nova's record of each server says what is to be reset after the policy."""
        keys = {TABLE[name].names.stored_as for name in self.settings}
        wait(lambda: all(keys <= each.system_metadata.keys() for each in hosts.on_host(
            context.get_admin_context(), HOST)), "saving marks", pause_s=5)


def edits(cloud: Cloud, count: int, rounds: int, marks: bool) -> bool:
    """Print how long edits take; whether the goals are met."""
    uuids = make_servers(count, {})
    began, used = time.monotonic(), time.process_time()
    edited = Edited(cloud, uuids)
    print(f"the first policy of {count} servers, one look each: {time.monotonic() - began:.1f} s, "
          f"{time.process_time() - used:.1f} s of CPU", flush=True)
    goals = []
    for what, changes in (
        ("another value", [{"io_limit": 3000 + n} for n in range(rounds)]),
        ("one more resource", [{name: _MORE[name]} for name in list(_MORE)[:rounds]]),
    ):
        used = time.process_time()
        took = [edited.edit(**each) for each in changes]
        used = (time.process_time() - used) / len(took)
        print(f"an edit, {what}, until {count} servers hold it: median "
              f"{statistics.median(took):.1f} s, longest {max(took):.1f} s "
              f"{verdict(round(max(took), 1), _EDIT_S)}, of which up to 2 s pass before the agent "
              f"asks; {used:.1f} s of CPU", flush=True)
        goals.append(max(took) <= _EDIT_S)
    if marks:
        began, used = time.monotonic(), time.process_time()
        edited.wait_for_marks()
        print(f"afterwards, until all marks are saved: {time.monotonic() - began:.0f} s, "
              f"{time.process_time() - used:.1f} s of CPU", flush=True)
    return all(goals)


def polls(rounds: int) -> Comparison:
    """An agent's conditional request, beside nova's own for one flavor."""
    for number in range(_POLICIES):
        create(f"policy {number}", settings=_FIRST)
    etag = send("GET", "/for-agents", caller=SERVICE).headers["ETag"]
    flavor = ADMIN.request("GET", "/flavors").body["flavors"][0]["id"]

    def poll() -> None:
        assert send("GET", "/for-agents", caller=SERVICE, If_None_Match=etag).status == 304

    def flavors_turn() -> None:
        assert ADMIN.request("GET", f"/flavors/{flavor}").status == 200

    used, began = time.process_time(), time.monotonic()
    with ThreadPoolExecutor(_THREADS) as agents:
        list(agents.map(lambda _: poll(), range(_AGENTS)))
    took_s, used = time.monotonic() - began, time.process_time() - used
    print(f"{_AGENTS} requests of agents, {_THREADS} at a time, to one API process: "
          f"{_AGENTS / took_s:.0f} a second; each {1000 * used / _AGENTS:.1f} ms of CPU with its "
          f"client, so {_AGENTS} agents that ask every {_INTERVAL_S} s take "
          f"{100 * used / _INTERVAL_S:.1f} % of a core", flush=True)
    return compare(f"304 of {PATH}/for-agents / GET /flavors/ID", poll, flavors_turn,
                   Goal(_POLL_RATIO), 10 * rounds)


def measure(cloud: Cloud, count: int, rounds: int, marks: bool) -> int:
    """Print all figures; the exit status says whether the goals are met."""
    met = edits(cloud, count, rounds, marks)
    # nobody else is to use the processor
    for agent in cloud.agents.values():
        agent.stop()
    return max(status(met), report([polls(rounds)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=len(_MORE))
    parser.add_argument("--no-marks", action="store_true",
                        help="do not wait until all marks are saved, which takes a minute")
    arguments = parser.parse_args()
    cloud = Cloud()
    with tempfile.TemporaryDirectory() as directory:
        try:
            cloud.setUp()
            make_database(directory)
            cloud.flags(check_interval=60, group="nova_qos")
            outcome = measure(
                cloud, arguments.servers, arguments.rounds, not arguments.no_marks)
        finally:
            cloud.doCleanups()
    sys.exit(outcome)


if __name__ == "__main__":
    main()
