# SPDX-License-Identifier: Apache-2.0
"""How a guest fares, in numbers and in words."""

from typing import NamedTuple

from nova_qos.agent.balance.guests import GuestNow, History
from nova_qos.agent.balance.moves import Case
from nova_qos.agent.balance.thresholds import Thresholds


class Standing(NamedTuple):
    """How a guest fares. ``wish_mib`` is where the plan is heading, ``lent_mib`` what of its
    guarantee is lent to others, ``lacking_mib`` what it has less than it needs with its cushion."""

    wish_mib: float
    lent_mib: float
    lacking_mib: float
    #: It uses its own swap, or did so a moment ago.
    distressed: bool
    #: It took memory back, and keeps that for a time.
    holds: bool
    #: Its balloon does not follow.
    stuck: bool
    #: Its statistics are old.
    stale: bool
    #: One sentence for operators.
    why: str


def untouched(now_s: float, guest: GuestNow, history: History, numbers: Thresholds) -> Standing:
    """How a guest of a calm host fares."""
    return Standing(guest.most_mib, 0.0, 0.0, *_flags(now_s, history, numbers), "host calm")


def balanced(now_s: float, case: Case, numbers: Thresholds) -> Standing:
    """How a guest of a tense host fares."""
    now = case.now
    lent_mib = max(0.0, min(now.guarantee_mib, now.most_mib) - case.wish_mib)
    lacking_mib = max(0.0, case.levels.cushioned_mib - now.actual_mib)
    if case.spare_mib > numbers.exact_mib:
        why = f"gives {case.spare_mib:.0f} MiB to servers in need"
    elif -case.spare_mib > numbers.exact_mib:
        why = f"gets {-case.spare_mib:.0f} MiB more"
    else:
        why = "keeps what it has"
    if lent_mib > numbers.exact_mib:
        why = f"is to have {case.wish_mib:.0f} MiB, {lent_mib:.0f} of its guarantee are lent"
    return Standing(case.wish_mib, lent_mib, lacking_mib,
                    *_flags(now_s, case.history, numbers), f"host tense: {why}")


def _flags(now_s: float, history: History, numbers: Thresholds) -> tuple[bool, bool, bool, bool]:
    return (now_s - history.distressed_s <= numbers.hold_s, now_s <= history.held_until_s,
            history.is_stuck, history.is_stale)
