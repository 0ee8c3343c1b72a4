# SPDX-License-Identifier: Apache-2.0
"""What a guest does with its memory, as its balloon's driver and QEMU report it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guest:
    """The figures of a guest whose balloon can move. All that the guest itself reports may be
    wrong or missing (0): a guest can say what it likes.

    Sizes are in KiB: ``actual_kib`` is the balloon's size as the host has it; ``resident_kib`` what
    the host holds of the guest in memory; ``usable_kib``, ``caches_kib`` and the counter
    ``swapped_in_kib`` are of the guest's last report, as the counter ``major_faults`` is, which
    came ``age_s`` ago. ``read_bytes`` counts what it has read from its disks. Reports come each
    ``period_s``. ``reported`` tells one report from another. ``paused``: it does not run now, so
    that its balloon cannot move.
    """

    actual_kib: int
    resident_kib: int
    usable_kib: int
    caches_kib: int
    swapped_in_kib: int
    major_faults: int
    read_bytes: int
    age_s: float
    reported: int
    period_s: int
    paused: bool = False
