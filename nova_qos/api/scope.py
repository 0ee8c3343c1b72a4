# SPDX-License-Identifier: Apache-2.0
"""Tokens without a project, such as an unscoped one."""

from typing import Any

from nova import exception


def require_user(context: Any, rule: str) -> None:
    """Refuse a token without a project, unless an administrator's: nova's database functions do
    the same, but their error reaches the caller as a cell that does not respond, with 500.

    :raises nova.exception.PolicyNotAuthorized: naming the rule
    """
    if not context.is_admin:
        require_project(context, rule)


def require_project(context: Any, rule: str) -> None:
    """Refuse a token without a project.

    :raises nova.exception.PolicyNotAuthorized: naming the rule
    """
    if not context.project_id:
        raise exception.PolicyNotAuthorized(action=rule)
