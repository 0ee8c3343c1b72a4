# SPDX-License-Identifier: Apache-2.0
"""The periodic check on a host with many servers that have a network priority: the kernel is real,
nova's records and the rest of the host are in memory.

Usage, as root: ``python -m tests.benchmark.check [--servers 500]``
"""

import argparse
import resource
import sys
import time
from collections.abc import Collection, Iterable, Mapping

from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.agent.roster import Roster
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core.errors import ServerNotRunning
from nova_qos.core.reading import Reading
from nova_qos.host import Interfaces, SeenNetwork
from tests.benchmark.compare import status, verdict
from tests.benchmark.network import Host
from tests.fakehost import FakeHost
from tools.bed.memory_records import HOST, MemoryRecords

_CPU_S = 0.5


class NetworkAlone(FakeHost):
    """A host of whose knobs only the network's is real."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def snapshot(self, names: Iterable[str], figures: bool = False) -> "NetworkSnapshot":  # type: ignore[override]
        assert set(names) == {"net_class"}
        return NetworkSnapshot(self._host.shaper.snapshot(), self._host.running)


class NetworkSnapshot:
    """All servers' priorities."""

    def __init__(self, seen: SeenNetwork, running: Mapping[str, Interfaces]) -> None:
        self._seen, self._running = seen, running

    @property
    def running(self) -> Collection[str]:
        return self._running.keys()

    def domain(self, server_uuid: str) -> "NetworkDomain":
        if server_uuid not in self._running:
            raise ServerNotRunning("it does not run")
        return NetworkDomain(self._seen, server_uuid, self._running[server_uuid])


class NetworkDomain:
    """One server, as its own knob."""

    def __init__(self, seen: SeenNetwork, server: str, interfaces: Interfaces) -> None:
        self._seen, self._server, self._interfaces = seen, server, interfaces

    def knob(self, name: str) -> "NetworkDomain":
        return self

    def read(self) -> Mapping[str, Reading]:
        return self._seen.read(self._server, self._interfaces)


def cpu_s() -> float:
    """CPU seconds of this process and of those that it has run."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(count: int) -> bool:
    """Print what a check takes; whether the goal is met."""
    host = Host(count)
    try:
        records = MemoryRecords()
        with host.entered():
            for server, interfaces in host.running.items():
                held = host.shaper.read(server, interfaces)["net_priority"].applied
                assert held is not None
                records.add(server, net_priority=held)
            options = cfg.ConfigOpts()
            options([])
            conf.register(options)
            looker = Looker(Roster(HOST, records), NetworkAlone(host), options,
                            Hooks({}, options), History(), 0.0)
            loop = Loop(looker, options, Unfinished(options.nova_qos.state_directory))
            loop.check()
            before, began = cpu_s(), time.monotonic()
            loop.check()
            used_s, took_s = cpu_s() - before, time.monotonic() - began
        assert not loop._schedule._due, "all servers hold what is saved"
    finally:
        host.remove()
    print(f"periodic check of {count} servers with network priorities: {used_s:.2f} s of CPU "
          f"{verdict(used_s, _CPU_S)}, {took_s:.2f} s", flush=True)
    return used_s <= _CPU_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", type=int, default=500)
    sys.exit(status(measure(parser.parse_args().servers)))


if __name__ == "__main__":
    main()
