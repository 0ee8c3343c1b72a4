# SPDX-License-Identifier: Apache-2.0
"""Access rules: who may get, set and list; overridable in policy.yaml."""

from oslo_policy import policy

from nova_qos.core.resource import Resource
from nova_qos.resources import (
    ASSIGN_RULE,
    GET_ALL,
    HOSTS_PATH,
    HOSTS_RULE,
    LIST_HOST_RULE,
    LIST_PATH,
    LIST_RULE,
    POLICIES_PATH,
    SET_ALL,
    TABLE,
)

GET_POLICIES_RULE = "os_compute_api:os-qos:policies:get"
SET_POLICIES_RULE = "os_compute_api:os-qos:policies:set"
AGENTS_RULE = "os_compute_api:os-qos:policies:agents"

# nova registers both rules; they are named, not imported, so that the generators run without nova
_READER_OR_ADMIN = "rule:project_reader_or_admin"
_ADMIN = "rule:context_is_admin"
# nova's users on compute hosts have one role or the other, or both, and need not be readers
_SERVICE_OR_ADMIN = "role:service or rule:context_is_admin"
_PATH = "/servers/{server_id}/action"


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """Every rule, for nova's enforcer and for the policy generators."""
    of_rows = [rule for row in TABLE.values() for rule in (_get_rule(row), _set_rule(row))]
    return [*of_rows, *_LIST_RULES, *_POLICY_RULES]


def _get_rule(row: Resource) -> policy.DocumentedRuleDefault:
    return _rule(row.names.get_rule, _READER_OR_ADMIN, f"Show a server's {row.title}",
                 _posts(row.names.get_action, GET_ALL))


def _set_rule(row: Resource) -> policy.DocumentedRuleDefault:
    return _rule(row.names.set_rule, _ADMIN, f"Change a server's {row.title}",
                 [*_posts(row.names.set_action, SET_ALL), {"method": "POST", "path": LIST_PATH}])


def _posts(*actions: str) -> list[dict[str, str]]:
    return [{"method": "POST", "path": f"{_PATH} ({action})"} for action in actions]


def _rule(
    name: str, check: str, description: str, operations: list[dict[str, str]]
) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=operations,
        scope_types=["project"],
    )


_LIST_RULES = [
    _rule(LIST_RULE, _READER_OR_ADMIN,
          "List the saved settings of a project's servers; asks for the rule to show each resource "
          "too", [{"method": "GET", "path": LIST_PATH}]),
    _rule(LIST_HOST_RULE, _ADMIN,
          "List all servers of a compute host with their applied values, and show the host of "
          "each listed server",
          [{"method": "GET", "path": f"{LIST_PATH}?host={{host}}"}]),
    _rule(HOSTS_RULE, _ADMIN,
          "Show compute hosts as a whole: what they have, what their servers are guaranteed and "
          "need, and whether they are short of it",
          [{"method": "GET", "path": HOSTS_PATH}]),
]
_ONE_POLICY = f"{POLICIES_PATH}/{{policy_id}}"
_OF_PROJECT = f"{_ONE_POLICY}/projects/{{project_id}}"
_POLICY_RULES = [
    _rule(GET_POLICIES_RULE, _READER_OR_ADMIN,
          "Show named policies: all of them, and who uses them, to those who may change or assign "
          "one; to others the default policy and that of their project",
          [{"method": "GET", "path": path} for path in (POLICIES_PATH, _ONE_POLICY)]),
    _rule(SET_POLICIES_RULE, _ADMIN, "Create, change and delete named policies",
          [{"method": "POST", "path": POLICIES_PATH}, {"method": "PUT", "path": _ONE_POLICY},
           {"method": "DELETE", "path": _ONE_POLICY}]),
    _rule(ASSIGN_RULE, _ADMIN, "Assign named policies to projects and servers",
          [{"method": "PUT", "path": _OF_PROJECT}, {"method": "DELETE", "path": _OF_PROJECT},
           *_posts(SET_ALL), {"method": "POST", "path": LIST_PATH}]),
    _rule(AGENTS_RULE, _SERVICE_OR_ADMIN,
          "Get all named policies and their projects, as agents do",
          [{"method": "GET", "path": f"{POLICIES_PATH}/for-agents"}]),
]
