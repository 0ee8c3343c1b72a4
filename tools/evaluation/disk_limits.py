# SPDX-License-Identifier: Apache-2.0
"""Disk limits: three servers that each write to two disks, as much as their limits let them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.bed.slowdisk import SlowDisk
from tools.evaluation.disks import attached, look_at, writing
from tools.evaluation.recording import Recording
from tools.evaluation.site import LABELS, Site

_RATE, _REQUESTS = "lv-set-io-rate-limit", "lv-set-io-limit"
_EVERY_S = 0.2
_DEVICES = ("vdb", "vdc")
#: Far more than the limits together.
_DISK_MIB = 128
_KIB = 1024
#: In MiB/s, and in requests/s: at first, and what two of them have later.
_RATES, _RATES_LATER = (8, 4, 2), {"VM1": 2, "VM3": 8}
_COUNTS, _COUNTS_LATER = (200, 100, 50), {"VM1": 50, "VM3": 200}
_HOLD_S, _SETTLE_S = 10, 2
#: Of each writer; it does not get there.
_BLOCKS = 65536


def perform(site: Site, out: Path) -> None:
    """Limits of bytes, and then of requests, each changed while all write."""
    place = site.layout.state / "evaluation-disk"
    site.clear()
    parts = len(site.servers) * len(_DEVICES)
    print("  two disks are attached to each server (virsh attach-disk)", flush=True)
    try:
        with SlowDisk(place, parts, rate_mib=_DISK_MIB, divides=False) as disk, \
                attached(site, disk, _DEVICES):
            _limit(site, Recording(out / "disk-rates"), _RATE, _RATES, _RATES_LATER, unit=_KIB)
            site.clear()
            _limit(site, Recording(out / "disk-requests"), _REQUESTS, _COUNTS, _COUNTS_LATER)
    finally:
        site.clear()


def _limit(
    site: Site, recording: Recording, command: str, first: Sequence[int],
    later: Mapping[str, int], unit: int = 1,
) -> None:
    site.give(command, [value * unit for value in first])
    due: dict[str, float] = dict(zip(LABELS, first, strict=True))
    block_kib = 64 if unit > 1 else 4
    with writing(site, _DEVICES, writers=4, block_kib=block_kib, blocks=_BLOCKS), \
            recording.sampling("host", look_at(site, _DEVICES), _EVERY_S):
        recording.hold("start", _SETTLE_S, {})
        recording.hold("at first", _HOLD_S, due)
        asked = site.change(
            recording, command, {label: value * unit for label, value in later.items()})
        recording.hold("after the change", _HOLD_S, {**due, **later}, asked)
    recording.save()
