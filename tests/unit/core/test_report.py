# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side."""

from dataclasses import replace

import pytest

from nova_qos.core import errors
from nova_qos.core.desired import resolve, target
from nova_qos.core.known import Known
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.reading import Reading, Unmet
from nova_qos.core.report import report, reports, saved, shortfall, state_of
from nova_qos.core.resource import Resource
from nova_qos.core.server import Entry, Flavor, SavedServer
from nova_qos.core.source import Assigned, Layer, Source
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
        "since": "2026-01-31T12:00:00+00:00", "source": "server", "policy_revision": None,
        "applied_source": None}


@each_row
def test_the_fields_keep_their_order(row: Resource) -> None:
    shown = report(row, target(row, FLAVOR, None), FLAVOR, Reading(None))
    assert list(shown) == ["requested", "applied", "unit", "range", "default", "state",
                           "effective", "reason", "since", "source", "policy_revision",
                           "applied_source"]
    kept = saved(row, target(row, FLAVOR, None), FLAVOR)
    assert list(kept) == ["requested", "unit", "range", "default", "source", "policy_revision",
                          "reason"]


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


GOLD, BASIC = Source("policy", "gold", 3), Source("policy", "basic", 1, is_default=True)


def reason(
    flavor: Flavor, name: str, written: dict[str, int | str], *below: Layer, **own: int
) -> object:
    """Why gold's value is not what is applied, on a host that holds what it is to hold."""
    catalog = Catalog(policies={1: Policy(1, "gold", written, 3)})
    values = {each: value if isinstance(value, int) else TABLE[each].relative.value(  # type: ignore[union-attr]
        value, flavor) or 0 for each, value in written.items()}
    server = SavedServer("uuid", None, None, flavor, own, assigned=Assigned(
        (Layer(GOLD, values), *below)))
    targets = resolve(TABLE, server)
    readings = {each: Reading(target.host_value) for each, target in targets.items()}
    return reports(TABLE, targets, server, readings, Known(catalog))[name]["reason"]


def test_a_reduced_value_is_told_as_it_was_written_with_whatever_bounds_it() -> None:
    assert reason(Flavor(8192, vcpus=1024), "cpu_priority", {"cpu_priority": "512/vcpu"}) == (
        "policy gold asks for 512/vcpu (524288 shares), reduced to 262144 shares, the most there "
        "is")
    assert reason(Flavor(512), "memory", {"memory": 600}) == (
        "policy gold asks for 600 MiB, reduced to 512 MiB, the most for the flavor")
    # a tenth of one CPU is the least that a limit may be
    assert reason(Flavor(512), "cpu_limit", {"cpu_limit": "5%/vcpu"}) == (
        "policy gold asks for 5%/vcpu (5 percent of one CPU), raised to 10 percent of one CPU, "
        "the least there is")
    assert reason(Flavor(512), "memory", {"memory": "75%"}) is None


@pytest.mark.parametrize(("bound", "below", "own"), [
    ("the cpu_limit of policy gold", (), {}),
    ("the cpu_limit of default policy basic", (Layer(BASIC, {"cpu_limit": 40}),), {}),
    ("the server's cpu_limit", (Layer(BASIC, {"cpu_limit": 50}),), {"cpu_limit": 40})])
def test_a_guarantee_is_told_whose_limit_cuts_it(
    bound: str, below: tuple[Layer, ...], own: dict[str, int]
) -> None:
    of_gold = {} if below else {"cpu_limit": 40}
    assert reason(Flavor(512), "cpu_guarantee", {"cpu_guarantee": "60%/vcpu", **of_gold}, *below,
                  **own) == (
        "policy gold asks for 60%/vcpu (60 percent of one CPU), reduced to 40 percent of one CPU, "
        f"{bound}")


def test_what_policies_ask_for_may_be_unknown() -> None:
    server = SavedServer("uuid", None, None, FLAVOR, {"io_priority": 200},
                         assigned=Assigned(missing="nobody answers"))
    targets = resolve(TABLE, server)
    shown = reports(TABLE, targets, server, {name: Reading(300) for name in TABLE})["net_limit"]
    assert (shown["requested"], shown["state"], shown["source"], shown["reason"]) == (
        None, "pending", "unknown", "nobody answers; the host keeps what it has")
    listed = {name: saved(row, targets[name], FLAVOR) for name, row in TABLE.items()}
    assert (listed["net_limit"]["source"], listed["net_limit"]["reason"]) == (
        "unknown", "nobody answers")
    assert (listed["io_priority"]["source"], listed["io_priority"]["reason"]) == ("server", None)


def test_a_policy_that_was_passed_over_is_told_where_it_may_matter() -> None:
    server = SavedServer("uuid", None, None, FLAVOR, {"io_priority": 200},
                         assigned=Assigned(notice="no such policy"))
    shown = reports(TABLE, resolve(TABLE, server), server,
                    {name: Reading(200) for name in TABLE})
    assert {name: row["reason"] for name, row in shown.items()} == {
        **dict.fromkeys(TABLE, "no such policy"), "io_priority": None}
