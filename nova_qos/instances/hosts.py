# SPDX-License-Identifier: Apache-2.0
"""Compute hosts and the servers on them, or those of a project, a page at a time."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from nova.compute import task_states
from oslo_utils import uuidutils

from nova_qos.core import errors
from nova_qos.instances.settings import ATTRIBUTES, Context, Instance

#: Of lists: the newest server first, as in nova's own, so that servers that are made meanwhile
#: come before what was listed already.
SORTING = {"sort_keys": ["created_at", "id"], "sort_dirs": ["desc", "desc"]}
#: All that nova can be at work on: it does not find servers by "any task".
_TASKS = sorted({each for name, each in vars(task_states).items()
                 if name.isupper() and isinstance(each, str)})


def on_host(context: Context, host: str) -> list[Instance]:
    """The servers of a host, with what ``settings.floating_ips`` needs."""
    return list(objects.InstanceList.get_by_host(
        context, host, expected_attrs=[*ATTRIBUTES, "info_cache"]))


def busy(context: Context, host: str) -> frozenset[str]:
    """The servers of a host, by uuid, that have a task; mostly none, so this costs next to
    nothing."""
    found = objects.InstanceList.get_by_filters(
        context, {"host": host, "deleted": False, "task_state": _TASKS}, expected_attrs=[])
    return frozenset(each.uuid for each in found)


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


def find(
    compute_api: Any, context: Context, uuid: str, attributes: Iterable[str]
) -> Instance:
    """The server of this id, if the context's user may know of it; the context is one of its cell
    then.

    nova's own ``get`` loads all that there is of a server: that takes longer than to ask its agent.

    :param attributes: what to load beside its row; what is missing is loaded when needed
    :raises nova.exception.InstanceNotFound: there is none
    :raises AgentAway: its cell does not answer
    """
    if not uuidutils.is_uuid_like(uuid):
        raise exception.InstanceNotFound(instance_id=uuid)
    try:
        mapping = objects.InstanceMapping.get_by_instance_uuid(context, uuid)
    except exception.InstanceMappingNotFound as error:
        raise exception.InstanceNotFound(instance_id=uuid) from error
    if mapping.cell_mapping is None:
        # nova has yet to place it, or does so just now
        return compute_api.get(context, uuid, expected_attrs=list(attributes))
    nova_context.set_target_cell(context, mapping.cell_mapping)
    (answer,) = nova_context.scatter_gather_single_cell(
        context, mapping.cell_mapping, objects.Instance.get_by_uuid, uuid,
        expected_attrs=list(attributes)).values()
    if isinstance(answer, exception.InstanceNotFound):
        raise answer
    if nova_context.is_cell_failure_sentinel(answer):
        raise errors.AgentAway("the server's cell does not answer")
    return answer


def named(
    context: Context, uuids: Iterable[str], within_s: float
) -> tuple[dict[str, Instance], set[str]]:
    """The servers of these ids that the context's user may know of, each with a context of its
    cell; and the ids of those whose cell does not answer in time.

    A server that nova has yet to place is in no cell and in neither.
    """
    by_cell: dict[Any, list[str]] = {}
    cells = {}
    for each in objects.InstanceMappingList.get_by_instance_uuids(context, list(uuids)):
        if each.cell_mapping is not None:
            cells[each.cell_mapping.uuid] = each.cell_mapping
            by_cell.setdefault(each.cell_mapping.uuid, []).append(each.instance_uuid)
    answers = nova_context.scatter_gather_cells(
        context, cells.values(), within_s, _of_cell, by_cell)
    found, silent = dict[str, Instance](), set[str]()
    for cell, answer in answers.items():
        if nova_context.is_cell_failure_sentinel(answer):
            silent |= set(by_cell[cell])
        else:
            found |= {each.uuid: each for each in answer}
    return found, silent


def _of_cell(cell: Context, by_cell: Mapping[Any, list[str]]) -> list[Instance]:
    return list(objects.InstanceList.get_by_filters(
        cell, {"uuid": by_cell[cell.cell_uuid], "deleted": False},
        expected_attrs=list(ATTRIBUTES)))


def page_of_host(cell: Context, host: str, limit: int, marker: str | None) -> list[Instance]:
    """Up to ``limit`` servers of a host, those after the marker, in the order of ``SORTING``.

    :raises nova.exception.MarkerNotFound: the cell never had that server
    """
    return list(objects.InstanceList.get_by_filters(
        cell, {"host": host, "deleted": False}, limit=limit, marker=marker,
        expected_attrs=list(ATTRIBUTES), **SORTING))
