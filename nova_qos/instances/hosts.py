# SPDX-License-Identifier: Apache-2.0
"""Compute hosts and the servers on them, or those of a project, a page at a time."""

import contextlib
from collections.abc import Iterator
from typing import Any

from nova import context as nova_context
from nova import exception, objects

from nova_qos.core import errors
from nova_qos.instances.settings import ATTRIBUTES, Context, Instance

#: Of lists: the newest server first, as in nova's own, so that servers that are made meanwhile
#: come before what was listed already.
SORTING = {"sort_keys": ["created_at", "id"], "sort_dirs": ["desc", "desc"]}


def on_host(context: Context, host: str) -> list[Instance]:
    """The servers of a host, with what ``settings.floating_ips`` needs."""
    return list(objects.InstanceList.get_by_host(
        context, host, expected_attrs=[*ATTRIBUTES, "info_cache"]))


@contextlib.contextmanager
def cell_of(context: Context, host: str) -> Iterator[Context]:
    """A context with all rights in the cell of a compute host, for its database and its bus.

    :raises NoSuchHost: nova knows none of this name
    """
    try:
        mapping = objects.HostMapping.get_by_host(context, host)
    except exception.HostMappingNotFound as error:
        raise errors.NoSuchHost(f"there is no compute host {host}") from error
    with nova_context.target_cell(context.elevated(), mapping.cell_mapping) as cell:
        yield cell


def node_of(cell: Context, host: str) -> Any:
    """Nova's record of the machine that a compute host is.

    :raises NoSuchHost: there is none
    """
    try:
        return objects.ComputeNode.get_first_node_by_host_for_old_compat(cell, host)
    except exception.ComputeHostNotFound as error:
        raise errors.NoSuchHost(f"there is no compute host {host}") from error


def page_of_project(
    compute_api: Any, context: Context, limit: int, marker: str | None
) -> tuple[list[Instance], list[Instance]]:
    """Up to ``limit`` servers of the context's project, those after the marker, in the order of
    ``SORTING``, each once; and servers in cells that are down, of which little more than the id is
    known: all of them where the first list is not full.

    :raises nova.exception.MarkerNotFound: nova knows no such server
    """
    filters = {"project_id": context.project_id, "deleted": False}
    # Nova lists servers that it has yet to place first. Where it placed one and left its build
    # request behind, it lists that one in its cell once more, and takes it, as a marker, for the
    # first: whoever follows such pages never comes to their end.
    requests = [each.instance_uuid for each in objects.BuildRequestList.get_by_filters(
        context, filters, **SORTING)]
    listed_before = set(_listed_before(requests, marker))

    def ask(most: int | None) -> tuple[list[Instance], list[Instance]]:
        found = compute_api.get_all(
            context, filters, most, marker,
            expected_attrs=list(ATTRIBUTES), cell_down_support=True, **SORTING)
        known = [each for each in found if each.obj_attr_is_set("flavor")
                 and not (each.uuid in listed_before and each.obj_attr_is_set("id"))]
        seen = listed_before | {each.uuid for each in known}
        return known, [each for each in found
                       if not each.obj_attr_is_set("flavor") and each.uuid not in seen]

    known, unknown = ask(limit + len(requests))
    if unknown:
        # nova may have cut these off; or the cell is back, and what is known of it was left out
        known, unknown = ask(None)
    return known[:limit], unknown


def _listed_before(requests: list[str], marker: str | None) -> list[str]:
    """Which servers of build requests are on the pages up to the marker."""
    if marker is None:
        return []
    return requests[:requests.index(marker) + 1] if marker in requests else requests


def page_of_host(cell: Context, host: str, limit: int, marker: str | None) -> list[Instance]:
    """Up to ``limit`` servers of a host, those after the marker, in the order of ``SORTING``.

    :raises nova.exception.MarkerNotFound: the cell never had that server
    """
    return list(objects.InstanceList.get_by_filters(
        cell, {"host": host, "deleted": False}, limit=limit, marker=marker,
        expected_attrs=list(ATTRIBUTES), **SORTING))
