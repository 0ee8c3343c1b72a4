# SPDX-License-Identifier: Apache-2.0
"""The support matrix says what the record has, and the record what passed."""

import json
from typing import Any

import pytest

from nova_qos.resources import TABLE
from tests.facts import facts
from tests.record import BEGINS, MARK, TIERS, Record
from tools import support_matrix


def report(name: str, outcome: str, *resources: str, when: str = "call") -> pytest.TestReport:
    return pytest.TestReport(
        f"tests/{name}", (name, 0, name), {}, outcome, None, when,
        user_properties=[(MARK, each) for each in resources])


def noted(*reports: pytest.TestReport) -> list[dict[str, Any]]:
    record = Record()
    for each in reports:
        record.note(each)
    return support_matrix.taken("\n".join(["...", *record.lines()]), "2026-11-30")


def run(tier: str, passed: int, **versions: str) -> dict[str, Any]:
    return {"tier": tier, "day": "2026-11-30", "facts": versions,
            "tests": {"passed": passed, "failed": 0}, "resources": {}}


def test_the_page_is_up_to_date() -> None:
    runs = json.loads(support_matrix.RECORD.read_text())
    assert support_matrix.PAGE.read_text() == support_matrix.tables(runs), (
        "run python -m tools.support_matrix")
    assert support_matrix.merged(runs, []) == runs
    for each in runs:
        assert each["resources"].keys() <= TABLE.keys()


def test_both_sides_know_the_same_tiers_and_facts() -> None:
    assert tuple(support_matrix.TIERS) == TIERS
    assert support_matrix.BEGINS == BEGINS
    assert facts("net").keys() >= {"kernel", "cgroup", "python"}
    known = {name for tier in support_matrix.TIERS.values() for name in tier.facts}
    assert known == support_matrix._TITLES.keys()


def test_a_run_tells_what_passed_and_what_did_not() -> None:
    (found,) = noted(
        report("net/test_a.py::test_it", "passed", when="setup"),
        report("net/test_a.py::test_it", "passed", "net_limit", "net_priority"),
        report("net/test_a.py::test_it", "passed", when="teardown"),
        report("net/test_a.py::test_other", "failed", "net_limit"),
        report("net/test_a.py::test_absent", "skipped", "net_limit", when="setup"),
        report("unit/core/test_units.py::test_it", "passed"))
    assert found["tests"] == {"passed": 1, "failed": 1, "skipped": 1}
    assert found["resources"] == {
        "net_limit": {"passed": 1, "failed": 1, "skipped": 1},
        "net_priority": {"passed": 1, "failed": 0, "skipped": 0}}
    assert found["facts"] == facts("net")


def test_each_tier_of_a_run_has_a_line() -> None:
    assert [each["tier"] for each in noted(
        report("net/test_a.py::test_it", "passed"), report("host/test_b.py::test_it", "passed"))
    ] == ["net", "host"]


def test_parts_of_a_tier_are_one_run() -> None:
    parts = ([report("host/test_a.py::test_it", "passed", "cpu_limit")],
             [report("host/test_b.py::test_it", "failed", "cpu_limit"),
              report("host/test_b.py::test_other", "passed", "io_limit")])
    lines = []
    for reports in parts:
        record = Record()
        for each in reports:
            record.note(each)
        lines += record.lines()
    (found,) = support_matrix.taken("\n".join(lines), "2026-11-30")
    assert found["tests"] == {"passed": 2, "failed": 1, "skipped": 0}
    assert found["resources"] == {
        "cpu_limit": {"passed": 1, "failed": 1, "skipped": 0},
        "io_limit": {"passed": 1, "failed": 0, "skipped": 0}}


def test_a_later_run_replaces_one_on_the_same_versions() -> None:
    before = [run("cloud", 1, nova="34.0.0", kernel="6.1"), run("net", 2, kernel="6.1")]
    later = [run("net", 3, kernel="6.1", nova="34.0.0"), run("net", 4, kernel="6.12")]
    assert [(each["tier"], each["tests"]["passed"])
            for each in support_matrix.merged(before, later)] == [
        ("net", 3), ("net", 4), ("cloud", 1)]


def test_without_a_host_there_is_one_table() -> None:
    text = support_matrix.tables([run("functional", 7, nova="33.0.0")])
    assert text.count(".. list-table::") == 1
    assert "there is no second table yet" in text


def test_what_failed_shows_and_what_did_not_run_is_a_dash() -> None:
    tested = run("host", 12, cgroup="v1", kernel="6.18.44") | {
        "resources": {"cpu_limit": {"passed": 4, "failed": 1}, "io_limit": {"skipped": 2}}}
    text = support_matrix.tables([run("functional", 7, nova="33.0.0"), tested])
    rows = {block.split("\n")[0]: block.split("\n")[1].split("- ", 1)[1]
            for block in text.split("   * - ")[1:] if block.startswith("``")}
    assert rows.keys() == {f"``{name}``" for name in TABLE}
    assert (rows["``cpu_limit``"], rows["``io_limit``"]) == ("4 of 5", "-")
    assert "     - 33.0.0\n" in text
