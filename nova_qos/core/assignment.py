# SPDX-License-Identifier: Apache-2.0
"""Which policies a server has, and what they come to for it. Pure."""

from collections.abc import Iterator

from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog, Policy, folded
from nova_qos.core.resource import Resource, Rows
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.core.source import Assigned, Layer, Source

#: Of how many combinations of flavor and policies is kept what they come to.
_MOST_KEPT = 4096


class _Missing(Exception):
    """A policy is assigned that the catalog does not have."""


def assigned(catalog: Catalog, table: Rows, server: SavedServer) -> Assigned:
    """The policies of a server in their order: its own, its flavor's, its project's, the default.

    Of each, values are those for the server's flavor; what this table does not know is left out.
    Servers for which all that is the same get the same object.
    """
    key = id(table), server.policy, catalog.projects.get(server.project), server.flavor
    found: Assigned | None = catalog.assigned.get(key)
    if found is None:
        if len(catalog.assigned) >= _MOST_KEPT:
            catalog.assigned.clear()
        found = catalog.assigned[key] = _assigned(catalog, table, server)
    return found


def _assigned(catalog: Catalog, table: Rows, server: SavedServer) -> Assigned:
    try:
        policies = list(_policies(catalog, server))
    except _Missing as missing:
        return Assigned(missing=str(missing))
    return Assigned(tuple(
        Layer(Source("policy", policy.name, policy.revision, is_default),
              _settings(policy, table, server.flavor)) for policy, is_default in policies),
        notice=_notice(catalog, server))


def _policies(catalog: Catalog, server: SavedServer) -> Iterator[tuple[Policy, bool]]:
    if server.policy == NONE_ID:
        return
    if server.policy is not None:
        yield _of_server(catalog, server.policy), False
    if server.flavor.policy is not None:
        if folded(server.flavor.policy) == NONE_NAME:
            return
        named = catalog.named(server.flavor.policy)
        # nova takes any text there: one that names nothing costs the server no other policy
        if named is not None:
            yield named, False
    project = catalog.projects.get(server.project)
    if project is not None:
        yield _of_number(catalog, project), False
    if catalog.default is not None:
        yield _of_number(catalog, catalog.default), True


def _notice(catalog: Catalog, server: SavedServer) -> str | None:
    name = server.flavor.policy
    if name is None or server.policy == NONE_ID or folded(name) == NONE_NAME or catalog.named(name):
        return None
    return f"the flavor names policy {name[:60]!r}, which does not exist"


def _of_server(catalog: Catalog, number: int) -> Policy:
    try:
        return _of_number(catalog, number)
    except _Missing as missing:
        raise _Missing(f"{missing}; openstack server qos set --policy NAME, or unset --policy, "
                       "ends that") from missing


def _of_number(catalog: Catalog, number: int) -> Policy:
    try:
        return catalog.policies[number]
    except KeyError as error:
        raise _Missing(f"policy {number} is assigned, which is not known here") from error


def _settings(policy: Policy, table: Rows, flavor: Flavor) -> dict[str, int]:
    found = {name: _value(table[name], policy.settings[name], flavor)
             for name in policy.settings if name in table}
    return {name: value for name, value in found.items() if value is not None}


def _value(row: Resource, value: int | str, flavor: Flavor) -> int | None:
    """None: a form that this release does not know."""
    if isinstance(value, int):
        return value
    return row.relative.value(value, flavor) if row.relative else None
