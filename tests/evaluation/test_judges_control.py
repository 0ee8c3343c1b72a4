# SPDX-License-Identifier: Apache-2.0
"""Verdicts on limits, guarantees, what is received, and policies, whose outcome is known."""

import pytest

from tests.evaluation import world
from tests.evaluation.test_judges import named
from tools.evaluation import judge_api, judge_guarantees, judge_limits
from tools.evaluation.records import Table


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


def test_a_limit_on_a_processor_that_others_use() -> None:
    record = world.limits_record()
    table = record.tables["host"]
    record.tables["host"] = Table(table.times, {
        name: [value / 2 for value in column] if name.endswith(".cpu_s") else column
        for name, column in table.columns.items()})
    verdicts, _ = judge_limits.judge(record, judge_limits.CPU, "limits")
    assert named(verdicts, "accuracy").missed_by.endswith(
        ": the servers had 50% of the processor, and others the rest")


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


@pytest.mark.parametrize(("quantity", "measure", "seen"), [
    ("written_mib", judge_limits.WRITTEN, "VM1 3.0"),
    ("requests", judge_limits.REQUESTS, "VM1 3.0")])
def test_disk_limits(quantity: str, measure: judge_limits.Measure, seen: str) -> None:
    verdicts, (grid,) = judge_limits.judge(
        world.limits_record(quantity, scale=10), measure, "limits")
    assert all(verdict.met for verdict in verdicts)
    assert grid.rows[0][2] == seen


def test_outbound_limits() -> None:
    verdicts, (grid,) = judge_limits.judge_sent(world.network_limits_record(), "limits")
    assert [verdict.met for verdict in verdicts] == [True, True, True]
    assert grid.rows[0][1] == "VM1 5.0, VM2 20.0, VM3 50.0"
    verdicts, _ = judge_limits.judge_sent(world.network_limits_record(received=0.95), "limits")
    assert [verdict.met for verdict in verdicts] == [True, True, False]
    assert verdicts[-1].ours == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(("mbit", "after_s", "met"), [
    (48, 0.2, [True, True, True]), (40, 0.2, [True, True, True]),
    (36, 0.2, [False, False, False]), (48, 3.0, [True, False, True])])
def test_outbound_guarantee_is_no_limit(mbit: float, after_s: float, met: list[bool]) -> None:
    verdicts, (grid,) = judge_limits.judge_sent(
        world.guaranteed_record(mbit, after_s), "guarantees")
    assert [verdict.met for verdict in verdicts] == met
    assert grid.rows[0][1] == "VM1 40.0"


def test_inbound_shares() -> None:
    verdicts, grids = judge_limits.judge_received(world.inbound_record(), "inbound shares")
    assert [verdict.met for verdict in verdicts] == [True, True, True, True]
    assert grids[0].rows[0][1] == "VM1 40.0, VM2 20.0, VM3 10.0"
    assert named(verdicts, "time until others").ours == pytest.approx(0.3, abs=0.1)


def test_inbound_shares_that_come_late_or_do_not_arrive() -> None:
    verdicts, _ = judge_limits.judge_received(world.inbound_record(back_s=2), "inbound shares")
    assert named(verdicts, "time until others").ours == pytest.approx(2, abs=0.1)
    assert named(verdicts, "time until others").met is False
    verdicts, _ = judge_limits.judge_received(world.inbound_record(passed_on=0.9), "shares")
    assert [verdict.met for verdict in verdicts] == [True, True, True, False]


def test_memory_guarantee_that_holds() -> None:
    verdicts, (grid,) = judge_guarantees.judge_memory(world.floor_record(), world.attempts(), 1024)
    assert [verdict.met for verdict in verdicts] == [True, True, True]
    assert verdicts[0].ours == pytest.approx(0.1, abs=0.01)
    assert [row[:3] for row in grid.rows] == [
        ["as guaranteed", "1024 MiB", "1024 MiB"], ["without a guarantee", "512 MiB", "512 MiB"]]
    assert grid.rows[0][3] == "1 s"


def test_memory_guarantee_that_does_not_hold() -> None:
    verdicts, _ = judge_guarantees.judge_memory(
        world.floor_record(1000), world.attempts(202), 1024)
    assert [verdict.met for verdict in verdicts] == [True, False, False]
    assert verdicts[1].missed_by == "by 1: POST /os-qos"
    assert verdicts[2].ours == 24


@pytest.mark.parametrize(("net_kbit", "percent", "met"), [
    (80000, 100, True), (120000, 150, False)])
def test_guarantees_of_more_than_there_is(net_kbit: int, percent: int, met: bool) -> None:
    (verdict,), (grid,) = judge_guarantees.judge_promises(world.promised(net_kbit))
    assert (verdict.ours, verdict.met) == (percent, met)
    assert grid.rows[0] == ["cpu_guarantee", "3 x 100 percent", "1", "200 percent", "200 percent"]


def test_many_servers_in_one_request() -> None:
    verdicts, (grid,) = judge_api.judge_many(world.many_answered(), 3)
    assert [verdict.met for verdict in verdicts] == [True, True, True, True]
    assert named(verdicts, "time for each server").ours == pytest.approx(200 / 3, abs=0.1)
    assert grid.rows[0] == ["POST /os-qos", "50.0", "20 ms", "20 ms", "150.0"]


@pytest.mark.parametrize(("status", "seconds", "missed"), [
    (503, 0.02, [0]), (202, 0.02, [1]), (200, 0.04, [2]), (200, 16.0, [2, 3])])
def test_many_servers_with_trouble(status: int, seconds: float, missed: list[int]) -> None:
    verdicts, _ = judge_api.judge_many(world.many_answered(status, seconds), 3)
    assert [number for number, each in enumerate(verdicts) if not each.met] == missed


def test_edits_of_a_policy() -> None:
    verdicts, (grid,) = judge_api.judge_policy(world.edits())
    assert [(each.ours, each.met) for each in verdicts] == [(0.6, True), (0.6, True)]
    assert grid.rows[0][1:5] == ["2", "0.40 s", "0.50 s", "0.60 s"]
    verdicts, _ = judge_api.judge_policy(world.edits(longest_s=7))
    assert verdicts[0].met is False
    assert verdicts[0].missed_by.startswith("by 2 s")
