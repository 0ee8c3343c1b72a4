# SPDX-License-Identifier: Apache-2.0
"""Several access rules of one request."""

from collections.abc import Mapping, Sequence
from typing import Any

from nova import policy as nova_policy
from oslo_policy import policy

# What these find depends on the caller and the server alone. Any other kind, such as http:, may ask
# for the name of the rule. oslo.policy names not all of its kinds in public, but makes them.
_BY_CALLER = (nova_policy.IsAdminCheck, *(type(each) for each in policy.Rules.from_dict(
    {"role": "role:any", "attribute": "user_id:%(user_id)s", "all": "@", "none": "!"}).values()))


def require(context: Any, names: Sequence[str], owner: Mapping[str, str]) -> None:
    """Refuse a caller whom one of the rules does not allow to do this to a server of ``owner``.

    Rules that read alike are evaluated once, since each takes as long as a small query.

    :raises nova.exception.PolicyNotAuthorized: naming the rule
    """
    first, *others = names
    context.can(first, target=owner)
    # as they were loaded for that one
    rules = nova_policy.get_rules()
    passed = {str(rules[first])} if _is_by_caller(rules[first], rules) else set()
    for name in others:
        text = str(rules[name])
        if text not in passed:
            context.can(name, target=owner)
            if _is_by_caller(rules[name], rules):
                passed.add(text)


def _is_by_caller(check: policy.Check, rules: Mapping[str, policy.Check]) -> bool:
    match check:
        case policy.AndCheck() | policy.OrCheck():
            return all(_is_by_caller(each, rules) for each in check.rules)
        case policy.NotCheck():
            return _is_by_caller(check.rule, rules)
        case policy.RuleCheck():
            return check.match in rules and _is_by_caller(rules[check.match], rules)
    return isinstance(check, _BY_CALLER)
