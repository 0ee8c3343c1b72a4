# SPDX-License-Identifier: Apache-2.0
"""Each rule decides, however few of them are evaluated."""

from collections.abc import Iterator
from typing import Any

import nova.conf
import pytest
from nova import context as nova_context
from nova import exception
from nova import policy as nova_policy
from oslo_policy import policy

from nova_qos.api import rights, rules
from nova_qos.resources import TABLE

NAMES = [row.names.get_rule for row in TABLE.values()]
OWNER = {"project_id": "mine", "user_id": "me"}
KIND = "qos_asks_for_the_name"
asked: list[str] = []


@policy.register(KIND)
class AsksForTheName(policy.Check):
    """As a service elsewhere that is asked about each rule by its name."""

    def __call__(self, target: Any, creds: Any, enforcer: Any, current_rule: Any = None) -> bool:
        asked.append(current_rule)
        return current_rule != NAMES[3]


@pytest.fixture
def overrides() -> Iterator[dict[str, str]]:
    """What policy.yaml says of some rules."""
    nova_policy.reset()
    nova.conf.CONF([], project="nova", default_config_files=[])
    nova_policy.init(suppress_deprecation_warnings=True)
    known = nova_policy._ENFORCER.registered_rules
    nova_policy._ENFORCER.register_defaults(
        [each for each in rules.list_rules() if each.name not in known])
    asked.clear()
    yield {}
    nova_policy.reset()


def require(overrides: dict[str, str], *roles: str) -> None:
    nova_policy._ENFORCER.load_rules(True)
    nova_policy.set_rules(policy.Rules.from_dict(overrides), overwrite=False)
    caller = nova_context.RequestContext("me", "mine", roles=list(roles))
    rights.require(caller, NAMES, OWNER)


def test_rules_that_read_alike_are_evaluated_once(
    overrides: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[str] = []
    can = nova_context.RequestContext.can

    def noted(self: nova_context.RequestContext, name: str, **options: Any) -> object:
        evaluated.append(name)
        return can(self, name, **options)

    monkeypatch.setattr(nova_context.RequestContext, "can", noted)
    overrides[NAMES[5]] = "role:reader and not role:stranger"
    require(overrides, "reader")
    assert evaluated == [NAMES[0], NAMES[5]]


@pytest.mark.parametrize("place", range(len(NAMES)))
@pytest.mark.parametrize("rule", ["!", "role:other", "rule:nowhere", "not role:reader"])
def test_each_of_them_can_refuse(overrides: dict[str, str], place: int, rule: str) -> None:
    overrides[NAMES[place]] = rule
    with pytest.raises(exception.PolicyNotAuthorized, match=NAMES[place]):
        require(overrides, "reader")


def test_without_the_role_the_first_is_named(overrides: dict[str, str]) -> None:
    with pytest.raises(exception.PolicyNotAuthorized, match=NAMES[0]):
        require(overrides, "stranger")


@pytest.mark.parametrize("rule", [f"{KIND}:any", f"role:reader and {KIND}:any", "rule:far"])
def test_what_may_ask_for_the_name_is_asked_for_each(
    overrides: dict[str, str], rule: str
) -> None:
    overrides |= dict.fromkeys(NAMES[:3], rule) | {"far": f"role:reader and ({KIND}:any)"}
    require(overrides, "reader")
    assert asked == NAMES[:3]
    overrides[NAMES[3]] = rule
    with pytest.raises(exception.PolicyNotAuthorized, match=NAMES[3]):
        require(overrides, "reader")
