# SPDX-License-Identifier: Apache-2.0
"""Nova's records of the machines that compute hosts are, of all cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nova import context as nova_context
from nova import exception, objects

from nova_qos.core import errors
from nova_qos.instances.settings import Context


@dataclass(frozen=True)
class Node:
    """A compute host.

    ``ram_allocation_ratio`` is placement's ratio for its memory as nova keeps it. ``cell`` is a
    context with all rights in its cell. Both are None where the cell does not answer.
    """

    host: str
    ram_allocation_ratio: float | None = None
    cell: Context | None = None


def find(context: Context, host: str | None, within_s: float) -> list[Node]:
    """All compute hosts by name, or the one of this name.

    :param within_s: how long to wait for cells, in seconds
    :raises NoSuchHost: there is none of this name
    """
    mappings = _mappings(context, host)
    cells = {each.cell_mapping.uuid: each.cell_mapping for each in mappings}
    answers = nova_context.scatter_gather_cells(
        context.elevated(), cells.values(), within_s, _of_cell, host)
    found: list[Node] = []
    for uuid, answer in answers.items():
        if isinstance(answer, exception.ComputeHostNotFound):
            raise errors.NoSuchHost(f"there is no compute host {host}") from answer
        if nova_context.is_cell_failure_sentinel(answer):
            # of a cell that is down, nova's API database has the names
            found += [Node(each.host) for each in mappings if each.cell_mapping.uuid == uuid]
        else:
            found += answer
    return sorted(found, key=lambda node: node.host)


def _mappings(context: Context, host: str | None) -> Sequence[Any]:
    if host is None:
        return list(objects.HostMappingList.get_all(context))
    try:
        return [objects.HostMapping.get_by_host(context, host)]
    except exception.HostMappingNotFound as error:
        raise errors.NoSuchHost(f"there is no compute host {host}") from error


def _of_cell(cell: Context, host: str | None) -> list[Node]:
    nodes = objects.ComputeNodeList.get_all(cell) if host is None else [
        objects.ComputeNode.get_first_node_by_host_for_old_compat(cell, host)]
    # a node that no service has is on no host; of several on one, the first stands for it
    first = {each.host: each for each in reversed(list(nodes)) if each.host}
    return [Node(name, each.ram_allocation_ratio, cell) for name, each in first.items()]
