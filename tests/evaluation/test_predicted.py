# SPDX-License-Identifier: Apache-2.0
"""What the model predicts for the play that is measured on real guests."""

from tools.bed.balance.model.predicted import Moment, predicted
from tools.bed.balance.plays import FULL
from tools.bed.balance.site import OPTIONS

_AT_REST_MIB, _BUDGET_MIB = 750.0, 1600.0


def _resident_mib(moment: Moment) -> float:
    return sum(moment.resident_mib.values())


def test_balanced_guests_keep_to_what_they_may_have_together() -> None:
    moments = predicted(FULL.parts, FULL.pace, 150, _AT_REST_MIB, _BUDGET_MIB, OPTIONS)
    assert max(map(_resident_mib, moments)) < _BUDGET_MIB
    assert moments[-1].in_mib == 0
    assert len({tuple(moment.actual_mib.values()) for moment in moments}) > 2


def test_without_balancing_the_host_swaps_and_no_balloon_moves() -> None:
    moments = predicted(FULL.parts, FULL.pace, 150, _AT_REST_MIB, _BUDGET_MIB, None)
    assert moments[-1].swapped_mib > 100
    assert moments[-1].in_mib > 100
    assert {mib for moment in moments for mib in moment.actual_mib.values()} == {
        part.memory_mib for part in FULL.parts}
