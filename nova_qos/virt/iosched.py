# SPDX-License-Identifier: Apache-2.0
"""What divides a disk's device by weights: the I/O scheduler BFQ, or io.cost of cgroup v2."""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nova_qos.virt.definition import Disk

_DEVICES = Path("/sys/dev/block")
_ACTIVE = re.compile(r"\[([^\]]+)\]")
#: There with cgroup v2 only.
_IO_COST = Path("/sys/fs/cgroup/io.cost.qos")
Divider = Literal["bfq", "io.cost"]


def why_not_effective(disks: Iterable[Disk]) -> str | None:
    """Say why an I/O weight has no effect on these disks; None if it has an effect on all."""
    reasons = [reason for _, reason in map(_look, disks)]
    if not reasons:
        return "the server has no disk"
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None


def dividers(disks: Iterable[Disk]) -> set[Divider]:
    """What looks at weights for at least one of these disks."""
    return {divider for divider, _ in map(_look, disks) if divider}


def _look(disk: Disk) -> tuple[Divider | None, str | None]:
    """What divides the disk's device, or why nothing does."""
    if disk.path is None:
        return None, f"disk {disk.target} ({disk.kind}) is not on a block device of this host"
    try:
        device = device_below(disk.path)
    except OSError as error:
        return None, (
            f"the device below disk {disk.target} is unknown: {error.strerror}: {disk.path}")
    if device is None:
        return None, f"disk {disk.target} lies on a file system without a block device of its own"
    scheduler = _scheduler(device)
    if scheduler == "bfq":
        return "bfq", None
    if _has_io_cost(device):
        return "io.cost", None
    only = "bfq, or with io.cost" if _IO_COST.exists() else "bfq"
    return None, (
        f"device {device.name} below disk {disk.target} has I/O scheduler {scheduler}; "
        f"weights have an effect only under {only}")


def _has_io_cost(device: Path) -> bool:
    try:
        number = (device / "dev").read_text().strip()
        lines = [line.split() for line in _IO_COST.read_text().splitlines()]
    except OSError:
        return False
    return any(words[0] == number and "enable=1" in words for words in lines if words)


def device_below(path: str) -> Path | None:
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
