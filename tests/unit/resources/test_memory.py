# SPDX-License-Identifier: Apache-2.0
"""What guards a guest's memory; sizes in KiB."""

from dataclasses import replace

import pytest

from nova_qos.core import errors
from nova_qos.core.balloon import Balloon, Limits
from nova_qos.core.reading import Reading
from nova_qos.resources.memory import MEMORY, guard

BALLOON = Balloon(True, None, actual_kib=512 * 1024, usable_kib=300 * 1024)
LIMITS = Limits(reserve_kib=50 * 1024)
#: What the guest uses, and the reserve.
LOWEST = 262 * 1024


def test_what_the_guest_can_spare_is_taken() -> None:
    for memory_kib in (LOWEST, BALLOON.actual_kib, BALLOON.actual_kib + 1):
        guard(BALLOON, memory_kib, LIMITS)


def test_what_the_guest_uses_is_not_taken() -> None:
    words = "261 MiB is less than the guest needs; the lowest safe value now is 262 MiB"
    with pytest.raises(errors.UnsafeMemory, match=words):
        guard(BALLOON, LOWEST - 1, LIMITS)
    guard(BALLOON, LOWEST - 1, replace(LIMITS, force=True))


def test_a_guest_that_uses_all_of_it_keeps_what_it_has() -> None:
    full = replace(BALLOON, usable_kib=0)
    guard(full, full.actual_kib, LIMITS)
    with pytest.raises(errors.UnsafeMemory):
        guard(full, full.actual_kib - 1, LIMITS)


def test_without_reports_only_the_present_size_is_accepted_unless_forced() -> None:
    silent = replace(BALLOON, alive=False, reason="no driver", usable_kib=0)
    guard(silent, silent.actual_kib, LIMITS)
    for memory_kib in (LOWEST, silent.actual_kib + 1):
        with pytest.raises(errors.NoBalloon, match="no driver"):
            guard(silent, memory_kib, LIMITS)
        guard(silent, memory_kib, replace(LIMITS, force=True))


def test_a_paused_guest_cannot_move() -> None:
    with pytest.raises(errors.ServerNotRunning, match="paused"):
        guard(replace(BALLOON, paused=True), BALLOON.actual_kib, replace(LIMITS, force=True))


def test_before_the_guest_has_reported_it_is_too_early() -> None:
    owing = replace(BALLOON, due_s=4.2)
    with pytest.raises(errors.TooEarly, match="within 4 s") as caught:
        guard(owing, LOWEST, LIMITS)
    assert caught.value.due_s == 4.2
    guard(owing, owing.actual_kib + 1, LIMITS)
    guard(owing, LOWEST, replace(LIMITS, force=True))


def test_a_guest_that_deflates_by_itself_takes_back_what_it_gave() -> None:
    assert MEMORY.follow is not None
    retaken, reading = MEMORY.follow.retaken, Reading(400)
    assert retaken(replace(BALLOON, autodeflates=True), reading, 300)
    assert not retaken(replace(BALLOON, autodeflates=True), reading, 400)
    assert not retaken(BALLOON, reading, 300)


def test_the_answer_to_a_set_tells_whether_the_guest_followed() -> None:
    assert MEMORY.answer_set(Reading(1)) == {"success": 1}
    late = Reading(1, unmet="pending", reason="slow")
    assert MEMORY.answer_set(late) == {"success": 0, "actual": 1, "reason": "slow"}
