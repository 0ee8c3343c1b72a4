# SPDX-License-Identifier: Apache-2.0
"""Verdicts on limits, guarantees, what is received, and policies, whose outcome is known."""

import pytest

from tests.evaluation import world
from tests.evaluation.test_judges import named
from tools.evaluation import judge_limits


def test_limits_that_hold() -> None:
    verdicts, (grid,) = judge_limits.judge(world.limits_record(), judge_limits.CPU, "limits")
    accuracy, held = named(verdicts, "accuracy"), named(verdicts, "time until")
    assert accuracy.ours == pytest.approx(0, abs=0.5)
    assert held.ours == pytest.approx(0.2, abs=0.1)
    assert (accuracy.met, held.met) == (True, True)
    assert grid.rows[0][:3] == ["0.3", "VM1 30.0", "VM1 30.0"]


def test_limits_that_are_exceeded_or_come_late() -> None:
    verdicts, _ = judge_limits.judge(
        world.limits_record(off=0.045), judge_limits.CPU, "limits")
    accuracy = named(verdicts, "accuracy")
    assert accuracy.ours == pytest.approx(4.5, abs=0.2)
    assert accuracy.met is False
    verdicts, _ = judge_limits.judge(
        world.limits_record(after_s=3.0), judge_limits.CPU, "limits")
    assert named(verdicts, "time until").missed_by.startswith("by 2 s")
    verdicts, (grid,) = judge_limits.judge(
        world.limits_record(off=0.5, after_s=0.0), judge_limits.CPU, "limits")
    assert named(verdicts, "time until").ours is None
    assert grid.rows[1][3:] == ["-", "VM1 +50.0 %"]


@pytest.mark.parametrize(("has", "missing", "met"), [
    (0.6, 0, True), (0.5, 0, True), (0.48, 2, True), (0.4, 10, False)])
def test_a_guarantee_is_no_limit(has: float, missing: float, met: bool) -> None:
    verdicts, (grid,) = judge_limits.judge_guarantee(world.guarantee_record(has=has))
    verdict = named(verdicts, "of what is guaranteed")
    assert verdict.ours == pytest.approx(missing, abs=0.7)
    assert verdict.met is met
    assert grid.rows[0][1] == "VM1 50.0"


def test_a_guarantee_that_comes_late() -> None:
    verdicts, _ = judge_limits.judge_guarantee(world.guarantee_record(after_s=2.0))
    held = named(verdicts, "time until it is there")
    assert held.ours == pytest.approx(2.0, abs=0.1)
    assert held.missed_by.startswith("by ")
