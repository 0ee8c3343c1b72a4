# SPDX-License-Identifier: Apache-2.0
"""Who uses a named policy: servers of all cells, and nova's flavors.

No index helps here: each cell's database looks through what it keeps of all servers, some seconds
for a hundred thousand of them. So it is for requests of administrators, and for none that repeats.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nova import context as nova_context
from nova import objects
from nova.db.main import api as db
from nova.db.main import models

from nova_qos.core.policy import Policy, folded
from nova_qos.core.server import FLAVOR_POLICY, POLICY
from nova_qos.instances import cells
from nova_qos.instances.settings import KEYS, Context


@dataclass(frozen=True)
class Usage:
    """Who uses a policy by itself or by name.

    ``servers`` has the compute host of each server, None for none; ``flavors`` the names of those
    that nova has now. ``is_whole`` is False where a cell does not answer: there may be more then.
    """

    servers: Mapping[str, str | None] = field(default_factory=dict)
    flavors: Sequence[str] = ()
    is_whole: bool = True


def of_policy(policy: Policy, within_s: float) -> Usage:
    """Who uses the policy: servers that are set to it, or whose flavor, as it was when they were
    created or resized, names it; and flavors that name it.

    :param within_s: how long to wait for cells, in seconds
    """
    answers, is_whole = cells.ask(_of_cell, within_s, policy)
    servers = {uuid: host for answer in answers.values() for uuid, host in answer.items()}
    return Usage(dict(sorted(servers.items())), _flavors(policy), is_whole)


def _flavors(policy: Policy) -> list[str]:
    found = objects.FlavorList.get_all(nova_context.get_admin_context(), inactive=True)
    return sorted(each.name for each in found if _is_named(policy, each.extra_specs))


@db.pick_context_manager_reader
def _of_cell(context: Context, policy: Policy) -> dict[str, str | None]:
    # columns and not nova's objects, of which a server has dozens
    server, kept, extra = models.Instance, models.InstanceSystemMetadata, models.InstanceExtra
    set_to_it = context.session.query(server.uuid, server.host).filter(
        server.uuid == kept.instance_uuid, server.deleted == 0, kept.key == KEYS[POLICY],
        kept.value == str(policy.number))
    naming_one = context.session.query(server.uuid, server.host, extra.flavor).filter(
        server.uuid == extra.instance_uuid, server.deleted == 0,
        extra.flavor.like(f'%"{FLAVOR_POLICY}"%'))
    return dict(set_to_it.all()) | {
        uuid: host for uuid, host, kept_flavor in naming_one
        if any(_is_named(policy, each) for each in _extra_specs(kept_flavor))}


def _extra_specs(kept_flavor: str) -> Iterator[Mapping[str, Any]]:
    """Those of a server's flavor, and, during a resize, of the one before or after it."""
    for flavor in json.loads(kept_flavor).values():
        if flavor is not None:
            yield flavor["nova_object.data"].get("extra_specs") or {}


def _is_named(policy: Policy, extra_specs: Mapping[str, Any]) -> bool:
    name = extra_specs.get(FLAVOR_POLICY)
    return name is not None and folded(name) == folded(policy.name)
