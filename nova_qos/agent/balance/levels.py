# SPDX-License-Identifier: Apache-2.0
"""What a guest is to get first, next, and last of the memory that guests share."""

from typing import NamedTuple

from nova_qos.agent.balance.guests import GuestNow, History
from nova_qos.agent.balance.thresholds import Thresholds


class Levels(NamedTuple):
    """Sizes of a guest in MiB, none below the one before it. All guests get the first before any
    gets more, then all get the second, and so on."""

    #: Its guarantee, less the part of it that is idle and lent.
    kept_mib: float
    #: What it uses, and the little that its kernel needs to find free pages.
    need_mib: float
    #: With a cushion, into which it grows until its balloon follows.
    cushioned_mib: float
    #: With its caches.
    cached_mib: float
    #: What its user or its policy allows; where it needs more than that, what it needs of what it
    #: has: then the bound waits, as it does on a calm host.
    most_mib: float


def levels_of(guest: GuestNow, history: History, now_s: float, numbers: Thresholds) -> Levels:
    """The levels of a guest at this look."""
    cushion_mib = _cushion_mib(guest, history, numbers)
    if history.is_stale:
        # the host's own view: the guest uses no more than what it has touched
        used_mib, caches_mib = guest.resident_mib, 0.0
        cushion_mib = max(cushion_mib, history.resident_growth_mib_s * numbers.cushion_growth_s)
    else:
        used_mib, caches_mib = history.used_mib, history.caches_mib
    need_mib = used_mib + numbers.bare_percent / 100 * guest.flavor_mib
    if history.is_stuck:
        need_mib = max(need_mib, guest.actual_mib)
    if history.is_stale or history.usable_mib < 2 * cushion_mib:
        need_mib = max(need_mib, _pressing_mib(guest, history, now_s, numbers))
    return _in_order(guest, need_mib, used_mib + cushion_mib, caches_mib, numbers)


def probed(
    guest: GuestNow, history: History, now_s: float, plain: Levels, numbers: Thresholds
) -> Levels:
    """The levels of a guest for the time when others lack memory: one that is full, but shows no
    lack, may do with a little less than it has. Those of other guests are unchanged."""
    latest_sign_s = max(history.distressed_s, history.missed_s, history.held_until_s)
    if (history.is_stale or history.is_stuck
            or history.usable_mib >= _cushion_mib(guest, history, numbers)
            or now_s - latest_sign_s <= numbers.hold_s):
        return plain
    less_mib = guest.actual_mib - numbers.probe_percent / 100 * guest.flavor_mib
    return plain._replace(need_mib=max(plain.kept_mib, min(plain.need_mib, less_mib)))


def _cushion_mib(guest: GuestNow, history: History, numbers: Thresholds) -> float:
    return max(numbers.cushion_mib, numbers.cushion_percent / 100 * guest.flavor_mib,
               history.growth_mib_s * numbers.cushion_growth_s)


def _pressing_mib(
    guest: GuestNow, history: History, now_s: float, numbers: Thresholds
) -> float:
    """The size that a guest without much to spare must not fall below."""
    pressing_mib = 0.0
    if now_s <= history.held_until_s or now_s - history.distressed_s <= numbers.hold_s:
        pressing_mib = guest.actual_mib
    if history.distress_percent:
        # more than it was told last: a balloon that follows slowly must not hold the wish down
        pressing_mib = (max(guest.actual_mib, guest.target_mib)
                        + history.distress_percent / 100 * guest.flavor_mib)
    return pressing_mib


def _in_order(
    guest: GuestNow, need_mib: float, cushioned_mib: float, caches_mib: float, numbers: Thresholds
) -> Levels:
    most_mib = max(guest.most_mib, min(guest.actual_mib, need_mib))
    guarantee_mib = min(guest.guarantee_mib, guest.most_mib)
    idle_mib = max(0.0, guarantee_mib - max(need_mib, cushioned_mib))
    lent = numbers.lend_percent / 100 * (1 - guarantee_mib / max(1.0, guest.flavor_mib))
    floor_mib = max(numbers.floor_mib, numbers.floor_percent / 100 * guest.flavor_mib)
    kept_mib = min(most_mib, max(floor_mib, guarantee_mib - min(1.0, max(0.0, lent)) * idle_mib))
    need_mib = max(kept_mib, min(most_mib, need_mib))
    cached_mib = max(need_mib, min(most_mib, cushioned_mib + caches_mib))
    cushioned_mib = max(need_mib, min(most_mib, cushioned_mib))
    return Levels(kept_mib, need_mib, cushioned_mib, cached_mib, most_mib)
