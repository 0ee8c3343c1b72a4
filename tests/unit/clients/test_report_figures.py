# SPDX-License-Identifier: Apache-2.0
"""The figures of a host's report, and the words for them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.client import Host, HostState
from nova_qos.resources import BY_FAMILY, TABLE
from novaclient_qos.report import rows
from novaclient_qos.report.figures import DIVISIONS, Figures, figures, parts
from novaclient_qos.report.history import History, Received, Span
from tests.unit.clients import hosts
from tests.unit.clients.answers import applied, listed, waiting
from tests.unit.clients.policies import by, qos

HOUR = Span.parse("1h")


def server(name: str, weight: int | None = 1024, vcpus: int = 1, **parts: Any) -> Any:
    report = qos(**parts)
    for each, part in report.items():
        part["weight"] = weight if each in DIVISIONS else None
    return listed(f"id-{name}", name, report, vcpus)


def report(*servers: Any, history: History | None = None, vcpus: int = 4) -> Figures:
    state = HostState.of(hosts.short("compute"))
    return figures(state, Host("compute", vcpus, 8192, servers), history)


def test_a_row_for_each_setting() -> None:
    found = report(
        server("a", net_priority=by("policy gold", 60), memory=by("server", 256, None)),
        server("b", cpu_limit=waiting(50) | {"source": "server"}), server("c"))
    assert [(each.server, each.resource) for each in found.settings] == [
        ("a", "memory"), ("a", "net_priority"), ("b", "cpu_limit")]
    memory, net, limit = found.settings
    assert (memory.promised_percent, memory.requested, memory.applied, memory.unit) == (
        None, 256, 256, "MiB")
    assert (net.promised_percent, net.source, net.policy_revision) == (33.333, "policy gold", 3)
    assert (limit.state, limit.effective, limit.reason) == (
        "pending", False, "the server is not running")
    assert [each.promised_percent["cpu_priority"] for each in found.servers] == [25.0] * 3


@pytest.mark.parametrize("part", [
    {"source": "hook"}, {"source": "unknown"}, {"applied": 2048}, applied(1024)])
def test_what_has_a_row(part: dict[str, object]) -> None:
    found = report(server("a", cpu_priority=part))
    assert [each.resource for each in found.settings] == ["cpu_priority"]


@pytest.mark.parametrize("part", [
    {}, {"applied": None}, {"state": "unsupported", "applied": None, "reason": "no"}])
def test_what_has_none(part: dict[str, object]) -> None:
    assert report(server("a", cpu_priority=part)).settings == []


def test_with_a_history_each_server_has_its_cpu_priority() -> None:
    found = report(server("a"), server("b", None), history=History("url", HOUR))
    assert [(each.server, each.resource) for each in found.settings] == [
        ("a", "cpu_priority"), ("b", "cpu_priority")]


def test_answers_of_other_releases() -> None:
    """A newer cloud knows more resources, an older one no sources."""
    odd = server("a", cpu_priority=applied(9))
    odd["qos"] = {"tomorrow": odd["qos"]["io_priority"] | {"requested": 5},
                  "cpu_priority": {name: value for name, value in odd["qos"]["cpu_priority"].items()
                                   if name not in ("source", "policy_revision")}}
    first, second = report(odd).settings
    assert (first.resource, first.source, second.resource) == ("cpu_priority", None, "tomorrow")
    assert rows.both(rows.settings(report(odd)).rows[0][8]) == (None, "-")


@given(st.lists(st.tuples(st.none() | st.integers(2, 262144), st.integers(1, 64)), max_size=20),
       st.integers(1, 256))
def test_parts_are_of_one_host(weights: list[tuple[int | None, int]], vcpus: int) -> None:
    servers = [server(str(place), weight, cpus) for place, (weight, cpus) in enumerate(weights)]
    for name, found in parts(Host("compute", vcpus, 1, servers)).items():
        assert [each is None for each in found] == [weight is None for weight, _cpus in weights]
        assert sum(each or 0 for each in found) <= 100.1, name


def test_everything_for_programs() -> None:
    history = History("url", HOUR, "j", "i", received={"id-a": Received(25.0, 20.0, 0.8)},
                      corrections={"memory": 2}, steal={"id-a": [(1.0, 2.0)]})
    active = server("a") | {"status": "ACTIVE", "project_id": "p"}
    found = json.loads(json.dumps(report(active, server("b"), history=history).document()))
    assert list(found) == ["host", "capacity", "servers", "settings", "history"]
    assert (found["host"]["state"], found["host"]["now"]["mib"]) == ("short", 1000)
    assert found["capacity"]["memory"]["fitting_ratio"] == 1.0
    assert found["capacity"]["net_in"]["capacity"] is None
    assert found["servers"][0]["cpu"]["ratio"] == 0.8
    assert found["servers"][1]["cpu"] is None
    assert (found["servers"][0]["status"], found["servers"][1]["status"]) == ("ACTIVE", None)
    assert found["settings"][0]["promised_percent"] == 25.0
    assert found["history"]["over"] == {"text": "1h", "seconds": 3600}
    assert found["history"]["corrections"] == {"memory": 2}
    assert report().document()["history"] is None


def test_the_head() -> None:
    assert list(rows.head(HostState.of(hosts.short("compute"))))[-2:] == [
        "  Overcommitted: 1000 MiB of memory, since 2026-09-21T14:13:20+00:00",
        "  Missing now: 1000 MiB of memory, since 2026-09-21T14:13:20+00:00"]
    assert list(rows.head(HostState.of(hosts.away()))) == [
        "Host two is in an unknown state",
        "  Its agent is down: there is no nova-qos-agent on host two"]
    late = replace(HostState.of(hosts.short("compute")), agent="down", age_s=150, reasons=[])
    assert list(rows.head(late))[-2:] == ["  Its agent is down", "  The agent told this 2 min ago"]
    blind = replace(late, agent="up", reason="libvirt does not answer")
    assert list(rows.head(blind))[-2:] == [
        "  Its agent cannot tell more now: libvirt does not answer",
        "  The agent told this 2 min ago"]


def test_all_columns_keep_the_figures_of_one_server_together() -> None:
    history = History("url", HOUR, "j", "i", received={
        "id-a": Received(25.0, 20.0, 0.8, None, 12.345, 0.5)})
    table = rows.all_columns(report(
        server("a", memory=applied(256)), server("b"), history=history))
    assert table.titles[-7:] == (
        "ID", "CPU Promised %", "CPU Received %", "Received / Promised", "While Hungry", "Steal %",
        "Hungry Hours")
    memory, a, b = ([rows.both(cell) for cell in row] for row in table.rows)
    assert memory[-7:] == [("id-a", "id-a"), *[(None, "-")] * 6]
    assert a[-6:] == [(25.0, "25.0"), (20.0, "20.0"), (0.8, "0.80"), (None, "-"), (12.345, "12.3"),
                      (0.5, "0.50")]
    assert b[-6:] == [(None, "-")] * 6


def test_every_resource_has_its_place() -> None:
    everything = {name: by("server", 1, None) for name in TABLE}
    assert [each.resource for each in report(server("a", **everything)).settings] == list(BY_FAMILY)
