# SPDX-License-Identifier: Apache-2.0
"""Our objects in the kernel as data: a tree of classes for each uplink, and the rules that choose a
class.

The other files of this room read them from the kernel and make the kernel agree with them.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from nova_qos.core import errors

#: The handle of our trees, 5ca1:. Open vSwitch and libvirt use 1:.
MAJOR = 0x5CA1
#: The class that holds the whole capacity.
WHOLE = 0x0001
#: The class of guests' packets that no server is known to have sent.
STRAYS = 0xFFFE
#: Classes of servers with a priority, and of those without.
WITH_PRIORITY, WITHOUT_PRIORITY = range(0x0010, 0x8000), range(0x8000, 0xFFF0)
#: In bytes/s: below, a packet's duration does not fit into the kernel's fields.
LEAST_RATE = 16
#: The capacity in bytes/s of a tree that only limits some servers: more than any uplink has.
NO_TOTAL = 10**12
#: A class whose packets wait in HTB's own queue, and one whose queue others have made.
NO_QUEUE, STRANGE_QUEUE = 0, -1


def classid(minor: int) -> int:
    """The kernel's number of a class."""
    return MAJOR << 16 | minor


@dataclass(frozen=True)
class Share:
    """A class: what it is guaranteed and may take at most, in bytes/s, how many bytes it may
    borrow a round, how many may wait in its queue that cuts large segments, NO_QUEUE for HTB's own
    queue or STRANGE_QUEUE for any other, and its precedence."""

    rate: int
    ceil: int
    quantum: int
    queue: int
    prio: int = 0

    @property
    def cuts(self) -> bool:
        """Whether large segments are cut."""
        return self.queue > 0


Tree = dict[int, Share]


@dataclass
class Rules:
    """The table of rules: a class by the packet's mark, else by its source addresses.

    ``addresses`` are the floating IPs that routers give the packets of servers. ``taps`` are
    chains that mark what comes in from a device, ``gates`` those that choose the class on an
    uplink, each by the device's index. ``host_macs`` are the host's own addresses: their packets
    bypass the classes. ``foreign`` names the chains that hold other rules than ours.
    """

    macs: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    taps: dict[int, int] = field(default_factory=dict)
    gates: set[int] = field(default_factory=set)
    host_macs: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)


@dataclass
class Layout:
    """All that is ours: trees by the index of their uplink, and the rules, None = no table."""

    trees: dict[int, Tree] = field(default_factory=dict)
    rules: Rules | None = None

    def __bool__(self) -> bool:
        return bool(self.trees) or self.rules is not None


def held_by_others(tree: Tree, ours: Container[int]) -> list[str]:
    """The names of the classes below the whole that are neither the strays' nor in ``ours``."""
    return [f"{MAJOR:x}:{minor:x}" for minor in sorted(tree)
            if minor not in (WHOLE, STRAYS) and minor not in ours]


def free_minor(numbers: range, taken: Container[int]) -> int:
    """The first number that no class has.

    :raises HostRefused: there are no more
    """
    for number in numbers:
        if number not in taken:
            return number
    raise errors.HostRefused(f"prio: the host has more than {len(numbers)} servers to shape")
