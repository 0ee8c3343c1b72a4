# SPDX-License-Identifier: Apache-2.0
"""The policies of a cloud after a change of one of them, checked as the API checks it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from nova_qos.client_policies import Seen
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy, Value, check_name, check_settings
from nova_qos.resources import TABLE


def changed(known: Catalog, before: Seen, changes: Mapping[str, Any]) -> Catalog:
    """With one policy changed.

    :param changes: as ``Policies.change`` takes them
    :raises InvalidSetting: the settings contradict each other
    :raises PolicyConflict: another policy is the default
    """
    number, policy = int(before.policy["id"]), before.policy
    settings = changes.get("settings", policy["settings"])
    # a newer cloud may know more resources than this client
    check_settings(TABLE, {name: value for name, value in settings.items() if name in TABLE})
    made = Policy(number, policy["name"], settings, policy["revision"] + 1)
    return _with(known, made, changes.get("is_default"))


def created(
    known: Catalog, name: str, settings: Mapping[str, Value], is_default: bool
) -> Catalog:
    """With one policy more.

    :raises InvalidSetting: the name or the settings are not accepted
    :raises PolicyConflict: the name is taken, or another policy is the default
    """
    name = check_name(name)
    taken = known.named(name)
    if taken is not None:
        raise errors.PolicyConflict(
            f"name: there is a policy {taken.name!r} already; names differ in more than case")
    check_settings(TABLE, settings)
    return _with(known, Policy(1 + max(known.policies, default=0), name, settings), is_default)


def assigned(
    known: Catalog, number: int, added: Collection[str], removed: Collection[str]
) -> Catalog:
    """With one policy assigned to some projects, which lose the one that they have, and removed
    from others."""
    kept = {project: policy for project, policy in known.projects.items()
            if not (project in removed and policy == number)}
    return replace(known, projects={**kept, **dict.fromkeys(added, number)})


def _with(known: Catalog, made: Policy, is_default: bool | None) -> Catalog:
    """With this policy; ``is_default``: None leaves that as it is."""
    number, default = made.number, known.default
    if is_default:
        if default not in (None, number):
            raise errors.PolicyConflict(
                f"policy {known.policies[default].name} is the default policy, and there can be "
                "one; openstack server qos policy set --no-default ends that.")
        default = number
    elif is_default is False and default == number:
        default = None
    return replace(known, policies={**known.policies, number: made}, default=default)
