# SPDX-License-Identifier: Apache-2.0
"""The cells of nova, for what concerns all of them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nova import context as nova_context
from nova import objects

from nova_qos.instances.settings import Context

_T = TypeVar("_T")


def with_hosts() -> list[Context]:
    """A context with all rights in each cell that has compute hosts, for its bus."""
    admin = nova_context.get_admin_context()
    found = []
    # not nova's own list, which it keeps for as long as the process lives
    for mapping in objects.CellMappingList.get_all(admin):
        if not mapping.is_cell0():
            with nova_context.target_cell(admin, mapping) as cell:
                found.append(cell)
    return found


def ask(
    question: Callable[..., _T], within_s: float, *arguments: Any
) -> tuple[Mapping[str, _T], bool]:
    """The answer of each cell to ``question(context, *arguments)`` by the cell's id, and whether
    all of them have answered within that time (s)."""
    admin = nova_context.get_admin_context()
    answers = nova_context.scatter_gather_cells(
        admin, objects.CellMappingList.get_all(admin), within_s, question, *arguments)
    found = {cell: answer for cell, answer in answers.items()
             if not nova_context.is_cell_failure_sentinel(answer)}
    return found, len(found) == len(answers)
