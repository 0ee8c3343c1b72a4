# SPDX-License-Identifier: Apache-2.0
"""How a host's room is divided among its guests, level by level."""

from collections.abc import Sequence

from nova_qos.agent.balance.levels import Levels
from nova_qos.core.filling import water_filling


def divided(room_mib: float, all_levels: Sequence[Levels], weights: Sequence[float]) -> list[float]:
    """The size that each guest is to get.

    A level that fits into the room is granted to all. Of the first that does not, each gets a part
    by weight, and nobody gets more than it. The sum exceeds the room only where the first level
    alone does: what is kept for a guest is not taken from it.

    :param weights: each counts as 1 at least
    """
    # one tuple a level, with a size of each guest
    columns = list(zip(*all_levels, strict=True))
    granted: Sequence[float] = columns[0] if columns else []
    for level in columns[1:]:
        if sum(level) > room_mib:
            more = water_filling(
                max(0.0, room_mib - sum(granted)), [max(1.0, weight) for weight in weights],
                [size - had for size, had in zip(level, granted, strict=True)])
            return [had + part for had, part in zip(granted, more, strict=True)]
        granted = level
    return list(granted)
