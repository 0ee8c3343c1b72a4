# SPDX-License-Identifier: Apache-2.0
"""How something was divided, and since when: on figures that are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation import world
from tests.evaluation.world import LABELS
from tools.evaluation import split
from tools.evaluation.judge_disk import finish_s
from tools.evaluation.records import Phase, Table

weights = st.lists(st.floats(1, 1000), min_size=3, max_size=3).map(lambda three: world.due(*three))
WHOLE = Phase("all", 0.0, 0.0, 10.0, {})


@given(weights, st.floats(0.1, 1000))
def test_what_is_divided_by_weights_is_not_off(due: dict[str, float], whole: float) -> None:
    table = world.grown("x", lambda _: world.divided(whole, due), 10.0)
    seen = split.parts(table, "x", due)
    assert split.worst(seen(1.03, 8.71), split.fractions(due)) < 1e-6
    assert split.hold_s(seen, split.fractions(due), WHOLE, band=0.01, window_s=1.0) == 0
    rates = split.rates(table, "x", due)(2.0, 3.0)
    assert sum(rates.values()) == pytest.approx(whole)


@given(st.floats(0.2, 6.0), st.floats(0.02, 0.1))
def test_a_change_holds_as_soon_as_it_came(after_s: float, band: float) -> None:
    record = world.shares_record(after_s)
    phase = record.phase("after the change")
    held = split.hold_s(split.parts(record.tables["host"], "cpu_s", phase.due),
                        split.fractions(phase.due), phase, band=band, window_s=1.0)
    assert held is not None
    # in the first window VM2 may still have too little for a part of it that the band forgives
    assert after_s - 2 * band - 2 * world.STEP_S <= held <= after_s + 2 * world.STEP_S


def test_a_change_that_comes_too_late_never_holds() -> None:
    record = world.shares_record(after_s=9.8)
    phase = record.phase("after the change")
    assert split.hold_s(split.parts(record.tables["host"], "cpu_s", phase.due),
                        split.fractions(phase.due), phase, band=0.05, window_s=1.0) is None


@given(st.floats(-0.5, 0.5))
def test_errors_are_relative_to_what_was_due(off: float) -> None:
    due = {"VM1": 20.0, "VM2": 5.0}
    seen = {"VM1": 20.0 * (1 + off), "VM2": 5.0}
    assert split.errors(seen, due) == pytest.approx({"VM1": off, "VM2": 0.0})
    assert split.worst(seen, due) == pytest.approx(abs(off))


@given(st.floats(0.1, 4.0))
def test_a_level_is_reached(steps_s: float) -> None:
    record = world.memory_record(steps_s)
    took = split.reach_s(record.tables["balloons"], "actual_mib", record.phases[-1], within=1.0)
    assert took == pytest.approx(steps_s, abs=0.02 * steps_s + 2 * world.STEP_S)


def test_a_level_that_is_left_again_counts_from_the_next_time() -> None:
    table = Table([0.0, 1.0, 2.0, 3.0], {"VM1.x": [5.0, 5.0, 9.0, 5.0]})
    phase = Phase("p", 0.0, 0.0, 3.0, {"VM1": 5.0})
    assert split.reach_s(table, "x", phase, within=0.5) == 3.0
    assert split.reach_s(table, "x", Phase("p", 0.0, 0.0, 2.5, {"VM1": 5.0}), within=0.5) is None


def test_first_time_of_an_amount() -> None:
    table = Table([0.0, 1.0, 2.0], {"x": [0.0, 3.0, 6.0]})
    assert split.first_s(table, "x", 3.0) == 1.0
    assert split.first_s(table, "x", 7.0) is None


def test_means_see_only_their_time() -> None:
    table = Table([0.0, 1.0, 2.0, 3.0], {"VM1.x": [100.0, 2.0, 4.0, 100.0]})
    assert split.means(table, "x", {"VM1": 1})(0.5, 2.5) == {"VM1": 3.0}
    assert split.means(table, "x", {"VM1": 1})(5.0, 6.0) == {"VM1": 0.0}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_percentiles(values: list[float], part: float) -> None:
    found = split.percentile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) - 1e-6
    assert sum(value < found for value in values) < part * len(values) + 1e-6


def test_percentile_of_a_hundred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [split.percentile(values, part) for part in (0.5, 0.99, 1.0)] == [50, 99, 100]


def test_nothing_has_no_percentile_and_no_value() -> None:
    with pytest.raises(ValueError, match="nothing"):
        split.percentile([], 0.5)
    with pytest.raises(ValueError, match="nothing was seen of x"):
        Table([], {"x": []}).at("x", 1.0)


@given(st.floats(-5, 15))
def test_between_two_looks_a_value_lies_on_their_line(moment: float) -> None:
    table = Table([0.0, 1.0, 10.0], {"x": [0.0, 2.0, 20.0]})
    assert table.at("x", moment) == pytest.approx(2 * min(10.0, max(0.0, moment)))


@given(weights, st.floats(1, 1000), st.floats(1, 100))
def test_jobs_end_when_all_is_written(due: dict[str, float], job: float, rate: float) -> None:
    ends = finish_s(due, job, rate)
    assert set(ends) == set(LABELS)
    assert max(ends.values()) == pytest.approx(len(LABELS) * job / rate)
    heaviest = max(due, key=lambda label: due[label])
    assert ends[heaviest] == min(ends.values())
    assert ends[heaviest] == pytest.approx(job / rate * sum(due.values()) / due[heaviest])
