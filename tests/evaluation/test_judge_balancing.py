# SPDX-License-Identifier: Apache-2.0
"""Verdicts on plays without and with balancing."""

import pytest

from tests.evaluation import balanced
from tools.evaluation import judge_balancing


def test_a_play_that_meets_all() -> None:
    verdicts, (grid,) = judge_balancing.judge(balanced.record(), balanced.totals())
    assert [each.met for each in verdicts] == [True] * 4
    assert [each.ours for each in verdicts] == pytest.approx([20, 0, 0, 0])
    rows = {row[0]: list(row[1:]) for row in grid.rows}
    assert rows["the host read back from its swap"] == ["300 MiB", "600 MiB", "60 MiB", "0 MiB"]
    assert rows["guests worked on"] == ["900 MiB", "-", "950 MiB", "-"]


@pytest.mark.parametrize(("on", "missed"), [
    ({"in_mib": 101.0}, 0), ({"crossings": 1}, 1), ({"oom_kills": 2}, 2), ({"done_mib": 889}, 3),
])
def test_a_play_that_misses_one(on: dict[str, float], missed: int) -> None:
    verdicts, _ = judge_balancing.judge(balanced.record(), balanced.totals(**on))
    assert [each.met for each in verdicts].index(False) == missed
    assert sum(each.met is False for each in verdicts) == 1
    assert verdicts[missed].missed_by


def test_nothing_was_swapped_without_balancing() -> None:
    off = {**balanced.totals()["off"], "in_mib": 0.0}
    verdicts, _ = judge_balancing.judge(balanced.record(), {**balanced.totals(), "off": off})
    # memory was not scarce, which shows nothing
    assert verdicts[0].met is False
