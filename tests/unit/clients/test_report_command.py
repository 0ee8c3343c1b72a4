# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos report`` in OpenStackClient's own shell, against a recorded cloud."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from novaclient_qos import report
from tests.shells import OpenStack
from tests.unit.clients import hosts
from tests.unit.clients.answers import applied, listed, waiting
from tests.unit.clients.policies import PolicyCloud, by, qos
from tests.unit.clients.prometheus import RecordedPrometheus
from tests.unit.clients.test_report_history import FOUND, ONE, TWO

TITLES = ["Server", "Resource", "Promised %", "Requested", "Applied", "Unit", "Effective", "State",
          "Source", "Since", "Reason"]
OF_CPU = ["CPU Promised %", "CPU Received %", "Received / Promised", "While Hungry", "Steal %",
          "Hungry Hours"]
SINCE = "2026-01-31T12:00:00+00:00"


@pytest.fixture(autouse=True)
def on_host(cloud: PolicyCloud) -> None:
    """Two servers on a host of four processors that is short of memory."""
    def server(server_id: str, name: str, **parts: Any) -> dict[str, Any]:
        report = qos(**parts)
        for each in report.values():
            each["weight"] = 1024
        return listed(server_id, name, report)

    cloud.states = [hosts.short("compute"), hosts.away("other")]
    cloud.host = {"name": "compute", "vcpus": 4, "memory_mib": 8192}
    cloud.listed = [
        server(ONE, "web", cpu_priority=by("policy gold", 2048), memory=applied(256)),
        server(TWO, "db", io_priority=waiting(500))]


@pytest.fixture
def prometheus() -> Iterator[RecordedPrometheus]:
    with RecordedPrometheus() as recorded:
        recorded.knows("compute:9177", [ONE, TWO], **FOUND)
        yield recorded


def test_from_the_api_alone(openstack: OpenStack) -> None:
    told = openstack.good("report", "compute")
    assert told.out.startswith(
        "Host compute is short since 2026-09-21T14:13:20+00:00; 10 of 10 servers are running\n"
        "  memory: its servers need 10000 MiB together, ")
    assert told.rows() == [
        ["Shared", "Unit", "Capacity", "Guaranteed", "Short", "Requested", "Applied"],
        ["memory", "MiB", "9000", "1000", "0", "10000", "10000"],
        ["cpu", "percent of one CPU", "800", "100", "0", "500", "10000"],
        ["net", "kbit/s", "80000", "0", "0", "9000", "10000"],
        ["net_in", "kbit/s", "", "0", "0", "unlimited", "10000"],
        TITLES,
        ["web", "memory", "", "256", "256", "MiB", "True", "applied", "none", SINCE, ""],
        ["web", "cpu_priority", "25.0", "2048", "2048", "shares", "True", "applied",
         "policy gold (3)", SINCE, ""],
        ["db", "io_priority", "50.0", "500", "", "weight", "False", "pending", "none", SINCE,
         "the server is not running"]]


def test_with_prometheus(openstack: OpenStack, prometheus: RecordedPrometheus) -> None:
    told = openstack.good("report", "compute", "--prometheus", prometheus.url, "--over", "7d")
    assert f"The last 7d of compute:9177 at {prometheus.url}; it has data of 1.00 h\n" in told.out
    assert ("Memory taken back by guests: 3; corrections by the agent: cpu_priority 4\n"
            in told.out)
    found = ["25.0", "12.5", "0.50", "0.50", "50.0", "0.50"]
    assert told.rows()[5:9] == [["Server", *OF_CPU], ["web", *found], ["db", *found], TITLES]
    assert [row[:2] for row in told.rows()[9:]] == [
        ["web", "memory"], ["web", "cpu_priority"], ["db", "cpu_priority"], ["db", "io_priority"]]
    assert "[604800s:300s]" in prometheus.asked[1].query


@pytest.mark.parametrize(("name", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_everything_for_programs(
    name: str, read: Any, openstack: OpenStack, prometheus: RecordedPrometheus
) -> None:
    found = read(openstack.good("report", "compute", "-f", name).out)
    assert list(found) == ["host", "capacity", "servers", "settings", "history"]
    assert (found["host"]["state"], found["history"]) == ("short", None)
    assert found["capacity"]["net_in"]["requested"] == -1
    assert [each["resource"] for each in found["settings"]] == [
        "memory", "cpu_priority", "io_priority"]
    found = read(openstack.good(
        "report", "compute", "-f", name, "--prometheus", prometheus.url).out)
    assert found["history"]["over"] == {"text": "1h", "seconds": 3600}
    assert found["servers"][1]["cpu"]["received_percent"] == 12.5


def test_chosen_columns(openstack: OpenStack, prometheus: RecordedPrometheus) -> None:
    words = ("report", "compute", "--prometheus", prometheus.url, "-c", "Server", "-c", "ID",
             "-c", "CPU Received %")
    found = json.loads(openstack.good(*words, "-f", "json").out)
    assert found[0] == {"Server": "web", "ID": ONE, "CPU Received %": None}
    assert [each["CPU Received %"] for each in found] == [None, 12.5, 12.5, None]
    assert openstack.good(*words).rows()[:3] == [
        ["Server", "ID", "CPU Received %"], ["web", ONE, "-"], ["web", ONE, "12.5"]]


def test_other_formats_have_the_table_of_settings(openstack: OpenStack) -> None:
    told = openstack.good("report", "compute", "-f", "csv", "--sort-column", "Server").out
    assert [row[:2] for row in csv.reader(io.StringIO(told))] == [
        TITLES[:2], ["db", "io_priority"], ["web", "memory"], ["web", "cpu_priority"]]


def test_a_prometheus_without_data(openstack: OpenStack, prometheus: RecordedPrometheus) -> None:
    prometheus.knows("compute:9177", [])
    ended = openstack("server", "qos", "report", "compute", "--prometheus", prometheus.url)
    assert (ended.status, ended.err) == (0, (
        f"{prometheus.url} cannot tell what was received: Prometheus has no data of the last 1h "
        "about the servers of this host\n"))
    assert ended.rows()[6] == ["web", *["-"] * 6]


def test_a_prometheus_that_does_not_answer(
    openstack: OpenStack, prometheus: RecordedPrometheus
) -> None:
    prometheus.answer = lambda asked: b"<html>"
    assert openstack.bad("report", "compute", "--prometheus", prometheus.url).error() == (
        f"What answers at {prometheus.url} does not answer as Prometheus does. Check the URL, and "
        "that this Prometheus runs and can be reached from here.")


@pytest.mark.parametrize(("words", "told"), [
    (("--prometheus", "compute:9090"), "is no URL of a Prometheus"),
    (("--prometheus", "http://h", "--over", "soon"), "'soon' is no time of at most a year")])
def test_arguments_that_are_none(
    words: tuple[str, ...], told: str, openstack: OpenStack, cloud: PolicyCloud
) -> None:
    ended = openstack("server", "qos", "report", "compute", *words)
    assert ended.status == 2
    assert told in ended.err
    assert cloud.queries == []


def test_a_time_of_nothing(openstack: OpenStack, cloud: PolicyCloud) -> None:
    assert openstack.bad("report", "compute", "--over", "1h").error() == (
        "Give --over together with --prometheus.")
    assert cloud.queries == []


def test_hosts_that_nobody_can_report_about(openstack: OpenStack, cloud: PolicyCloud) -> None:
    assert openstack.bad("report", "nine").error() == "there is no compute host nine (HTTP 404)"
    cloud.states = None
    assert "older one: its API does not know /os-qos/hosts" in openstack.bad(
        "report", "compute").error()


def test_a_host_whose_agent_is_away(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.states = [hosts.away("compute")]
    told = openstack.good("report", "compute")
    assert told.out.startswith("Host compute is in an unknown state\n  Its agent is down: ")
    assert told.rows()[1] == ["memory", "MiB", "", "", "", "", ""]


def test_a_page(openstack: OpenStack, prometheus: RecordedPrometheus, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")
    told = openstack.good(
        "report", "compute", "--prometheus", prometheus.url, "--html", str(page))
    assert ["web", "memory"] in [row[:2] for row in told.rows()]
    written = page.read_text()
    assert written.startswith("<!DOCTYPE html>")
    assert written.endswith("</html>\n")
    assert (written.count("<svg"), written.count("<table")) == (3, 3)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written(openstack: OpenStack, tmp_path: Path) -> None:
    assert openstack.bad("report", "compute", "--html", str(tmp_path)).error() == (
        f"{tmp_path} cannot be written: it is no regular file")


def test_no_page_without_matplotlib(
    openstack: OpenStack, cloud: PolicyCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("page", "plots"):
        # as in a process that has not used them yet
        monkeypatch.delitem(sys.modules, f"novaclient_qos.report.{name}", raising=False)
        monkeypatch.delattr(report, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = openstack.bad("report", "compute", "--html", str(tmp_path / "page")).error()
    assert error.startswith("--html needs matplotlib, which cannot be imported (")
    assert error.endswith("): pip install 'nova-qos[report]'")
    assert cloud.queries == []
    openstack.good("report", "compute")
