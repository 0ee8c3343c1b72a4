# SPDX-License-Identifier: Apache-2.0
"""Who may get and set: one rule each a resource, overridable in policy.yaml."""

from oslo_policy import policy

from nova_qos.resources import GET_ALL, SET_ALL, TABLE, Resource

# nova registers both rules; they are named, not imported, so that the generators run without nova
_READER_OR_ADMIN = "rule:project_reader_or_admin"
_ADMIN = "rule:context_is_admin"
_PATH = "/servers/{server_id}/action"


def list_rules() -> list[policy.DocumentedRuleDefault]:
    """Every rule, for nova's enforcer and for the policy generators."""
    return [rule for row in TABLE.values() for rule in (_get_rule(row), _set_rule(row))]


def _get_rule(row: Resource) -> policy.DocumentedRuleDefault:
    return _rule(row.get_policy, _READER_OR_ADMIN, f"Show a server's {row.title}",
                 (row.get_action, GET_ALL))


def _set_rule(row: Resource) -> policy.DocumentedRuleDefault:
    return _rule(row.set_policy, _ADMIN, f"Change a server's {row.title}",
                 (row.set_action, SET_ALL))


def _rule(
    name: str, check: str, description: str, actions: tuple[str, ...]
) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=[{"method": "POST", "path": f"{_PATH} ({action})"} for action in actions],
        scope_types=["project"],
    )
