# SPDX-License-Identifier: Apache-2.0
"""Access rules: who may get, set and list; overridable in policy.yaml."""

from oslo_policy import policy

from nova_qos.core.resource import Resource
from nova_qos.resources import GET_ALL, LIST_HOST_RULE, LIST_PATH, LIST_RULE, SET_ALL, TABLE

# nova registers both rules; they are named, not imported, so that the generators run without nova
_READER_OR_ADMIN = "rule:project_reader_or_admin"
_ADMIN = "rule:context_is_admin"
_PATH = "/servers/{server_id}/action"


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """Every rule, for nova's enforcer and for the policy generators."""
    of_rows = [rule for row in TABLE.values() for rule in (_get_rule(row), _set_rule(row))]
    return [*of_rows, *_LIST_RULES]


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
]
