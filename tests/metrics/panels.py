# SPDX-License-Identifier: Apache-2.0
"""What the dashboards ask Prometheus for."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = tuple(sorted(
    (Path(__file__).parents[2] / "etc/nova-qos/grafana").glob("*.json")))
#: For every job, host and server. The interval is to cover at least four scrapes.
EVERYTHING = {"job": ".+", "instance": ".+", "server": ".+", "__rate_interval": "1m"}
#: How a variable of a dashboard asks.
_OF_VARIABLE = re.compile(r"label_values\((?P<selector>.+), \w+\)|query_result\((?P<expr>.+)\)")


class Query(NamedTuple):
    """A query, of a panel or a variable of a dashboard's."""

    file: str
    title: str
    expr: str


def read(path: Path) -> dict[str, Any]:
    """A dashboard."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something: no rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(values: Mapping[str, str] = EVERYTHING) -> list[Query]:
    """Every query of every dashboard, with the values of the variables in their places."""
    return [Query(path.name, title, filled(expr, values))
            for path in DASHBOARDS for title, expr in _written(read(path))]


def filled(expr: str, values: Mapping[str, str]) -> str:
    """An expression without variables. Raises KeyError for one that has no value."""
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expr)


def has_data(ask: Callable[..., Any], query: Query) -> bool:
    """Whether a Prometheus, asked by ``ask``, has a number for a query now."""
    return any(each["value"][1] != "NaN" for each in ask("query", query=query.expr)["result"])


def _written(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = _OF_VARIABLE.fullmatch(variable["query"]["query"])
            assert asked is not None, variable["name"]
            yield f"variable {variable['name']}", asked["selector"] or asked["expr"]
