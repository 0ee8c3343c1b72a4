# SPDX-License-Identifier: Apache-2.0
"""A guest's memory balloon as the guards of the memory settings see it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Balloon:
    """The state of a guest's memory balloon; sizes in KiB.

    ``alive`` when a driver in the guest answers, else ``reason`` says what is missing.
    ``usable_kib`` is what the guest could give without swapping. ``autodeflates``: a guest short
    of memory takes it back by itself. ``paused``: the guest does not run, so its balloon cannot
    move. ``due_s`` is 0 where the driver's last report counts; else the report is out of date, and
    that is the longest time, in seconds, until the next one. ``overdue``: the report is so old that
    nobody knows whether the driver still lives.
    """

    alive: bool
    reason: str | None
    actual_kib: int
    usable_kib: int
    autodeflates: bool = False
    paused: bool = False
    due_s: float = 0.0
    overdue: bool = False


@dataclass(frozen=True)
class Limits:
    """The operator's safety margin: memory left to a guest beyond its working set (KiB), and
    whether the caller overrules it."""

    reserve_kib: int
    force: bool = False
