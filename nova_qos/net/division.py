# SPDX-License-Identifier: Apache-2.0
"""How a device's capacity is divided: the tree of classes that grants servers' wishes, and what a
class was made with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from nova_qos.net.layout import LEAST_RATE, NO_QUEUE, NO_TOTAL, WHOLE, Share, Tree

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
# What the quantum of a class has beyond its weight's if its rate is a guarantee, not its part by
# weight: rates alone do not tell, where a change of many classes was interrupted.
_RAISED = 1
# What may wait in a class: enough for TCP to fill the uplink over a long way, and at least some
# frames, or two of the largest segments, so that a small limit does not make packets wait for
# seconds.
_QUEUE_SECONDS, _LEAST_QUEUE_FRAMES, _LEAST_SEGMENTS = 0.1, 64, 2


@dataclass(frozen=True)
class Wish:
    """What one server is to have of an uplink: its weight, and in bytes/s what it is guaranteed and
    what it may take at most; 0 for neither."""

    weight: int
    guarantee: int = 0
    limit: int = 0


def weight_of_priority(priority: int) -> int:
    """99 for the highest priority, 0, down to 1 for the lowest, 98."""
    return _PRIORITY_OF_NO_WEIGHT - priority


def priority_of_weight(weight: int) -> int:
    """The priority of the API that has this weight."""
    return _PRIORITY_OF_NO_WEIGHT - weight


def tree(wishes: Mapping[int, Wish], capacity: int, mtu: int) -> Tree:
    """The classes of one uplink by minor number; capacity in bytes/s.

    Every class gets its guarantee, or its part by weight where that is more, and never do all of
    them together exceed the capacity: guarantees that would are reduced in proportion. What is left
    is lent in proportion to the quanta, which follow the weights. The quantum of the whole is that
    of weight 1.
    """
    unit = _unit(capacity, mtu)
    wishes = _reduced(wishes, capacity)
    budget = _budget(wishes.values(), capacity)
    return {WHOLE: Share(capacity, capacity, unit, NO_QUEUE), **{
        minor: _part(wish, capacity, budget, unit) for minor, wish in wishes.items()}}


def tree_of_limits(wishes: Mapping[int, Wish], capacity: int, mtu: int) -> Tree:
    """The classes of one uplink that has no total: they limit some servers, and all others pass
    beside them.

    :param capacity: of the tree that takes this one's place when servers share the uplink; with the
        same quanta, it can do so while traffic passes
    """
    unit = _unit(capacity, mtu)
    return {WHOLE: Share(NO_TOTAL, NO_TOTAL, unit, NO_QUEUE), **{
        minor: _limited(wish, unit) for minor, wish in wishes.items()}}


def changed_alone(
    before: Mapping[int, Wish], minor: int, wish: Wish, there: Tree, capacity: int, mtu: int
) -> Share | None:
    """One class after its wish has changed; None where other classes change with it.

    :param before: the wishes that the tree ``there`` was made for
    """
    unit, whole = _unit(capacity, mtu), there.get(WHOLE)
    if whole is None or whole.quantum != unit or minor not in there:
        return None
    if whole.ceil == NO_TOTAL:
        return _limited(wish, unit)
    after = {**before, minor: wish}
    budget = _budget(after.values(), capacity)
    if (whole.ceil != capacity or budget != _budget(before.values(), capacity)
            or any(_reduced(each, capacity) is not each for each in (before, after))):
        return None
    return _part(wish, capacity, budget, unit)


def _part(wish: Wish, capacity: int, budget: int, unit: int) -> Share:
    ceil, by_weight = _ceil(wish.limit, capacity), capacity * wish.weight // budget
    quantum = wish.weight * unit + (_RAISED if wish.guarantee > by_weight else 0)
    return Share(min(max(_floor(wish), by_weight), ceil), ceil, quantum,
                 _queue(min(ceil, capacity), unit))


def _limited(wish: Wish, unit: int) -> Share:
    return Share(wish.limit, wish.limit, wish.weight * unit, _queue(wish.limit, unit))


def weight_of_share(share: Share, whole: Share) -> int:
    """The weight that a class was made with."""
    return share.quantum // whole.quantum


def limit_of_share(share: Share, whole: Share) -> int:
    """The limit that a class was made with, in bytes/s; 0 for none.

    :param whole: that of the whole, or the strays' where there is one, which says the same and
        more: it has not changed yet where a change to limits alone was interrupted
    """
    return {whole.ceil: 0, whole.ceil + 1: whole.ceil}.get(share.ceil, share.ceil)


def guarantee_of_share(share: Share, whole: Share) -> int:
    """The guarantee that a class was made with, in bytes/s; 0 for none, or for one that is no more
    than the class's part by weight."""
    # without a total, nothing is guaranteed; a change to that was interrupted
    is_raised = share.quantum % whole.quantum == _RAISED and whole.ceil != NO_TOTAL
    return share.rate if is_raised else 0


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
    least = min(_LEAST_QUEUE_FRAMES * frame, _LEAST_SEGMENTS * _LARGEST_SEGMENT)
    return max(int(capacity * _QUEUE_SECONDS), least) if _cuts(capacity) else NO_QUEUE


def _unit(capacity: int, mtu: int) -> int:
    """The quantum of weight 1: no packet is larger."""
    return mtu + _HEADER_BYTES if _cuts(capacity) else _LARGEST_SEGMENT


def must_be_made_anew(before: Tree, after: Tree | None) -> bool:
    """Whether a tree cannot be changed in place: the quantum of weight 1 is another one now (the
    uplink's MTU was changed), or the class of the whole is missing."""
    return after is not None and (
        WHOLE not in before or before[WHOLE].quantum != after[WHOLE].quantum)


def _budget(wishes: Collection[Wish], capacity: int) -> int:
    """The weight that stands for the whole capacity."""
    return _rounded(_needed(wishes, capacity))


def _rounded(total: int) -> int:
    """On a host with hundreds of servers it is rounded up, so that the change of one server changes
    no other's rate, save where a threshold is crossed."""
    grain = 1 << max(0, total.bit_length() - _GRAIN_BITS)
    return total if total.bit_length() <= _EXACT_WEIGHT_BITS else -(-total // grain) * grain
