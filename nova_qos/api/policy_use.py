# SPDX-License-Identifier: Apache-2.0
"""Who uses a named policy, as answers say it."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from nova import conf as nova_conf

from nova_qos.api.policy_bodies import projects_of
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy
from nova_qos.instances import usage
from nova_qos.instances.usage import Usage

#: How long a request that shows a policy waits for cells, in seconds.
_SHOW_S = 5.0
#: How many of each kind a refusal names.
_NAMED = 5
#: A set that has found a policy right before it was deleted is saved so much later (s), at most.
_SAVE_S = 0.5


def shown(catalog: Catalog, policy: Policy, by_whom: bool) -> dict[str, Any]:
    """How many use the policy, and by whom it is used."""
    used, projects = usage.of_policy(policy, _SHOW_S), projects_of(catalog, policy)
    found: dict[str, Any] = {"in_use": {
        "servers": len(used.servers), "flavors": len(used.flavors), "projects": len(projects),
        "incomplete": not used.is_whole}}
    if by_whom:
        found["used_by"] = {
            "servers": [{"id": uuid, "host": host} for uuid, host in used.servers.items()],
            "flavors": list(used.flavors), "projects": projects}
    return found


def require_none(catalog: Catalog, policy: Policy) -> None:
    """Refuse to delete a policy that somebody uses.

    :raises PolicyConflict: names several of them; or a cell does not answer
    """
    used = usage.of_policy(policy, nova_conf.CONF.nova_qos.rpc_timeout)
    words = list(_words(catalog, policy, used))
    if words:
        raise errors.PolicyConflict(
            f"policy {policy.name} is in use: {'; '.join(words)}. End each of these uses, "
            "then delete it")
    if not used.is_whole:
        raise errors.PolicyConflict(
            f"a cell does not answer, so servers in it may use policy {policy.name}; delete it "
            "when all cells answer")


def require_none_since(catalog: Catalog, policy: Policy) -> None:
    """As ``require_none``, of a policy that has just been deleted: whoever gets it at this moment
    either does not find it any more, or is found here.

    :raises PolicyConflict: somebody was faster; the policy is to be put back
    """
    time.sleep(_SAVE_S)
    require_none(catalog, policy)


def _words(catalog: Catalog, policy: Policy, used: Usage) -> Iterator[str]:
    if catalog.default == policy.number:
        yield "it is the default policy"
    for kind, names in (("servers", used.servers), ("flavors", used.flavors),
                        ("projects", projects_of(catalog, policy))):
        if names:
            yield f"{kind} {_some(names)}"


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
