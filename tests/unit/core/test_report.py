# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side."""

from dataclasses import replace

import pytest

from nova_qos.core import errors
from nova_qos.core.desired import resolve, target
from nova_qos.core.reading import Reading, Unmet
from nova_qos.core.report import report, reports, saved, shortfall, state_of
from nova_qos.core.resource import Resource
from nova_qos.core.server import Entry, Flavor, SavedServer
from nova_qos.resources import TABLE
from tests.unit.rows import FLAVOR, SWITCH, each_row

IO = TABLE["io_priority"]


@pytest.mark.parametrize("unmet", ["pending", "refused", "deflated", "drifted"])
def test_why_a_value_is_not_in_force_is_its_state(unmet: Unmet) -> None:
    wanted = target(IO, FLAVOR, 200)
    assert state_of(wanted, Reading(300, unmet=unmet)) == unmet
    # a guest that has the size may be on its way to another
    still = "pending" if unmet == "pending" else "applied"
    assert state_of(wanted, Reading(200, unmet=unmet)) == still
    assert state_of(target(IO, FLAVOR, None), Reading(300, unmet=unmet)) == "unset"


@each_row
def test_a_report_has_every_figure_in_the_unit_of_the_api(row: Resource) -> None:
    least, most = row.value.range_of(FLAVOR)
    wanted = target(row, FLAVOR, least)
    assert report(row, wanted, FLAVOR, Reading(wanted.host_value, since=1769860800.9)) == {
        "requested": least, "applied": least, "unit": row.unit.name, "range": [least, most],
        "default": row.default.of(FLAVOR), "state": "applied", "effective": True, "reason": None,
        "since": "2026-01-31T12:00:00+00:00", "source": "server", "policy_revision": None}


@each_row
def test_the_fields_keep_their_order(row: Resource) -> None:
    shown = report(row, target(row, FLAVOR, None), FLAVOR, Reading(None))
    assert list(shown) == ["requested", "applied", "unit", "range", "default", "state",
                           "effective", "reason", "since", "source", "policy_revision"]
    kept = saved(row, target(row, FLAVOR, None), FLAVOR)
    assert list(kept) == ["requested", "unit", "range", "default", "source", "policy_revision"]


@pytest.mark.parametrize(("error", "state"), [
    (errors.ServerNotRunning("stopped"), "pending"), (errors.HostCannot("never"), "unsupported")])
def test_an_unread_value_is_reported_with_its_reason(error: errors.QosError, state: str) -> None:
    shown = report(IO, target(IO, FLAVOR, 200), FLAVOR, Reading.unread(error))
    assert (shown["applied"], shown["state"], shown["effective"]) == (None, state, False)
    assert shown["reason"] == error.message


def test_a_resource_without_a_knob_is_applied_by_the_agent_itself() -> None:
    row = replace(IO, knob=None)
    shown = report(row, target(row, FLAVOR, 200), FLAVOR, Reading(None))
    assert (shown["requested"], shown["applied"], shown["state"]) == (200, 200, "applied")


def test_all_reports_are_in_the_order_of_the_table() -> None:
    server = SavedServer("uuid", None, None, FLAVOR, {"io_priority": 200})
    shown = reports(TABLE, resolve(TABLE, server), server, dict.fromkeys(TABLE, Reading(None)))
    assert list(shown) == list(TABLE)
    assert {name: each["requested"] for name, each in shown.items() if each["requested"]} == {
        "io_priority": 200}


def test_what_cannot_be_read_is_told_before_any_other_reason() -> None:
    server = SavedServer("uuid", None, None, Flavor(512, faults={"memory": "bad flavor"}),
                         unreadable={"io_priority": "bad key", "cpu_priority": "bad key"})
    server = server.having({"cpu_priority": Entry(5)})
    shown = reports(TABLE, resolve(TABLE, server), server,
                    {name: Reading(None, reason="away") for name in TABLE})
    assert {name: shown[name]["reason"] for name in ("memory", "io_priority", "cpu_priority")} == {
        "memory": "bad flavor; away", "io_priority": "bad key; away", "cpu_priority": "away"}


def test_how_far_a_host_has_come_is_told_in_the_unit_of_the_api() -> None:
    assert shortfall(TABLE["memory"], 512 * 1024, Reading(300 * 1024)) == "300 of 512 MiB"


@pytest.mark.parametrize(("asked", "held", "state"), [
    (1, 1, "applied"), (0, 0, "applied"), (0, 1, "drifted"), (None, 1, "unset")])
def test_a_switch_is_true_or_false(asked: int | None, held: int, state: str) -> None:
    shown = report(SWITCH, target(SWITCH, FLAVOR, asked), FLAVOR, Reading(held))
    assert shown["requested"] is (None if asked is None else bool(asked))
    assert shown["applied"] is bool(held)
    assert shown["default"] is True
    assert shown["state"] == state
