# SPDX-License-Identifier: Apache-2.0
"""What the extra brings into Watcher's environment, and what Watcher knows of it then."""

from importlib import metadata
from typing import Any

import pytest
from watcher import objects
from watcher.common import exception, utils
from watcher.decision_engine.model import element, model_root

from nova_qos.client_hosts import HostState
from nova_qos.core.errors import NoSuchHost
from nova_qos.core.moves import Move, Server
from nova_qos.watcher.cloud import Cloud
from nova_qos.watcher.goal import NAME
from nova_qos.watcher.limits import Scope
from nova_qos.watcher.strategy import Relief, in_turns
from tests.watcher.cloud import SERVERS, host, server

#: What brings a compiler, a host or nova along.
HEAVY = {"nova", "libvirt-python", "pyroute2"}


def test_nothing_heavy_comes_along() -> None:
    found = {each.name.lower().replace("_", "-") for each in metadata.distributions()}
    assert "python-watcher" in found
    assert found.isdisjoint(HEAVY)


def test_watcher_knows_goal_and_strategy(context: Any) -> None:
    goal = objects.Goal.get_by_name(context, NAME)
    assert [each["name"] for each in goal.efficacy_specification] == [
        "hosts_short", "hosts_relieved", "instance_migrations_count", "migrated_mib"]
    strategy = objects.Strategy.get_by_name(context, NAME)
    assert strategy.goal_id == goal.id
    assert set(strategy.parameters_spec["properties"]) == {
        "hosts", "to", "cold", "forget_failures_after"}


def test_parameters_are_held() -> None:
    validate = utils.StrictDefaultValidatingDraft4Validator(Relief.get_schema()).validate
    given: dict[str, Any] = {}
    validate(given)
    assert given == {"hosts": [], "to": [], "cold": False, "forget_failures_after": 24}
    for wrong in ({"hosts": "one"}, {"to": [1]}, {"cold": 1}, {"forget_failures_after": -1}):
        with pytest.raises(Exception, match=r"is not of type|less than the minimum"):
            validate(wrong)
    with pytest.raises(exception.AuditParameterNotAllowed):
        validate({"threshold": 1})


def model() -> Any:
    """As Watcher has it: "one" and "two" with a server each; the second was excluded."""
    found = model_root.ModelRoot(stale=False)
    for number, name in enumerate(("one", "two")):
        node = element.ComputeNode(
            uuid=f"10000000-0000-0000-0000-{number:012}", hostname=name, id=number)
        found.add_node(node)
        instance = element.Instance(
            uuid=SERVERS[number], name=f"web-{number}", watcher_exclude=bool(number))
        found.add_instance(instance)
        found.map_instance(instance, node)
    return found


def test_the_scope_of_an_audit_is_kept() -> None:
    scope = Scope.of(model())
    assert [scope.has(name) for name in ("one", "two", "three")] == [True, True, False]
    assert [scope.why_not(key) is None for key in SERVERS[:3]] == [True, False, False]
    assert Scope().has("three")
    assert Scope().why_not(SERVERS[1]) is None


def test_a_plan_stays_in_the_scope() -> None:
    # all that is enough is excluded, or Watcher does not know it yet
    states = {each["name"]: HostState.of(each) for each in (
        host("one", server(0, 100), server(1, 5000), server(2, 4200)), host("two"),
        host("three"))}
    cloud = Cloud(states, {"two", "three"}, Scope.of(model()))
    assert cloud.short([]) == ["one"]
    plan = cloud.plan(["one"], [])
    assert [(move.server.key, move.target) for move in plan.moves] == [(SERVERS[0], "two")]
    assert plan.missing["one"][0] == 200
    with pytest.raises(NoSuchHost, match="not in the audit's scope"):
        cloud.require(["three"])


def test_hosts_take_turns() -> None:
    moves = [Move(Server(key, (0, 0, 0, 0, 0), 0), source, "far")
             for key, source in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "one"))]
    assert [move.server.key for move in in_turns(moves)] == ["a", "c", "b", "d"]
