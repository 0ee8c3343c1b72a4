# SPDX-License-Identifier: Apache-2.0
"""The servers that a policy may reach, or would after a change."""

from collections.abc import Iterable, Iterator

from nova_qos.client_policies import Seen
from nova_qos.core import errors
from nova_qos.core.policy import folded
from nova_qos.dry_run.cloud import Cloud, Place


def places(cloud: Cloud, before: Seen, will_be_default: bool) -> Iterator[Place]:
    """Where the servers are that the policy reaches, or may reach: those of a whole project, though
    some have settings or policies of their own. A server may come twice.

    :param before: the policy, with those who use it
    :raises QosError: this API does not tell the caller who uses it
    """
    if before.policy["is_default"] or will_be_default:
        yield from cloud.places()
        return
    used_by = before.used_by
    if used_by is None:
        raise errors.QosError("this API does not tell you who uses the policy")
    yield from of_projects(cloud, used_by["projects"])
    assigned = {each["id"]: each["host"] for each in used_by["servers"]}
    for host in sorted({host for host in assigned.values() if host}):
        yield from (place for place in cloud.places(compute_host=host)
                    if place.server_id in assigned)
    for server_id, host in assigned.items():
        if not host:
            yield Place(server_id, server_id, None, False)


def of_new(cloud: Cloud, name: str, will_be_default: bool) -> Iterator[Place]:
    """Where the servers are that a new policy of this name reaches: as the default all, else those
    whose flavor names it before it exists."""
    for place in cloud.places():
        named = place.flavor_policy
        if will_be_default or (named is not None and folded(named) == folded(name)):
            yield place


def of_projects(cloud: Cloud, projects: Iterable[str]) -> Iterator[Place]:
    """Where the servers of these projects are."""
    for project in projects:
        yield from cloud.places(project_id=project)
