# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the demo's agent, whose guests work: every panel has data."""

import functools
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.metrics.panels import EVERYTHING, Query, has_data, queries
from tools.bed import prometheus
from tools.bed.processes import wait_until
from tools.bed.stack.layout import METRICS_PORT

#: Four scrapes of one each second.
_RATE_INTERVAL = "4s"
_DATA_S = 30.0
#: What every panel is to show; low enough that guests of 512 MiB on two processors have it.
SETTINGS = {
    "memory": 400, "memory_soft_limit": 300, "memory_guarantee": 100, "memory_priority": 200,
    "cpu_priority": 1500, "cpu_limit": 90, "cpu_guarantee": 20, "io_priority": 300,
    "io_limit": 5000, "io_rate_limit": 2**16, "net_priority": 20, "net_limit": 40_000,
    "net_guarantee": 5_000, "net_in_priority": 20, "net_in_limit": 40_000,
    "net_in_guarantee": 5_000}
#: Reads and writes its disk and computes, for a minute.
_WORK = ("(end=$(($(date +%s) + 60)); while [ $(date +%s) -lt $end ]; do "
         "dd if=/dev/zero of=/disk/work bs=64k count=64 conv=fsync; "
         "echo 3 >/proc/sys/vm/drop_caches; cat /disk/work >/dev/null; done) >/dev/null 2>&1 &")

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(
    admin: Person, host: Observer, servers: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ask]:
    """Asks a Prometheus that scrapes the agent while vm1 has everything and all guests work."""
    vm1 = servers["vm1"]
    # a test before may have started it anew, so that its balloon driver has yet to report
    wait_for(lambda: admin.act(vm1, "set-qos", SETTINGS)[0] == 200, 60, "everything is set")
    for server in servers.values():
        host.inside(server, _WORK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    daemon = prometheus.daemon(
        tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{METRICS_PORT}", listen, "1s")
    daemon.start()
    yield functools.partial(prometheus.ask, listen)
    daemon.stop()
    admin.act(vm1, "set-qos", dict.fromkeys(SETTINGS))


@pytest.mark.parametrize(
    "query", queries({**EVERYTHING, "__rate_interval": _RATE_INTERVAL}),
    ids=lambda query: f"{query.file}: {query.title}")
def test_every_query_has_data(query: Query, ask: Ask) -> None:
    assert wait_until(lambda: has_data(ask, query), _DATA_S), query.expr


def test_the_report_of_the_host(
    admin: Person, ask: Ask, servers: dict[str, str], tmp_path: Path
) -> None:
    """By the command, from the API and this Prometheus."""
    host = admin.show(servers["vm1"])["OS-EXT-SRV-ATTR:host"]
    (listen,) = ask.args  # type: ignore[attr-defined]

    def report() -> dict[str, Any]:
        answer = subprocess.run(
            [Path(sys.executable).with_name("openstack"), "server", "qos", "report", host,
             "--prometheus", f"http://{listen}", "--over", "1m", "--html", tmp_path / "host.html",
             "-f", "json"],
            env=admin.environment | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        return dict(json.loads(answer.stdout))

    wait_for(lambda: all(each["cpu"] for each in report()["servers"] if each["name"] in servers),
             90, "Prometheus has seen what all have received")
    told = report()
    requested = {each["resource"]: each["requested"] for each in told["settings"]
                 if each["server"] == "vm1"}
    assert {name: requested[name] for name in SETTINGS} == SETTINGS
    page = (tmp_path / "host.html").read_text()
    assert all(name in page for name in servers)
    assert "<svg" in page
    assert "<script" not in page


def test_rules_are_evaluated_and_nothing_is_wrong(
    ask: Ask, servers: dict[str, str]
) -> None:
    def health() -> set[str]:
        return {rule["health"] for group in ask("rules")["groups"] for rule in group["rules"]}

    wait_for(lambda: health() == {"ok"}, 30, "all rules are evaluated")
    # all of them wait for minutes
    assert [each for each in ask("alerts")["alerts"] if each["state"] == "firing"] == []
    promised = ask("query", query="nova_qos:server_cpu_promised:ratio")["result"]
    assert {each["metric"]["server_id"] for each in promised} == set(servers.values())
