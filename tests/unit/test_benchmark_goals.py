# SPDX-License-Identifier: Apache-2.0
"""The benchmarks' judging of goals; nothing is timed."""

import pytest

from tests.benchmark.compare import Comparison, Goal, report


@pytest.mark.parametrize(("goal", "is_met"), [
    (None, True), (Goal(1.3), True), (Goal(1.29), False), (Goal(13, "ms"), True),
    (Goal(12.9, "ms"), False), (Goal(3, "ms more"), True), (Goal(2.9, "ms more"), False)])
def test_goal(goal: Goal | None, is_met: bool) -> None:
    row = Comparison("set / unlock", 13.0, 10.0, goal)

    assert row.is_met is is_met
    assert row.row().rstrip().endswith("ok" if is_met else "MISSED") is (goal is not None)


@pytest.mark.parametrize(("judge", "status"), [("1", 1), ("0", 0), (None, 0)])
def test_missed_goal_fails_a_judged_run(
    judge: str | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOVA_QOS_BENCHMARK_JUDGE", raising=False)
    if judge is not None:
        monkeypatch.setenv("NOVA_QOS_BENCHMARK_JUDGE", judge)
    met, missed = Comparison("a", 1.0, 1.0, Goal(1)), Comparison("b", 2.0, 1.0, Goal(1))

    assert report([missed, met]) == status
    assert report([met]) == 0
