# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus with our configuration and rules: each panel has data."""

import functools
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.metrics import exposition
from tests.metrics.panels import EVERYTHING, Query, has_data, queries
from tests.metrics.scraped import free_port, serving
from tests.metrics.test_rules import rules
from tools.bed import prometheus as prometheus_bed
from tools.bed.processes import wait_until

_INTERVAL = "500ms"
#: Four scrapes.
_RATE_INTERVAL = "2s"
_DATA_S = 120.0

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def agent() -> Iterator[str]:
    """The address of a server of metrics, whose counters rise with the time."""
    begun = time.monotonic()
    with serving(lambda: exposition.text(time.monotonic() - begun, time.time())) as address:
        yield address


@pytest.fixture(scope="module")
def ask(
    agent: str, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ask]:
    """Asks a Prometheus that scrapes it: ``ask("query", query="up")``."""
    address = f"127.0.0.1:{free_port()}"
    server = prometheus_bed.daemon(
        tmp_path_factory.mktemp("prometheus"), agent, address, _INTERVAL)
    server.start()
    ask = functools.partial(prometheus_bed.ask, address)
    assert wait_until(
        lambda: bool(ask("query", query="count_over_time(up[1m]) > 5")["result"]), _DATA_S)
    yield ask
    server.stop()


@pytest.mark.parametrize(
    "query", queries({**EVERYTHING, "__rate_interval": _RATE_INTERVAL}),
    ids=lambda query: f"{query.file}: {query.title}")
def test_every_query_has_data(query: Query, ask: Ask) -> None:
    assert wait_until(lambda: has_data(ask, query), _DATA_S), query.expr


def test_queries_choose_a_server(ask: Ask) -> None:
    chosen = {**EVERYTHING, "server": "a1", "__rate_interval": _RATE_INTERVAL}
    for query in queries(chosen):
        if query.file == "nova-qos-server.json" and not query.title.startswith("variable"):
            found = ask("query", query=query.expr)["result"]
            assert {each["metric"]["server_id"] for each in found} == {"a1"}, query.title


def test_rules_are_evaluated(ask: Ask) -> None:
    def found() -> dict[str, str]:
        return {rule["name"]: rule["health"] for group in ask("rules")["groups"]
                for rule in group["rules"]}

    assert wait_until(lambda: set(found().values()) == {"ok"}, _DATA_S), found()
    assert set(found()) == set(rules())


@pytest.mark.parametrize("name", [name for name, rule in rules().items() if "record" in rule])
def test_recorded_series_are_of_servers(name: str, ask: Ask) -> None:
    def servers() -> set[str]:
        return {each["metric"]["server_id"] for each in ask("query", query=name)["result"]}

    assert wait_until(lambda: servers() == {"a1", "b2"}, _DATA_S)


def test_no_alert_is_raised_while_all_is_well(ask: Ask) -> None:
    assert ask("alerts")["alerts"] == []


def test_names_keep_the_conventions(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "metrics"], input=exposition.text(1, 1),
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
