# SPDX-License-Identifier: Apache-2.0
"""What the agent's metrics say while all guests want the processors: promised beside received."""

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.bed import tables
from tools.bed.errors import TestbedError
from tools.bed.stack.layout import METRICS_PORT
from tools.bed.stack.servers import Server
from tools.demo.errors import DemoFailed

_URL = f"http://127.0.0.1:{METRICS_PORT}/metrics"
_SAMPLE = re.compile(r'^nova_qos_(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<number>\S+)$', re.M)
_MEASURED_S, _WARM_S = 8, 2
_BUSY = (f"(end=$(($(date +%s) + {_MEASURED_S + _WARM_S + 4})); "
         "while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 9999 ]; do i=$((i + 1)); done; "
         "done) >/dev/null 2>&1 &")
_SHARE = 'resource="cpu_priority"'


@dataclass(frozen=True)
class Scraped:
    """One scrape: numbers by a metric's name and its labels, and when (monotonic)."""

    numbers: dict[tuple[str, str], float]
    at_s: float

    def of(self, server: Server, name: str, more: str = "") -> float:
        """A server's number.

        :raises DemoFailed: there is none
        """
        wanted = f'server_id="{server.uuid}"'
        for (found, labels), number in self.numbers.items():
            if found == name and wanted in labels and more in labels:
                return number
        raise DemoFailed(f"the metrics have no {name} of {server.name}")


def perform(three: Sequence[Server], number: int) -> int:
    """The step of that number; how many they were.

    :raises DemoFailed, TestbedError: the metrics are not sound, or the guests got something else
    """
    print(f"\n{number}. metrics: all guests compute, and Prometheus would see this", flush=True)
    for server in three:
        server.inside(_BUSY)
    time.sleep(_WARM_S)
    first = _scrape(show=True)
    time.sleep(_MEASURED_S)
    last = _scrape(show=False)
    rows = [_row(server, first, last) for server in three]
    tables.show(("server", "promised % of the host", "received %", "steal %"), rows)
    print("  what other programs of this machine compute, guests do not receive", flush=True)
    most = max(rows, key=lambda row: row[1])
    if any(row[2] >= most[2] for row in rows if row[1] < most[1]):
        raise DemoFailed(f"{most[0]} is promised more than the others, and did not receive more")
    return 1


def _row(server: Server, first: Scraped, last: Scraped) -> tuple[str, float, float, float]:
    def grown(name: str) -> float:
        return last.of(server, name) - first.of(server, name)

    cpus = last.numbers["host_cpus", ""]
    ran, waited = grown("server_vcpu_seconds_total"), grown("server_vcpu_delay_seconds_total")
    received = ran / (last.at_s - first.at_s) / cpus
    return (server.name, 100 * last.of(server, "server_share_ratio", _SHARE), 100 * received,
            100 * waited / (waited + ran) if waited + ran else 0.0)


def _scrape(show: bool) -> Scraped:
    """:raises TestbedError: curl or promtool refuses"""
    text, at_s = _run("curl", "--fail", "--silent", "--show-error", _URL), time.monotonic()
    _run("promtool", "check", "metrics", text=text)
    if show:
        print(f"$ curl --silent {_URL} | promtool check metrics")
        print(f"$ curl --silent {_URL} | grep -c ^nova_qos_\n  {len(_SAMPLE.findall(text))}")
    return Scraped({(found["name"], found["labels"] or ""): float(found["number"])
                    for found in _SAMPLE.finditer(text)}, at_s)


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode or (command[0] == "promtool" and done.stderr):
        raise TestbedError(f"{' '.join(command)} exited with {done.returncode}: "
                           f"{done.stdout}{done.stderr}")
    return done.stdout
