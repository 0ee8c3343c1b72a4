# SPDX-License-Identifier: Apache-2.0
"""The pages for Grafana: what makes a dashboard usable anywhere, and queries that are valid."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics import exposition
from tests.metrics.panels import DASHBOARDS, filled, panels, queries, read
from tests.metrics.test_rules import RULES, rules

HOST, SERVER = (read(path) for path in DASHBOARDS)
ALL = {path.stem: read(path) for path in DASHBOARDS}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Units of Grafana's, those that we use.
UNITS = {"none", "short", "percentunit", "bytes", "Bps", "s", "pps", "ops", "iops"}
PANELS = [pytest.param(name, panel, id=f"{name}: {panel['title']}")
          for name, dashboard in ALL.items() for panel in panels(dashboard)]
_SELECTOR = re.compile(r"\b((?:nova_qos_\w+|up)\b)(\{[^}]*\})?(\[[^\]]+\])?")


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def variable(dashboard: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in dashboard["templating"]["list"] if each["name"] == name]
    return found


def test_there_is_a_page_for_hosts_and_one_for_servers() -> None:
    assert [path.name for path in DASHBOARDS] == ["nova-qos-host.json", "nova-qos-server.json"]


@pytest.mark.parametrize("dashboard", ALL.values(), ids=ALL)
class TestPage:
    def test_it_is_not_edited_in_place(self, dashboard: dict[str, Any]) -> None:
        assert dashboard["editable"] is False
        assert dashboard["title"].startswith("nova-qos / ")
        assert dashboard["description"]

    def test_it_says_which_it_is(self, dashboard: dict[str, Any]) -> None:
        # without a number of its own, another Grafana can import it
        assert "id" not in dashboard
        assert ALL[dashboard["uid"]] is dashboard
        assert "__inputs" not in dashboard

    def test_the_data_source_is_chosen(self, dashboard: dict[str, Any]) -> None:
        source = variable(dashboard, "datasource")
        assert (source["type"], source["query"]) == ("datasource", "prometheus")
        assert source["label"] == "Data source"

    @pytest.mark.parametrize("name", ["job", "instance"])
    def test_job_and_host_are_chosen(self, dashboard: dict[str, Any], name: str) -> None:
        chosen = variable(dashboard, name)
        assert chosen["datasource"] == SOURCE
        assert (chosen["type"], chosen["label"]) == ("query", name.title())
        assert (chosen["multi"], chosen["includeAll"], chosen["allValue"]) == (True, True, ".+")

    def test_variables_follow_the_time(self, dashboard: dict[str, Any]) -> None:
        asked = [each for each in dashboard["templating"]["list"] if each["type"] == "query"]
        assert {each["refresh"] for each in asked} == {2}

    def test_panels_are_told_apart(self, dashboard: dict[str, Any]) -> None:
        numbers = [panel["id"] for panel in dashboard["panels"]]
        titles = [panel["title"] for panel in panels(dashboard)]
        assert len(set(numbers)) == len(numbers)
        assert len(set(titles)) == len(titles)

    def test_panels_do_not_overlap(self, dashboard: dict[str, Any]) -> None:
        taken = [(at["x"] + x, at["y"] + y) for at in (each["gridPos"] for each in
                                                       dashboard["panels"])
                 for x in range(at["w"]) for y in range(at["h"])]
        assert len(set(taken)) == len(taken)
        assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize(("name", "panel"), PANELS)
class TestPanel:
    def test_it_says_what_it_shows(self, name: str, panel: dict[str, Any]) -> None:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS

    def test_it_asks_the_chosen_source(self, name: str, panel: dict[str, Any]) -> None:
        assert panel["targets"]
        assert all(each["datasource"] == SOURCE for each in (panel, *panel["targets"]))
        references = [each["refId"] for each in panel["targets"]]
        assert len(set(references)) == len(references)

    def test_series_have_names(self, name: str, panel: dict[str, Any]) -> None:
        assert all(each["legendFormat"] for each in panel["targets"])

    def test_it_asks_for_the_chosen_hosts_and_server(
        self, name: str, panel: dict[str, Any]
    ) -> None:
        for expr in expressions(panel):
            found = _SELECTOR.findall(expr)
            assert found
            for metric, selector, _ in found:
                assert 'job=~"$job",instance=~"$instance"' in selector, metric
                if name == "nova-qos-server" and metric.startswith("nova_qos_server_"):
                    assert 'server_id=~"$server"' in selector, metric

    def test_counters_are_rates_over_a_fitting_interval(
        self, name: str, panel: dict[str, Any]
    ) -> None:
        for expr in expressions(panel):
            for metric, selector, interval in _SELECTOR.findall(expr):
                assert bool(interval) == metric.endswith("_total"), metric
                if interval:
                    assert interval == "[$__rate_interval]"
                    assert re.search(rf"\b(?:rate|increase)\({metric}{re.escape(selector)}", expr)

    def test_metrics_exist(self, name: str, panel: dict[str, Any]) -> None:
        asked = {metric for expr in expressions(panel) for metric, _, _ in _SELECTOR.findall(expr)}
        assert asked - exposition.names() <= {"up"}


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_what_is_sent_is_not_added_to_what_is_received(name: str, panel: dict[str, Any]) -> None:
    """One of the uplinks is the device for inbound traffic."""
    for target in panel["targets"]:
        if "nova_qos_server_uplink_" in target["expr"]:
            assert re.search(r"\buplink\b", target["expr"]) or "sum" not in target["expr"]
            assert "{{uplink}}" in target["legendFormat"]


def test_metrics_of_rules_exist() -> None:
    asked = {metric for rule in rules().values()
             for metric in re.findall(r"\bnova_qos[_:][\w:]+", rule["expr"])}
    assert asked - exposition.names() - set(rules()) == set()


def test_every_query_is_valid(promtool: str, tmp_path: Path) -> None:
    """promtool has no command for a query, and checks the expressions of rules."""
    checked = tmp_path / "queries.yml"
    checked.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": [
        {"record": f"query:number{number}", "expr": query.expr, "labels": {"panel": query.title}}
        for number, query in enumerate(queries())]}]}))
    done = subprocess.run([promtool, "check", "rules", checked], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries())} rules found" in done.stdout


def test_a_variable_without_value_is_noticed() -> None:
    assert filled('up{job="$job"}[$__rate_interval]', {"job": "a", "__rate_interval": "1m"}) == (
        'up{job="a"}[1m]')
    with pytest.raises(KeyError):
        filled("$other", {})


def test_thresholds_are_those_of_the_alerts() -> None:
    text = RULES.read_text()
    shown = {panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
             for panel in panels(HOST) if panel["type"] == "timeseries"
             and "thresholds" in panel["fieldConfig"]["defaults"]}
    assert shown == {"CPU received of what is promised": 0.8, "CPU steal": 0.1,
                     "Waiting for memory": 0.1}
    assert "promised:ratio < 0.8" in text
    assert "steal:ratio_rate5m > 0.1" in text
    assert "waiting:ratio_rate5m > 0.1" in text


def test_the_list_of_servers_leads_to_the_page_of_one() -> None:
    assert SERVER["uid"] in str(HOST["panels"])
    regex = variable(SERVER, "server")["regex"].strip("/").replace("(?<", "(?P<")
    labels = 'domain="d",flavor="f",instance="h",job="j",name="vm1",project_id="p",server_id="a1"'
    found = re.search(regex, f"nova_qos_server_info{{{labels}}} 1")
    assert found is not None
    assert (found["text"], found["value"]) == ("vm1", "a1")
