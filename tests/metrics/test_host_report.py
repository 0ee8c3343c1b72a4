# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos report`` with a real Prometheus."""

import functools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metrics import exposition
from tests.metrics.scraped import free_port, serving
from tests.shells import OpenStack
from tests.unit.clients import hosts
from tests.unit.clients.answers import applied, listed
from tests.unit.clients.policies import PolicyCloud, qos
from tools.bed import prometheus as prometheus_bed
from tools.bed.processes import Daemon, wait_until

CALM, HUNGRY, ELSEWHERE = (f"{number}1d6c3a0-92b4-4c55-8e11-1234567890ab" for number in range(3))
_INTERVAL, _OVER_S, _DATA_S = "500ms", 6, 120.0


def text(seconds: float, now: float) -> str:
    """The agent's metrics: one server gets what it is promised, another half and waits for it."""
    shown = exposition.text(seconds, now)
    for name, server_id in (("a1", CALM), ("b2", HUNGRY)):
        shown = shown.replace(f'"{name}"', f'"{server_id}"')
    for metric, each_second in (("vcpu_seconds", 0.5), ("vcpu_delay_seconds", 0.5)):
        name = f'nova_qos_server_{metric}_total{{server_id="{HUNGRY}"}}'
        shown = re.sub(f"{re.escape(name)} .*", f"{name} {each_second * seconds}", shown)
    for name in ("memory_retaken_total{}", 'corrections_total{resource="cpu_priority"}'):
        shown = re.sub(f"nova_qos_{re.escape(name)} .*", f"nova_qos_{name} {int(seconds)}", shown)
    return shown


@pytest.fixture(scope="module")
def url(prometheus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped the agent for some seconds."""
    begun, address = time.monotonic(), f"127.0.0.1:{free_port()}"
    with serving(lambda: text(time.monotonic() - begun, time.time())) as agent:
        server = prometheus_bed.daemon(
            tmp_path_factory.mktemp("prometheus"), agent, address, _INTERVAL)
        server.start()
        ask = functools.partial(prometheus_bed.ask, address, "query")
        wanted = f"count_over_time(up[1m]) > {2 * 3 * _OVER_S}"
        try:
            assert wait_until(lambda: bool(ask(query=wanted)["result"]), _DATA_S)
            yield f"http://{address}"
        finally:
            server.stop()


def past(now: int) -> Iterator[str]:
    """A day of a host, a sample a minute, in lines: a server that got half of what it is promised
    for three hours, and all of it before and after."""
    labels = 'job="nova-qos",instance="host:9177"'
    of_server = f'{labels},server_id="{HUNGRY}"'
    worked = waited = 0.0
    lines: dict[str, list[str]] = {}
    for at in range(now - 86400, now, 60):
        is_hungry = 9 * 3600 <= at - now + 86400 < 12 * 3600
        worked, waited = worked + (12 if is_hungry else 24), waited + (12 if is_hungry else 0)
        for name, which, value in (
                ("host_cpus", labels, 8.0), ("server_info", of_server, 1),
                ("server_share_ratio", f'{of_server},resource="cpu_priority"', 0.05),
                ("server_vcpu_seconds_total", of_server, worked),
                ("server_vcpu_delay_seconds_total", of_server, waited)):
            lines.setdefault(name, []).append(f"nova_qos_{name}{{{which}}} {value} {at}")
    for name, samples in lines.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        yield f"# TYPE nova_qos_{name.removesuffix('_total')} {kind}"
        yield from samples
    yield "# EOF"


@pytest.fixture(scope="module")
def url_of_the_past(
    prometheus: str, promtool: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A Prometheus that has scraped for a day, and scrapes nothing now."""
    place, address = tmp_path_factory.mktemp("past"), f"127.0.0.1:{free_port()}"
    (place / "past.txt").write_text("\n".join([*past(int(time.time())), ""]))
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", place / "past.txt",
                    place / "data"], check=True, capture_output=True)
    (place / "prometheus.yml").write_text("global: {}\n")

    def is_ready() -> bool:
        try:
            return bool(prometheus_bed.ask(address, "query", query="nova_qos_host_cpus")["result"])
        except OSError:
            return False

    server = Daemon("prometheus", [
        prometheus, f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data",
        f"--web.listen-address={address}"], place, is_ready, ready_timeout_s=60)
    server.start()
    try:
        yield f"http://{address}"
    finally:
        server.stop()


@pytest.fixture
def cloud() -> Iterator[PolicyCloud]:
    with PolicyCloud() as cloud:
        cloud.states = [hosts.short("compute")]
        cloud.host = {"name": "compute", "vcpus": 4, "memory_mib": 8192}
        report = qos(cpu_priority=applied(1024))
        for each in report.values():
            each["weight"] = 1024
        cloud.listed = [listed(CALM, "calm", report), listed(HUNGRY, "<b>hungry</b>", report)]
        yield cloud


@pytest.fixture
def openstack(cloud: PolicyCloud, capsys: pytest.CaptureFixture[str]) -> OpenStack:
    return OpenStack(cloud.credentials(), capsys)


def test_received_beside_promised(url: str, openstack: OpenStack) -> None:
    found = json.loads(openstack.good(
        "report", "compute", "--prometheus", url, "--over", f"{_OVER_S}s", "-f", "json").out)
    history = found["history"]
    assert (history["job"], history["reason"]) == ("nova-qos", None)
    assert history["instance"].startswith("127.0.0.1:")
    assert history["data_hours"] == pytest.approx(_OVER_S / 3600, abs=1e-3)
    assert history["memory_taken_back"] == pytest.approx(_OVER_S, abs=1)
    assert history["corrections"] == {"cpu_priority": pytest.approx(_OVER_S, abs=1)}
    calm, hungry = (server["cpu"] for server in found["servers"])
    assert calm == {
        "promised_percent": 25.0, "received_percent": pytest.approx(25, rel=0.1),
        "ratio": pytest.approx(1, rel=0.1), "hungry_ratio": None,
        "steal_percent": pytest.approx(100 * 0.02 / 1.02, rel=0.1), "hungry_hours": 0.0}
    assert hungry == {
        "promised_percent": 25.0, "received_percent": pytest.approx(12.5, rel=0.1),
        "ratio": pytest.approx(0.5, rel=0.1), "hungry_ratio": pytest.approx(0.5, rel=0.1),
        "steal_percent": pytest.approx(50, rel=0.1),
        "hungry_hours": pytest.approx(_OVER_S / 3600, abs=1e-3)}


def test_hours_of_a_day(url_of_the_past: str, openstack: OpenStack) -> None:
    found = json.loads(openstack.good(
        "report", "compute", "--prometheus", url_of_the_past, "--over", "1d", "-f", "json").out)
    calm, hungry = (server["cpu"] for server in found["servers"])
    assert calm is None
    assert (found["history"]["instance"], found["history"]["memory_taken_back"]) == (
        "host:9177", None)
    assert found["history"]["data_hours"] == pytest.approx(24, abs=0.1)
    assert hungry["hungry_hours"] == pytest.approx(3, abs=0.1)
    assert hungry["hungry_ratio"] == pytest.approx(0.5, abs=0.02)
    assert hungry["ratio"] == pytest.approx(1 - 0.5 * 3 / 24, abs=0.01)
    assert hungry["steal_percent"] == pytest.approx(100 * 1.5 / 24, abs=0.2)


def test_a_page(url: str, openstack: OpenStack, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    told = openstack.good("report", "compute", "--prometheus", url, "--over", f"{3 * _OVER_S}s",
                          "--html", str(page))
    assert "corrections by the agent: cpu_priority" in told.out
    written = page.read_text()
    assert written.count("<svg") == 3
    assert "received" in written
    assert "<b>" not in written


def test_servers_that_it_does_not_know(url: str, openstack: OpenStack, cloud: PolicyCloud) -> None:
    assert cloud.listed is not None
    cloud.listed = [{**cloud.listed[0], "id": ELSEWHERE}]
    ended = openstack("server", "qos", "report", "compute", "--prometheus", url)
    assert (ended.status, ended.err) == (0, (
        f"{url} cannot tell what was received: Prometheus has no data of the last 1h about the "
        "servers of this host\n"))
    assert ["calm", *["-"] * 6] in ended.rows()


def test_a_query_that_it_refuses(url: str, openstack: OpenStack) -> None:
    assert openstack.bad("report", "compute", "--prometheus", f"{url}/nothing").error() == (
        f"Prometheus at {url}/nothing answers with HTTP 404: the URL lacks a path, or has one too "
        "many.")
