# SPDX-License-Identifier: Apache-2.0
"""The evaluation's reallocations, scaled down to servers of 512 MiB.

User 1 owns vm1 and vm2, user 2 owns vm3; at the start each user has half. Then resources move
from user 2 to user 1.
"""

from dataclasses import dataclass

#: What the three servers are asked to have.
Shares = tuple[int, int, int]


@dataclass(frozen=True)
class Change:
    """A step: who gets what, and how that differs from before."""

    resource: str
    what: str
    asked: Shares


CHANGES = (
    Change("memory", "each user has half of the memory", (160, 160, 320)),
    Change("memory", "memory moves from vm3 to vm2", (160, 320, 160)),
    Change("soft limit", "each user has half of the soft limits", (128, 128, 256)),
    Change("soft limit", "the soft limit moves from vm3 to vm2", (128, 256, 128)),
    Change("CPU", "each user has half of the CPU shares", (1024, 1024, 2048)),
    Change("CPU", "CPU shares move from vm3 to vm2", (1024, 2048, 1024)),
    Change("CPU", "and back", (1024, 1024, 2048)),
    Change("I/O", "vm3 may write twice as much as each of the others", (500, 500, 1000)),
    Change("I/O", "vm2 comes first, vm3 last", (500, 900, 300)),
)

#: Their weights, 99 less the priority, are 39, 26 and 15: of 80 Mbit/s as many Mbit/s.
NET_PRIORITIES: Shares = (60, 73, 84)

#: Which of the three is rebooted at the end, with all that it has by then and its priority again.
REBOOTED = 1
