# SPDX-License-Identifier: Apache-2.0
"""Audits with the strategy, from their parameters to the action plan."""

from collections.abc import Callable
from typing import Any

import pytest
from watcher import objects
from watcher.applier.actions.migration import Migrate

from nova_qos import client_relief
from nova_qos.client_hosts import HostState
from nova_qos.core import relief
from tests.unit.agent.web import Answer
from tests.watcher.cloud import SERVERS, Nova, host, server
from tests.watcher.conftest import Audited

FIRST, SECOND, THIRD, _FOURTH = SERVERS


@pytest.fixture
def short(cloud: Nova) -> Nova:
    """"one" is short of 500 MiB, and "two" and "three" have room."""
    cloud.hosts = [host("one", server(0, 6000), server(1, 2000), server(2, 1500)),
                   host("two", server(3, 6900)), host("three")]
    return cloud


def test_a_host_is_relieved(audit: Callable[..., Audited], short: Nova) -> None:
    found = audit()
    # the cheapest that is enough, into the smallest hole
    assert found.moves == [(THIRD, "one", "two")]
    assert found.said == "1 move of 1500 MiB in all relieves one."
    (plan,) = found.plans
    assert (found.state, plan.state) == ("SUCCEEDED", "RECOMMENDED")
    (ratio,) = plan.global_efficacy
    assert (ratio["name"], ratio["value"]) == ("hosts_relieved_ratio", 100.0)
    (action,) = found.actions
    assert action.action_type == "migrate"
    assert action.input_parameters == {
        "migration_type": "live", "source_node": "one", "destination_node": "two",
        "resource_name": "web-2", "resource_id": THIRD}


def test_what_the_plan_costs_is_kept(
    context: Any, audit: Callable[..., Audited], short: Nova
) -> None:
    (plan,) = audit().plans
    found = {each.name: each.value for each in objects.EfficacyIndicator.list(
        context, filters={"action_plan_uuid": plan.uuid})}
    assert found == {"hosts_short": 1, "hosts_relieved": 1, "instance_migrations_count": 1,
                     "migrated_mib": 1500}


def test_watchers_own_action_takes_what_is_planned(
    audit: Callable[..., Audited], short: Nova
) -> None:
    for cold, kind in ((False, "live"), (True, "cold")):
        (action,) = audit(cold=cold).actions
        migrate = Migrate({})
        migrate.input_parameters = action.input_parameters
        migrate.validate_parameters()
        assert migrate.migration_type == kind


def test_servers_go_where_they_are_wanted_and_nova_places_some(
    audit: Callable[..., Audited], short: Nova
) -> None:
    assert audit(to=["three"]).moves == [(THIRD, "one", "three")]
    short.disabled = {"two"}
    assert audit().moves == [(THIRD, "one", "three")]
    assert audit(to=["two"]).moves == []


def test_only_the_hosts_that_are_named_are_relieved(
    audit: Callable[..., Audited], short: Nova
) -> None:
    short.hosts += [host("four", server(3, 9100))]
    assert {source for _, source, _ in audit().moves} == {"one"}
    assert audit(hosts=["four"]).said.startswith("No server that would help can move")
    assert audit(hosts=["three"]).said == "No host is short."


def test_nothing_is_short(audit: Callable[..., Audited], cloud: Nova) -> None:
    cloud.hosts = [host("one", server(0, 9000)), host("two")]
    found = audit()
    assert (found.state, found.said, found.moves) == ("SUCCEEDED", "No host is short.", [])
    (plan,) = found.plans
    assert (plan.state, plan.global_efficacy[0]["value"]) == ("SUCCEEDED", 100.0)


def test_no_host_has_room(audit: Callable[..., Audited], short: Nova) -> None:
    for each in short.hosts[1:]:
        each["memory"]["needs"] = 8900
    found = audit()
    assert (found.state, found.moves) == ("SUCCEEDED", [])
    assert found.said == ("No server that would help can move to another host. Short stay: "
                          "one of 500 MiB of memory.")
    assert found.plans[0].global_efficacy[0]["value"] == 0.0


def test_a_part_is_better_than_nothing(audit: Callable[..., Audited], short: Nova) -> None:
    short.hosts += [host("four", server(3, 9100))]
    found = audit()
    assert found.moves == [(THIRD, "one", "two")]
    assert found.said == ("1 move of 1500 MiB in all relieves one. Short stay: four of 100 MiB of "
                          "memory.")
    assert found.plans[0].global_efficacy[0]["value"] == 50.0


def test_no_server_makes_room_for_another(audit: Callable[..., Audited], cloud: Nova) -> None:
    """Watcher goes on after a move has failed, and "two" would be short then."""
    cloud.hosts = [host("one", server(0, 9500, resident=8000)), host("two", server(1, 2000)),
                   host("three", server(2, 6900))]
    cloud.hosts[1]["memory"]["capacity"] = 10_000
    assert len(relief.plan([client_relief.host(HostState.of(each), {})
                            for each in cloud.hosts]).moves) == 2
    assert audit().moves == []


@pytest.mark.parametrize("more", [
    {"paused": True}, {"running": False}, {"fixed": "it is locked"}])
def test_what_cannot_move_stays(
    audit: Callable[..., Audited], short: Nova, more: dict[str, Any]
) -> None:
    short.hosts[0]["placed"][2] |= more
    assert audit().moves == [(SECOND, "one", "three")]


def test_hosts_that_nobody_tells_of(audit: Callable[..., Audited], short: Nova) -> None:
    silent = {"agent": "down", "placed": None, "reason": "no answer", "age_s": 40}
    short.hosts[1] |= silent
    found = audit()
    assert found.moves == [(THIRD, "one", "three")]
    assert found.said == "1 move of 1500 MiB in all relieves one. Nobody tells of two."
    found = audit(hosts=["two"])
    assert (found.state, found.plans) == ("FAILED", [])
    assert found.said == "The agent of two does not tell of its servers: no answer."


@pytest.mark.parametrize(("fault", "said"), [
    (Answer(404, b"<html>"), "this cloud's nova has no nova-qos, or an older one"),
    (Answer.fault(403, "Policy doesn't allow it to be performed."), "Policy doesn't allow it"),
    (Answer.fault(503, "away"), "away")])
def test_why_there_can_be_no_plan(
    audit: Callable[..., Audited], short: Nova, fault: Answer, said: str
) -> None:
    short.fault = fault
    found = audit()
    assert (found.state, found.plans) == ("FAILED", [])
    assert found.said.startswith(said)


@pytest.mark.parametrize("parameters", [{"hosts": ["nowhere"]}, {"to": ["nowhere"]}])
def test_a_host_that_is_none(
    audit: Callable[..., Audited], short: Nova, parameters: dict[str, Any]
) -> None:
    found = audit(**parameters)
    assert (found.state, found.said) == ("FAILED", "There is no compute host nowhere.")


def test_a_migration_that_failed_lately_is_planned_around(
    context: Any, audit: Callable[..., Audited], short: Nova
) -> None:
    (action,) = audit().actions
    other = objects.Action(
        context, action_plan_id=action.action_plan_id, action_type="nop", parents=[],
        input_parameters={"message": "two"}, state=objects.action.State.FAILED)
    other.create()
    assert audit().moves == [(THIRD, "one", "two")]
    action.state = objects.action.State.FAILED
    action.save()
    assert audit().moves == [(THIRD, "one", "three")]
    assert audit(forget_failures_after=0).moves == [(THIRD, "one", "two")]
    action.soft_delete()
