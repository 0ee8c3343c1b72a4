# SPDX-License-Identifier: Apache-2.0
"""A scrape of a host with many servers: a real libvirt whose guests stand still, real control
groups and a real kernel; nova's records in memory.

Usage: ``python -m tests.benchmark.metrics [--servers 200] [--in-memory 1000] [--rounds 10]``
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.readings import Readings
from nova_qos.agent.roster import Roster
from nova_qos.core.reading import Reading
from nova_qos.host import Host
from nova_qos.net.inbound import Inbound
from nova_qos.net.outbound import Outbound
from nova_qos.virt.host import LibvirtHost
from tests.benchmark.compare import status, verdict
from tests.fakehost import FakeHost
from tools.bed.domain import Shape, TestGuest
from tools.bed.guest import GuestImages
from tools.bed.libvirtd import PrivateLibvirt
from tools.bed.memory_records import HOST, MemoryRecords

#: Of the agent's CPU time for each server, besides libvirt's own: 150 ms for 200.
_MS_A_SERVER, _MORE_MIB = 0.75, 15.0
#: What each server is set to, which is what it holds: what is not as requested is read each time.
_SETTINGS = {"cpu_priority": 1024, "memory": 16, "io_priority": 100}
_IMAGES = Path("/var/tmp/nova-qos-images")
_STATISTICS = (libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE
               | libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
               | libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_BLOCK)


@contextmanager
def guests(count: int) -> Iterator[tuple[PrivateLibvirt, list[str]]]:
    """A libvirt with that many guests that stand still, and their uuids."""
    state = Path(tempfile.mkdtemp(prefix="nova-qos-metrics-", dir="/var/tmp"))
    images, private = GuestImages.build(_IMAGES), PrivateLibvirt(state)
    try:
        private.start()
        made = [TestGuest(private, images, f"instance-{number:08x}", Shape(memory_mib=16))
                for number in range(count)]
        for each in made:
            each.start("--paused")
        yield private, [each.uuid for each in made]
    finally:
        private.remove()
        shutil.rmtree(state)


def looker_of(machine: Host, uuids: list[str]) -> Looker:
    """An agent's, that knows these servers and what they are set to."""
    options = cfg.ConfigOpts()
    options([])
    conf.register(options)
    records = MemoryRecords()
    looker = Looker(
        Roster(HOST, records), machine, options, Hooks({}, options), History(), 0.0)
    for each in uuids:
        records.add(each, **_SETTINGS)
    looker.roster.remember(records.all.values())
    return looker


def scraper(looker: Looker) -> Callable[[], int]:
    """Collects and writes all metrics as Prometheus asks for them; how many bytes they are."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    from nova_qos.agent.metrics import HostCollector

    registry = CollectorRegistry(auto_describe=False)
    readings = Readings(looker.machine, looker.history, lambda: Reading(None))
    registry.register(HostCollector(
        looker, readings, conf.METRICS_GROUPS, ("1", "34", "9"), dict))
    return lambda: len(generate_latest(registry))


def rss_mib() -> float:
    """The resident memory of this process."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Medians of this process' CPU time and of the time that passes, in ms."""
    cpu_ms, passed_ms = [], []
    for _ in range(rounds):
        used, began = time.process_time(), time.monotonic()
        work()
        cpu_ms.append((time.process_time() - used) * 1000)
        passed_ms.append((time.monotonic() - began) * 1000)
    return statistics.median(cpu_ms), statistics.median(passed_ms)


def measure(count: int, rounds: int) -> bool:
    """Print what a scrape of real guests takes; whether the goals are met."""
    with guests(count) as (private, uuids):
        connection = libvirt.open(private.uri)
        base_ms, _ = timed(lambda: connection.getAllDomainStats(
            _STATISTICS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT), rounds)
        connection.close()
        machine = LibvirtHost(private.uri, {
            "net_class": Outbound((), 80, 50), "net_in_class": Inbound(None, 50)})
        looker = looker_of(machine, uuids)
        # as the check does all the time
        machine.snapshot(["balloon", "cpu_group", "io_group"])
        before_mib = rss_mib()
        scrape = scraper(looker)
        size = scrape()
        cpu_ms, passed_ms = timed(scrape, rounds)
        more_mib = rss_mib() - before_mib
        print_look(private, machine, count, rounds)
        machine.close()
    goal_ms = _MS_A_SERVER * count
    print(f"a scrape of {count} servers, {size / 1024:.0f} KiB: {cpu_ms:.0f} ms of the agent's CPU "
          f"time {verdict(cpu_ms, goal_ms)}, {cpu_ms / base_ms:.1f} times that of libvirt's bulk "
          f"call alone; {passed_ms:.0f} ms pass")
    print(f"its resident memory grows by {more_mib:.1f} MiB {verdict(more_mib, _MORE_MIB)}",
          flush=True)
    return cpu_ms <= goal_ms and more_mib <= _MORE_MIB


def print_look(private: PrivateLibvirt, machine: LibvirtHost, count: int, rounds: int) -> None:
    """Print what a look of the balancer at the guests takes, of the agent and of libvirtd."""
    machine.memory.guests()
    before_ms = libvirtd_ms(private)
    cpu_ms, passed_ms = timed(machine.memory.guests, rounds)
    libvirtd = (libvirtd_ms(private) - before_ms) / rounds
    print(f"a look of balancing at {count} guests: {cpu_ms:.0f} ms of the agent's CPU time and "
          f"{libvirtd:.0f} ms of libvirtd's, {passed_ms:.0f} ms pass; each 2 s on a tense host, "
          f"that is {cpu_ms / 20:.1f} and {libvirtd / 20:.1f} % of one CPU", flush=True)


def libvirtd_ms(private: PrivateLibvirt) -> float:
    """The CPU time that libvirtd has had."""
    # the name in the second field may have blanks
    fields = Path(f"/proc/{private.libvirtd_pid()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure_in_memory(count: int, rounds: int) -> None:
    """Print what a scrape takes without a host."""
    machine = FakeHost()
    uuids = [str(number) for number in range(count)]
    for each in uuids:
        machine.add(each, 16 * 1024)
    scrape = scraper(looker_of(machine, uuids))
    size = scrape()
    cpu_ms, _ = timed(scrape, rounds)
    print(f"a scrape of {count} servers in memory, {size / 1024:.0f} KiB: {cpu_ms:.0f} ms of CPU, "
          f"{cpu_ms / count:.2f} each")


def main() -> int:
    """Exit status 1 when a goal was missed in a run that is to be judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--in-memory", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    are_met = measure(asked.servers, asked.rounds)
    measure_in_memory(asked.in_memory, asked.rounds)
    return status(are_met)


if __name__ == "__main__":
    sys.exit(main())
