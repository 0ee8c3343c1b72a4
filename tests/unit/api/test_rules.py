# SPDX-License-Identifier: Apache-2.0
"""Our rules beside nova's own in a real enforcer."""

import pytest
from nova import policies as nova_rules
from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_policy import policy

from nova_qos.api import rules
from nova_qos.core.resource import Resource
from nova_qos.resources import ASSIGN_RULE, HOSTS_RULE, LIST_HOST_RULE, LIST_RULE, TABLE
from tests.unit.rows import each_row

PROJECT = {"project_id": "p1", "user_id": "u1"}
READER = ["reader"]
MEMBER = ["reader", "member"]
ADMIN = ["reader", "member", "manager", "admin"]


@pytest.fixture(scope="module")
def enforcer(tmp_path_factory: pytest.TempPathFactory) -> policy.Enforcer:
    no_overrides = tmp_path_factory.mktemp("policy") / "policy.yaml"
    no_overrides.write_text("")
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    enforcer = policy.Enforcer(conf, policy_file=str(no_overrides))
    enforcer.register_defaults(nova_rules.list_rules())
    enforcer.register_defaults(rules.list_rules())
    assert enforcer.check_rules(raise_on_violation=True)
    return enforcer


def may(enforcer: policy.Enforcer, rule: str, roles: list[str], project: str = "p1") -> bool:
    context = RequestContext(user_id="u1", project_id=project, roles=roles)
    return bool(enforcer.authorize(rule, PROJECT, context))


@each_row
def test_readers_of_the_project_and_admins_get(enforcer: policy.Enforcer, row: Resource) -> None:
    assert may(enforcer, row.names.get_rule, READER)
    assert may(enforcer, row.names.get_rule, MEMBER)
    assert may(enforcer, row.names.get_rule, ADMIN, project="other")
    assert not may(enforcer, row.names.get_rule, MEMBER, project="other")
    assert not may(enforcer, row.names.get_rule, [])


@each_row
def test_admins_alone_set(enforcer: policy.Enforcer, row: Resource) -> None:
    assert may(enforcer, row.names.set_rule, ADMIN)
    assert may(enforcer, row.names.set_rule, ADMIN, project="other")
    assert not may(enforcer, row.names.set_rule, MEMBER)
    assert not may(enforcer, row.names.set_rule, READER)


def test_readers_of_the_project_and_admins_list(enforcer: policy.Enforcer) -> None:
    assert may(enforcer, LIST_RULE, READER)
    assert may(enforcer, LIST_RULE, ADMIN, project="other")
    assert not may(enforcer, LIST_RULE, MEMBER, project="other")
    assert not may(enforcer, LIST_RULE, [])


@pytest.mark.parametrize("rule", [LIST_HOST_RULE, HOSTS_RULE])
def test_admins_alone_list_a_host(enforcer: policy.Enforcer, rule: str) -> None:
    assert may(enforcer, rule, ADMIN, project="other")
    assert not may(enforcer, rule, MEMBER)
    assert not may(enforcer, rule, READER)


def test_readers_of_the_project_and_admins_see_policies(enforcer: policy.Enforcer) -> None:
    assert may(enforcer, rules.GET_POLICIES_RULE, READER)
    assert may(enforcer, rules.GET_POLICIES_RULE, ADMIN, project="other")
    assert not may(enforcer, rules.GET_POLICIES_RULE, [])


@pytest.mark.parametrize("rule", [rules.SET_POLICIES_RULE, ASSIGN_RULE])
def test_admins_alone_change_and_assign_policies(enforcer: policy.Enforcer, rule: str) -> None:
    assert may(enforcer, rule, ADMIN, project="other")
    for roles in (MEMBER, READER, ["service"], []):
        assert not may(enforcer, rule, roles)


def test_agents_get_policies_with_either_role(enforcer: policy.Enforcer) -> None:
    """As the guides give nova's user one or the other, or both."""
    for roles in (["service"], ["admin"], ["admin", "service"]):
        assert may(enforcer, rules.AGENTS_RULE, roles, project="service")
    for roles in (MEMBER, ["reader"], ["manager"], []):
        assert not may(enforcer, rules.AGENTS_RULE, roles)


def test_one_rule_to_get_and_one_to_set_each_three_to_list_and_those_of_policies() -> None:
    assert [rule.name for rule in rules.list_rules()] == [
        *(name for row in TABLE.values() for name in (row.names.get_rule, row.names.set_rule)),
        LIST_RULE, LIST_HOST_RULE, HOSTS_RULE, rules.GET_POLICIES_RULE, rules.SET_POLICIES_RULE,
        ASSIGN_RULE, rules.AGENTS_RULE]


def test_the_rules_to_list_tell_what_is_asked() -> None:
    documented = {rule.name: rule.operations for rule in rules.list_rules()}
    assert documented[LIST_RULE] == [{"method": "GET", "path": "/os-qos"}]
    assert documented[LIST_HOST_RULE] == [{"method": "GET", "path": "/os-qos?host={host}"}]


@each_row
def test_each_rule_tells_its_action(row: Resource) -> None:
    documented = {rule.name: rule.operations for rule in rules.list_rules()}
    assert row.names.get_action in documented[row.names.get_rule][0]["path"]
    assert row.names.set_action in documented[row.names.set_rule][0]["path"]
