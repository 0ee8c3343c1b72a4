# SPDX-License-Identifier: Apache-2.0
"""Our rules beside nova's own in a real enforcer."""

import pytest
from nova import policies as nova_policies
from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_policy import policy

from nova_qos import policies
from nova_qos.resources import LIST_HOST_POLICY, LIST_POLICY, TABLE, Resource
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
    enforcer.register_defaults(nova_policies.list_rules())
    enforcer.register_defaults(policies.list_rules())
    assert enforcer.check_rules(raise_on_violation=True)
    return enforcer


def may(enforcer: policy.Enforcer, rule: str, roles: list[str], project: str = "p1") -> bool:
    context = RequestContext(user_id="u1", project_id=project, roles=roles)
    return bool(enforcer.authorize(rule, PROJECT, context))


@each_row
def test_readers_of_the_project_and_admins_get(enforcer: policy.Enforcer, row: Resource) -> None:
    assert may(enforcer, row.get_policy, READER)
    assert may(enforcer, row.get_policy, MEMBER)
    assert may(enforcer, row.get_policy, ADMIN, project="other")
    assert not may(enforcer, row.get_policy, MEMBER, project="other")
    assert not may(enforcer, row.get_policy, [])


@each_row
def test_admins_alone_set(enforcer: policy.Enforcer, row: Resource) -> None:
    assert may(enforcer, row.set_policy, ADMIN)
    assert may(enforcer, row.set_policy, ADMIN, project="other")
    assert not may(enforcer, row.set_policy, MEMBER)
    assert not may(enforcer, row.set_policy, READER)


def test_readers_of_the_project_and_admins_list(enforcer: policy.Enforcer) -> None:
    assert may(enforcer, LIST_POLICY, READER)
    assert may(enforcer, LIST_POLICY, ADMIN, project="other")
    assert not may(enforcer, LIST_POLICY, MEMBER, project="other")
    assert not may(enforcer, LIST_POLICY, [])


def test_admins_alone_list_a_host(enforcer: policy.Enforcer) -> None:
    assert may(enforcer, LIST_HOST_POLICY, ADMIN, project="other")
    assert not may(enforcer, LIST_HOST_POLICY, MEMBER)
    assert not may(enforcer, LIST_HOST_POLICY, READER)


def test_one_rule_to_get_and_one_to_set_each_and_two_to_list() -> None:
    assert [rule.name for rule in policies.list_rules()] == [
        *(name for row in TABLE.values() for name in (row.get_policy, row.set_policy)),
        LIST_POLICY, LIST_HOST_POLICY]


def test_the_rules_to_list_tell_what_is_asked() -> None:
    documented = {rule.name: rule.operations for rule in policies.list_rules()}
    assert documented[LIST_POLICY] == [{"method": "GET", "path": "/os-qos"}]
    assert documented[LIST_HOST_POLICY] == [{"method": "GET", "path": "/os-qos?host={host}"}]


@each_row
def test_each_rule_tells_its_action(row: Resource) -> None:
    documented = {rule.name: rule.operations for rule in policies.list_rules()}
    assert row.get_action in documented[row.get_policy][0]["path"]
    assert row.set_action in documented[row.set_policy][0]["path"]
