# SPDX-License-Identifier: Apache-2.0
"""Which I/O scheduler serves a guest's disks: only BFQ looks at weights."""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from nova_qos.virt.definition import Disk

_DEVICES = Path("/sys/dev/block")
_ACTIVE = re.compile(r"\[([^\]]+)\]")


def why_not_effective(disks: Iterable[Disk]) -> str | None:
    """Say why an I/O weight does nothing for these disks; None when it acts on every one."""
    reasons = [_why_not(disk) for disk in disks]
    if not reasons:
        return "the server has no disk"
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


def _why_not(disk: Disk) -> str | None:
    if disk.path is None:
        return f"disk {disk.target} ({disk.kind}) is not on a block device of this host"
    try:
        device = _device_below(disk.path)
    except OSError as error:
        return f"the device below disk {disk.target} is unknown: {error.strerror}: {disk.path}"
    if device is None:
        return f"disk {disk.target} lies on a file system without a block device of its own"
    scheduler = _scheduler(device)
    if scheduler == "bfq":
        return None
    return (
        f"device {device.name} below disk {disk.target} has I/O scheduler {scheduler}; "
        "weights act under bfq only"
    )


def _device_below(path: str) -> Path | None:
    """The whole block device, in /sys, that holds a file or is the block device named."""
    status = os.stat(path)
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
    link = _DEVICES / f"{os.major(number)}:{os.minor(number)}"
    if not link.exists():
        return None
    device = link.resolve()
    return device.parent if (device / "partition").exists() else device


def _scheduler(device: Path) -> str:
    try:
        active = _ACTIVE.search((device / "queue" / "scheduler").read_text())
    except OSError:
        active = None
    return active[1] if active else "none"
