# SPDX-License-Identifier: Apache-2.0
"""What is asked of Prometheus about a host, and what is made of the answers."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import metric
from nova_qos.errors import QosError
from nova_qos.resources import TABLE
from novaclient_qos.report import rows
from novaclient_qos.report.history import History, Received, Span, ask
from novaclient_qos.report.prometheus import Prometheus
from tests.unit.clients.prometheus import (
    NOW_S,
    Asked,
    RecordedPrometheus,
    success,
    vector,
)

ONE, TWO, THREE = (f"{number}1d6c3a0-92b4-4c55-8e11-1234567890ab" for number in range(3))
HOUR = Span.parse("1h")
#: What a Prometheus has of the host and of each server, by a word of the query; the first counts.
FOUND = {
    "and on": "0.5", "count_over_time(((": "6", "share_ratio": "0.25", "avg_over_time": "0.125",
    "increase(nova_qos_server_vcpu_delay": "0.5", "host_cpus": "12", "retaken": "2.97",
    "corrections": "4.1"}


@pytest.fixture
def recorded() -> Iterator[RecordedPrometheus]:
    with RecordedPrometheus() as recorded:
        yield recorded


@pytest.fixture
def prometheus(recorded: RecordedPrometheus) -> Prometheus:
    return Prometheus(recorded.url)


@pytest.mark.parametrize(("text", "seconds"), [
    ("30m", 1800), ("1h", 3600), ("7d", 604800), ("1d12h", 129600), (" 90s ", 90), ("1w", 604800),
    ("1y", 31536000), ("1h0m1s", 3601)])
def test_times(text: str, seconds: int) -> None:
    assert Span.parse(text) == Span(text.strip(), seconds)


@pytest.mark.parametrize("text", [
    "", "0s", "1", "h", "-1h", "1.5h", "1h1h", "1m1h", "2y", "1H", "1h 1m", "1h]", "\u0661h",
    "999999999s", "99999999y", "5m[1h:]", "1ms"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30m, 1h or 7d"):
        Span.parse(text)


@given(st.integers(1, 31536000))
def test_windows_and_points(seconds: int) -> None:
    span = Span(f"{seconds}s", seconds)
    assert 1 <= span.window_s <= min(seconds, 300)
    assert span.window_s <= span.step_s
    # Prometheus answers with at most 11000 points
    assert seconds / span.step_s <= 240


def test_the_history_of_a_host(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.knows("compute:9177", [ONE, TWO], **FOUND)
    found = ask(prometheus, [TWO, ONE, TWO], HOUR)
    assert (found.prometheus, found.job, found.instance, found.reason) == (
        recorded.url, "nova-qos", "compute:9177", None)
    assert (found.data_hours, found.memory_taken_back, found.corrections) == (
        1.0, 3, {"cpu_priority": 4})
    assert found.received == dict.fromkeys((ONE, TWO), Received(25.0, 12.5, 0.5, 0.5, 50.0, 0.5))
    assert found.steal == {}
    assert not [each for each in recorded.asked if each.path.endswith("query_range")]


def test_that_it_is_too_early_is_said() -> None:
    young = History("http://127.0.0.1:9090", Span.parse("1h"), "nova-qos", "compute:9177")
    assert next(rows.past(young)).endswith(
        "it has too little data yet: ask again after five minutes")


def test_the_steal_over_time(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.knows("compute:9177", [ONE], **FOUND)
    found = ask(prometheus, [ONE, TWO], HOUR, with_curves=True)
    assert found.steal == {ONE: [(NOW_S, 50.0), (NOW_S + 60, 50.0), (NOW_S + 120, 50.0)]}
    (asked,) = [each for each in recorded.asked if each.path.endswith("query_range")]
    # by the clock of Prometheus
    assert asked.parameters["end"] == f"{NOW_S:.3f}"
    assert asked.parameters["start"] == f"{NOW_S - 3600:.3f}"


@pytest.mark.parametrize("value", ["NaN", "+Inf", "1e308"])
def test_figures_that_are_none(
    value: str, recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    recorded.knows("compute:9177", [ONE], **dict.fromkeys(FOUND, value))
    found = ask(prometheus, [ONE], HOUR, with_curves=True)
    assert (found.data_hours, found.memory_taken_back, found.corrections) == (None, None, {})
    assert found.received == {ONE: Received()}
    assert {value for _at_s, value in found.steal[ONE]} == {None}


def test_of_a_time_without_steal_nothing_is_drawn(
    recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    """An idle server has none, and an agent that is away tells none."""
    recorded.knows("compute:9177", [ONE], **FOUND)
    answer = recorded.answer

    def with_a_gap(asked: Asked) -> object:
        if not asked.path.endswith("query_range"):
            return answer(asked)
        points = [[NOW_S + at_s, "0.5"] for at_s in (0, 300, 1200, 1500)]
        return success("matrix", [{"metric": {"server_id": ONE}, "values": points}])

    recorded.answer = with_a_gap
    assert ask(prometheus, [ONE], HOUR, with_curves=True).steal[ONE] == [
        (NOW_S, 50.0), (NOW_S + 300, 50.0), (NOW_S + 600, None), (NOW_S + 1200, 50.0),
        (NOW_S + 1500, 50.0)]


def test_a_host_with_no_more_than_its_name(
    recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    """Of groups that are switched off there is nothing."""
    recorded.knows("compute:9177", [ONE])
    found = ask(prometheus, [ONE], HOUR, with_curves=True)
    assert (found.instance, found.received, found.steal) == ("compute:9177", {}, {})
    assert (found.data_hours, found.memory_taken_back, found.corrections) == (None, None, {})


def test_nothing_was_promised(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    recorded.knows("compute:9177", [ONE], **{**FOUND, "share_ratio": "0"})
    assert ask(prometheus, [ONE], HOUR).received[ONE].ratio is None


def test_no_data(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    found = ask(prometheus, [ONE], HOUR)
    assert found.instance is None
    assert found.reason == (
        "Prometheus has no data of the last 1h about the servers of this host")
    assert ["last_over_time" in each.query for each in recorded.asked] == [False, True]


@pytest.mark.parametrize("ids", [[], ["one"], ['"} or up{x="'], [ONE.upper()], [f"{ONE}\n"]])
def test_only_ids_are_asked_about(
    ids: list[str], recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    found = ask(prometheus, ids, HOUR)
    assert found.reason == "the host has no servers to find it by"
    assert recorded.asked == []


def test_the_host_is_where_most_servers_are(
    recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    """A server that has just arrived is still known at the host it left, which may have any name.
    """
    odd = 'b"}\\or\n'

    def answer(asked: Asked) -> object:
        if asked.query.startswith("count by (job, instance)"):
            assert f'server_id=~"{ONE}|{TWO}|{THREE}"' in asked.query
            return vector(
                ({"job": "x", "instance": "a"}, "1"), ({"job": "x", "instance": odd}, "3"),
                ({"job": "y", "instance": odd}, "3"), ({"job": "z"}, "9"),
                ({"instance": "n"}, "NaN"))
        return vector()

    recorded.answer = answer
    found = ask(prometheus, [ONE, TWO, THREE], HOUR)
    assert (found.job, found.instance) == ("x", odd)
    for each in recorded.asked[1:]:
        assert '{job="x",instance="b\\"}\\\\or\\n"}' in each.query.replace(
            'resource="cpu_priority",', "")


def test_a_failure_in_between(recorded: RecordedPrometheus, prometheus: Prometheus) -> None:
    def answer(asked: Asked) -> object:
        if "retaken" in asked.query:
            return {"status": "error", "error": "query timed out"}
        return vector(({"job": "x", "instance": "a"}, "1"))

    recorded.answer = answer
    with pytest.raises(QosError, match="refuses the question: query timed out"):
        ask(prometheus, [ONE], HOUR)


def test_every_metric_is_one_of_the_agents(
    recorded: RecordedPrometheus, prometheus: Prometheus
) -> None:
    recorded.knows("compute:9177", [ONE], **FOUND)
    ask(prometheus, [ONE], HOUR, with_curves=True)
    asked = {name for each in recorded.asked for name in re.findall(r"nova_qos_\w+", each.query)}
    assert asked <= {f"{metric.PREFIX}{each.name}" for each in metric.metrics(TABLE)}
    assert len(asked) == 8
