# SPDX-License-Identifier: Apache-2.0
"""Verdicts on experiments whose outcome is known, and the reasons of those that miss."""

from collections.abc import Sequence

import pytest

from tests.evaluation import world
from tools.evaluation import judge_api, judge_cpu, judge_disk, judge_memory, judge_network
from tools.evaluation.verdict import Verdict


def named(verdicts: Sequence[Verdict], beginning: str) -> Verdict:
    return next(each for each in verdicts if each.what.startswith(beginning))


def test_shares_that_hold() -> None:
    verdicts, (grid,) = judge_cpu.judge_shares(world.shares_record(after_s=0.3))
    accuracy, held = named(verdicts, "accuracy"), named(verdicts, "time until a change")
    assert accuracy.ours == pytest.approx(0, abs=0.5)
    assert held.ours == pytest.approx(0.3, abs=0.1)
    assert (accuracy.met, held.met, held.missed_by) == (True, True, "")
    assert named(verdicts, "the same").ours == pytest.approx(0.8, abs=0.1)
    assert [row[0] for row in grid.rows] == ["at first", "after the change"]


def test_shares_that_come_late_and_are_off_with_the_reason() -> None:
    verdicts, _ = judge_cpu.judge_shares(world.shares_record(after_s=2.0, wanted=0.9))
    held = named(verdicts, "time until a change")
    assert held.met is False
    assert held.missed_by.startswith("by 1 s")
    assert "the virtual CPU of VM1 wanted to run 90.0% of the time only" in held.missed_by

    verdicts, _ = judge_cpu.judge_shares(world.shares_record(off=0.2))
    accuracy = named(verdicts, "accuracy")
    assert accuracy.ours == pytest.approx(100 * (1.2 / 1.05 - 1), abs=0.1)
    assert accuracy.missed_by.endswith("nothing of what was looked at explains it")
    assert named(verdicts, "time until a change").ours is None


def test_turns() -> None:
    record = world.bursts_record()
    del record.phases[1]
    (verdict,), _ = judge_cpu.judge_turns(record)
    assert verdict.ours == pytest.approx(97)


def test_bursts() -> None:
    verdicts, _ = judge_cpu.judge_bursts(world.bursts_record())
    assert named(verdicts, "accuracy").met is True
    assert named(verdicts, "of its processor").ours == pytest.approx(97)


def test_job_by_weights() -> None:
    record = world.job_record(world.due(500, 500, 1000), 120, 16)
    (verdict,), (grid,) = judge_disk.judge_job(record, 120, 16, "")
    assert verdict.ours == pytest.approx(0, abs=0.5)
    assert [row[3] for row in grid.rows] == ["22.5 s", "22.5 s", "15 s"]
    assert [float(row[4].split()[0]) for row in grid.rows] == pytest.approx(
        [22.5, 22.5, 15], abs=0.2)


def test_job_that_takes_no_heed_of_weights() -> None:
    record = world.job_record(world.due(500, 500, 500), 120, 16)
    phase = record.phases[0]
    record.phases[0] = type(phase)(phase.name, 0.0, 0.0, phase.until_s, world.due(500, 500, 1000))
    (verdict,), _ = judge_disk.judge_job(record, 120, 16, "")
    assert verdict.ours == pytest.approx(100 / 3, abs=0.5)
    assert "the disk was busy all the time (16.0 of 16 MiB/s)" in verdict.missed_by
    (verdict,), _ = judge_disk.judge_job(record, 120, 20, "")
    assert "asked for 16.0 of the disk's 20 MiB/s only" in verdict.missed_by


def test_weights_that_change() -> None:
    record = world.shares_record(after_s=0.4, quantity="written_mib", whole=16)
    verdicts, _ = judge_disk.judge_change(record, 16)
    assert named(verdicts, "accuracy").met is True
    assert named(verdicts, "time until the change").ours == pytest.approx(0.4, abs=0.3)


def test_memory_that_moves() -> None:
    verdicts, (grid,) = judge_memory.judge_memory(world.memory_record(steps_s=1.0))
    assert named(verdicts, "what is actual").ours == pytest.approx(0)
    assert named(verdicts, "time until 512").ours == pytest.approx(1.0, abs=0.1)
    assert named(verdicts, "the same").ours == pytest.approx(1.5, abs=0.1)
    assert grid.rows[0][2] == "0.1 s"


def test_memory_that_takes_too_long() -> None:
    verdicts, _ = judge_memory.judge_memory(world.memory_record(steps_s=4.0))
    late = named(verdicts, "time until 512")
    assert late.met is False
    assert "lv-set-x user1-vm3 512 after 0.1 s" in late.missed_by


def test_soft_limits() -> None:
    verdicts, (grid,) = judge_memory.judge_soft_limit(world.soft_limit_record(), 48)
    assert verdicts[0].ours == pytest.approx(19.5, abs=1.1)
    assert named(verdicts, "promised and not there").ours == 0
    assert named(verdicts, "time until the promise").ours == pytest.approx(0.5, abs=1.1)
    assert grid.rows[1] == ["VM2", "160 MiB", "176 MiB", "320 MiB", "336 MiB"]


def test_network() -> None:
    verdicts, (grid,) = judge_network.judge(world.network_record(), 80, lends=True)
    assert all(verdict.met is not False for verdict in verdicts)
    assert named(verdicts, "of 80 Mbit/s").ours == pytest.approx(100)
    assert len(grid.rows) == 4
    assert len(judge_network.judge(world.network_record(), 80, lends=False)[0]) == 2


def test_network_of_slow_guests() -> None:
    verdicts, _ = judge_network.judge(world.network_record(0.9, off=-0.05), 80, lends=True)
    accuracy = named(verdicts, "accuracy")
    assert accuracy.ours == pytest.approx(5, abs=0.6)
    assert "at 10% of the looks at tc no packet of VM2 was waiting" in accuracy.missed_by


def test_load_without_errors() -> None:
    (verdict,), (ratios, figures) = judge_api.judge_load(world.answered())
    assert (verdict.ours, verdict.met, verdict.target_written) == (0, True, "none")
    assert ratios.rows[0] == ["8 clients", "get-qos / show", "0.50", "2.00", "2.00"]
    assert figures.rows[1] == ["8 clients", "show", "100.0", "10 ms", "10 ms"]


def test_load_with_an_error() -> None:
    (verdict,), _ = judge_api.judge_load(world.answered(503))
    assert (verdict.ours, verdict.met) == (1, False)
    assert "get-qos: 503" in verdict.missed_by


def test_peers() -> None:
    _, (grid,) = judge_api.judge_peers(world.changes())
    assert grid.rows[0] == ["memory", "20 ms", "50 ms (2.5)", "800 ms (40.0)", "1500 ms (75.0)"]


@pytest.mark.parametrize(("ours", "target", "met", "missed"), [
    (0.5, 1.0, True, ""), (1.0, 1.0, True, ""), (1.5, 1.0, False, "by 0.5 s: x; y"),
    (None, 1.0, False, "x; y"), (7.0, None, None, "")])
def test_targets(
    ours: float | None, target: float | None, met: bool | None, missed: str
) -> None:
    verdict = Verdict("w", ours, "s", "", target, ["x", "y"])
    assert (verdict.met, verdict.missed_by) == (met, missed)
