# SPDX-License-Identifier: Apache-2.0
"""Our objects in the kernel as data: a tree of classes for each uplink, and the rules that choose a
class.

The other files of this room read them from the kernel and make the kernel agree with them.
"""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field, replace

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
_PRIORITY_OF_NO_WEIGHT = 99
PRIORITIES = range(_PRIORITY_OF_NO_WEIGHT)
_EXACT_WEIGHT_BITS = 10
_GRAIN_BITS = 4
# Beyond the MTU: the Ethernet header and two VLAN tags.
_HEADER_BYTES = 22
# A guest's card hands over segments of up to 64 KiB (GSO). HTB lends by rounds, in each of which
# every class sends at least one packet, so none may exceed the quantum of weight 1. Up to
# this capacity, 250 Mbit/s in bytes/s, segments are cut into frames; above, where cutting costs
# too much and a round of large quanta is short, the quanta are large (figures: decision 0004).
_CUT_UP_TO = 31_250_000
_LARGEST_SEGMENT = 65536 + _HEADER_BYTES
# What may wait in a class: enough for TCP to fill the uplink over a long way.
_QUEUE_SECONDS, _LEAST_QUEUE_FRAMES = 0.1, 64


def classid(minor: int) -> int:
    """The kernel's number of a class."""
    return MAJOR << 16 | minor


def weight_of_priority(priority: int) -> int:
    """99 for the highest priority, 0, down to 1 for the lowest, 98."""
    return _PRIORITY_OF_NO_WEIGHT - priority


def priority_of_weight(weight: int) -> int:
    """The priority of the API that has this weight."""
    return _PRIORITY_OF_NO_WEIGHT - weight


@dataclass(frozen=True)
class Wish:
    """What one server is to have of an uplink: its weight, and in bytes/s what it is guaranteed and
    what it may take at most; 0 for neither."""

    weight: int
    guarantee: int = 0
    limit: int = 0


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


def tree(wishes: Mapping[int, Wish], capacity: int, mtu: int) -> Tree:
    """The classes of one uplink by minor number; capacity in bytes/s.

    Every class gets its guarantee, or its part by weight where that is more, and never do all of
    them together exceed the capacity: guarantees that would are reduced in proportion. What is left
    is lent in proportion to the quanta, which follow the weights. The quantum of the whole is that
    of weight 1.
    """
    unit = _unit(capacity, mtu)
    wishes = _reduced(wishes, capacity)
    budget = _budget(_needed(wishes.values(), capacity))
    shares = {WHOLE: Share(capacity, capacity, unit, NO_QUEUE)}
    for minor, wish in wishes.items():
        ceil = _ceil(wish.limit, capacity)
        rate = min(max(_floor(wish), capacity * wish.weight // budget), ceil)
        shares[minor] = Share(rate, ceil, wish.weight * unit, _queue(min(ceil, capacity), unit))
    return shares


def tree_of_limits(wishes: Mapping[int, Wish], capacity: int, mtu: int) -> Tree:
    """The classes of one uplink that has no total: they limit some servers, and all others pass
    beside them.

    :param capacity: of the tree that takes this one's place when servers share the uplink; with the
        same quanta, it can do so while traffic passes
    """
    unit = _unit(capacity, mtu)
    shares = {WHOLE: Share(NO_TOTAL, NO_TOTAL, unit, NO_QUEUE)}
    for minor, wish in wishes.items():
        shares[minor] = Share(
            wish.limit, wish.limit, wish.weight * unit, _queue(wish.limit, unit))
    return shares


def weight_of_share(share: Share, whole: Share) -> int:
    """The weight that a class was made with."""
    return share.quantum // whole.quantum


def limit_of_share(share: Share, whole: Share) -> int:
    """The limit that a class was made with, in bytes/s; 0 for none.

    :param whole: that of the whole, or the strays' where there is one, which says the same and
        more: it has not changed yet where a change to limits alone was interrupted
    """
    return {whole.ceil: 0, whole.ceil + 1: whole.ceil}.get(share.ceil, share.ceil)


def guarantee_of_share(share: Share, there: Tree) -> int:
    """The guarantee that a class was made with, in bytes/s; 0 for none, or for one that is no more
    than the class's part by weight."""
    strays, whole = there.get(STRAYS), there[WHOLE]
    # without a total, nothing is guaranteed; strays are left where a change to it was interrupted
    if strays is None or whole.ceil == NO_TOTAL:
        return 0
    weight, of_strays = weight_of_share(share, whole), weight_of_share(strays, whole)
    part = (strays.rate + 1) * weight / max(1, of_strays)
    return share.rate if share.rate > max(part, LEAST_RATE) else 0


def is_sound(share: Share, whole: Share, mtu: int, capacity: int) -> bool:
    """Whether the class still has its precedence and its queue, and the queue still accepts the
    uplink's largest frame."""
    return (share.prio == whole.prio and whole.ceil in (capacity, NO_TOTAL)
            and share.queue == _queue(min(share.ceil, whole.ceil), whole.quantum)
            and whole.quantum == _unit(capacity, mtu))


def _ceil(limit: int, capacity: int) -> int:
    """What a class may take at most; one that is not limited may take the capacity, so a limit of
    that size is one byte more."""
    return capacity if not limit else limit + 1 if limit == capacity else limit


def _reduced(wishes: Mapping[int, Wish], capacity: int) -> Mapping[int, Wish]:
    """The wishes with guarantees that fit together."""
    whole = sum(wish.guarantee for wish in wishes.values())
    room = capacity - LEAST_RATE * len(wishes)
    if whole <= room:
        return wishes
    return {minor: replace(wish, guarantee=wish.guarantee * room // whole)
            for minor, wish in wishes.items()}


def _floor(wish: Wish) -> int:
    return max(LEAST_RATE, wish.guarantee)


def _needed(wishes: Collection[Wish], capacity: int) -> int:
    """The weight that stands for the whole capacity, if those whose part is less than their
    guarantee, or than the least rate, get that, and the others what is left."""
    needed = sum(wish.weight for wish in wishes)
    while True:
        raised = [wish for wish in wishes if _floor(wish) * needed > capacity * wish.weight]
        left = capacity - sum(map(_floor, raised))
        others = sum(wish.weight for wish in wishes) - sum(wish.weight for wish in raised)
        now = -(-capacity * others // left) if left > 0 else capacity
        if now <= needed:
            return needed
        needed = now


def _cuts(capacity: int) -> bool:
    return capacity <= _CUT_UP_TO


def _queue(capacity: int, frame: int) -> int:
    most = max(int(capacity * _QUEUE_SECONDS), _LEAST_QUEUE_FRAMES * frame)
    return most if _cuts(capacity) else NO_QUEUE


def _unit(capacity: int, mtu: int) -> int:
    """The quantum of weight 1: no packet is larger."""
    return mtu + _HEADER_BYTES if _cuts(capacity) else _LARGEST_SEGMENT


def must_be_made_anew(before: Tree, after: Tree | None) -> bool:
    """Whether a tree cannot be changed in place: the quantum of weight 1 is another one now (the
    uplink's MTU was changed), or the class of the whole is missing."""
    return after is not None and (
        WHOLE not in before or before[WHOLE].quantum != after[WHOLE].quantum)


def held_by_others(tree: Tree, ours: Container[int]) -> list[str]:
    """The names of the classes below the whole that are neither the strays' nor in ``ours``."""
    return [f"{MAJOR:x}:{minor:x}" for minor in sorted(tree)
            if minor not in (WHOLE, STRAYS) and minor not in ours]


def _budget(total: int) -> int:
    """The weight that stands for the whole capacity.

    On a host with hundreds of servers it is rounded up, so that the change of one server changes
    no other's rate, save where a threshold is crossed.
    """
    grain = 1 << max(0, total.bit_length() - _GRAIN_BITS)
    return total if total.bit_length() <= _EXACT_WEIGHT_BITS else -(-total // grain) * grain


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


def free_minor(numbers: range, taken: Container[int]) -> int:
    """The first number that no class has.

    :raises HostRefused: there are no more
    """
    for number in numbers:
        if number not in taken:
            return number
    raise errors.HostRefused(f"prio: the host has more than {len(numbers)} servers to shape")
