# SPDX-License-Identifier: Apache-2.0
"""Which balloons to change now, on the way to the sizes that the guests are to get."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nova_qos.agent.balance.guests import GuestNow, History
from nova_qos.agent.balance.levels import Levels
from nova_qos.agent.balance.thresholds import Thresholds


@dataclass(slots=True)
class Case:
    """One guest at one look: its figures, and the size that it is to get."""

    name: str
    now: GuestNow
    history: History
    levels: Levels
    wish_mib: float
    #: What it has less than its cushioned need, as far as it is to get that.
    lacking_mib: float = field(init=False)
    #: What it has more than it is to get.
    spare_mib: float = field(init=False)
    #: What its balloon is told now; None: nothing.
    target_mib: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        actual_mib = self.now.actual_mib
        self.lacking_mib = min(self.wish_mib, self.levels.cushioned_mib) - actual_mib
        self.spare_mib = actual_mib - self.wish_mib


def move(
    cases: Sequence[Case], room_mib: float, free_mib: float, now_s: float, numbers: Thresholds
) -> None:
    """Set the targets of guests whose balloons are to change now.

    :param free_mib: what balloons may be deflated into now; negative where even what is to stay
        free is in use
    """
    _take(cases, room_mib, free_mib, now_s, numbers)
    _give(cases, max(0.0, free_mib), now_s, numbers)


def _take(
    cases: Sequence[Case], room_mib: float, free_mib: float, now_s: float, numbers: Thresholds
) -> None:
    """Inflate balloons: for guests that lack more than is free, and where all guests together have
    more than the room."""
    called_mib = -max(0.0, free_mib) + sum(
        case.lacking_mib for case in cases if case.lacking_mib > numbers.exact_mib)
    excess_mib = sum(case.now.actual_mib for case in cases) - room_mib
    if called_mib <= 0 and excess_mib <= 0:
        return
    donors = [case for case in cases if case.spare_mib > numbers.exact_mib]
    # those with the most to spare for their weight first
    donors.sort(key=lambda case: (-case.spare_mib / max(1.0, case.now.weight), case.name))
    left_alone = []
    for case in donors:
        if called_mib > 0 or (excess_mib > 0 and case.spare_mib > _band_mib(case, numbers)):
            called_mib -= _inflate(case, now_s, numbers)
        else:
            left_alone.append(case)
    # to leave small differences alone saves guests from losing pages for nothing, but those of many
    # guests together can be more than the reserve
    urgent_mib = min(excess_mib, -free_mib)
    for case in left_alone:
        if urgent_mib <= 0:
            break
        urgent_mib -= _inflate(case, now_s, numbers)


def _inflate(case: Case, now_s: float, numbers: Thresholds) -> float:
    less_mib = min(case.spare_mib, max(
        numbers.shrink_percent / 100 * case.now.flavor_mib,
        # what its user no longer allows is not the balancer's to hold back
        case.now.actual_mib - case.levels.most_mib))
    case.target_mib = case.now.actual_mib - less_mib
    case.history.shrunk_s = now_s
    return less_mib


def _give(cases: Sequence[Case], free_mib: float, now_s: float, numbers: Thresholds) -> None:
    """Deflate balloons into what is free: guarantees first, then bare needs, then the rest."""
    growing = [case for case in cases if case.wish_mib > case.now.actual_mib]
    growing.sort(key=lambda case: (-case.now.weight, case.name))
    given_mib = dict.fromkeys((case.name for case in growing), 0.0)
    for want in (_to_kept, _to_need, _to_wish):
        for case in growing:
            more_mib = min(free_mib, want(case, given_mib[case.name], now_s, numbers))
            if more_mib > 0:
                given_mib[case.name] += more_mib
                free_mib -= more_mib
    for case in growing:
        size_mib = case.now.actual_mib + given_mib[case.name]
        empties = case.now.actual_mib < case.now.most_mib - 1 <= size_mib
        if given_mib[case.name] > numbers.exact_mib or empties:
            case.target_mib = size_mib


def _to_kept(case: Case, given_mib: float, now_s: float, numbers: Thresholds) -> float:
    return min(case.wish_mib, case.levels.kept_mib) - case.now.actual_mib - given_mib


def _to_need(case: Case, given_mib: float, now_s: float, numbers: Thresholds) -> float:
    return min(case.wish_mib, case.levels.need_mib) - case.now.actual_mib - given_mib


def _to_wish(case: Case, given_mib: float, now_s: float, numbers: Thresholds) -> float:
    """What is left of the wish: at once as far as the guest lacks it, else slowly, and only where
    that is worth a change. To empty a balloon always is: the host is not calm before."""
    more_mib = case.wish_mib - case.now.actual_mib - given_mib
    is_small = more_mib < numbers.band_percent / 100 * case.now.flavor_mib
    if case.lacking_mib <= 0 and (
            now_s - case.history.shrunk_s < numbers.hold_s
            or (is_small and case.wish_mib < case.now.most_mib)):
        return 0.0
    # some percent of a small guest are less than balloons are exact to
    step_mib = max(numbers.unasked_percent / 100 * case.now.flavor_mib, 2 * numbers.exact_mib)
    return min(more_mib, max(case.lacking_mib - given_mib, step_mib))


def _band_mib(case: Case, numbers: Thresholds) -> float:
    return max(numbers.band_mib, numbers.band_percent / 100 * case.now.flavor_mib)
