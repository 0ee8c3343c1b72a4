# SPDX-License-Identifier: Apache-2.0
"""What divides a disk's devices by weights: the I/O scheduler BFQ, or io.cost of cgroup v2."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nova_qos.virt.definition import Disk
from nova_qos.virt.lookups import Answer, Lookups, Silence

_BLOCK = Path("/sys/block")
_DEVICES = Path("/sys/dev/block")
_ACTIVE = re.compile(r"\[([^\]]+)\]")
#: There with cgroup v2 only.
_IO_COST = Path("/sys/fs/cgroup/io.cost.qos")
#: An NVMe namespace; one with several paths passes its requests on to devices like nvme0c1n1.
_NVME = re.compile(r"(nvme\d+)(n\d+)")
Divider = Literal["bfq", "io.cost"]
_ANY: tuple[Divider, ...] = ("bfq", "io.cost")
#: For all threads, so that only one waits for a path.
_LOOKUPS = Lookups()


@dataclass(frozen=True)
class Division:
    """How I/O weights divide the disks of a server.

    ``dividers`` is what looks at weights, for at least one device below; all that might, where a
    device is not known. ``why_not`` says why weights do not have an effect on every disk; None if
    they have. ``undivided`` are the devices, in /sys, that do not look at weights.
    """

    dividers: frozenset[Divider]
    why_not: str | None
    undivided: tuple[Path, ...]


@dataclass(frozen=True)
class _Part:
    """One device below a disk, or one disk without: what divides it, or why nothing does."""

    dividers: tuple[Divider, ...] = ()
    why_not: str | None = None
    device: Path | None = None


def look(disks: Iterable[Disk]) -> Division:
    """Look at the devices that take these disks' requests; a file system that does not answer is
    waited for, for a second."""
    disks = tuple(disks)
    answers = _LOOKUPS.devices(disk.path for disk in disks if disk.path is not None)
    parts = [part for disk in disks for part in _parts(disk, answers.get(disk.path or ""))]
    if not parts:
        return Division(frozenset(), "the server has no disk", ())
    reasons = dict.fromkeys(part.why_not for part in parts if part.why_not)
    return Division(
        frozenset(divider for part in parts for divider in part.dividers),
        "; ".join(reasons) or None,
        tuple(dict.fromkeys(part.device for part in parts if part.device)))


def offered(device: Path) -> str:
    """The schedulers that a device offers, the active one in brackets; "" where it schedules
    nothing itself."""
    try:
        text = (device / "queue" / "scheduler").read_text().strip()
    except OSError:
        return ""
    # older kernels say "none" of those
    return text if _ACTIVE.search(text) else ""


def _parts(disk: Disk, answer: Answer | None) -> list[_Part]:
    if answer is None:
        return [_Part(
            why_not=f"disk {disk.target} ({disk.kind}) is not on a block device of this host")]
    if isinstance(answer, Silence):
        return [_Part(_ANY, f"disk {disk.target}: its file system does not answer, since "
                            f"{answer.for_s:.0f} s")]
    if isinstance(answer, OSError):
        return [_Part(_ANY, f"the device below disk {disk.target} is unknown: {answer.strerror}: "
                            f"{disk.path}")]
    link = _DEVICES / answer
    if not link.exists():
        return [_Part(why_not=f"disk {disk.target} lies on a file system without a block device "
                              "of its own")]
    return [_part(disk, each) for each in _scheduling(_whole(link.resolve()))]


def _part(disk: Disk, device: Path) -> _Part:
    active = _ACTIVE.search(offered(device))
    scheduler = active[1] if active else "none"
    if scheduler == "bfq":
        return _Part(("bfq",))
    if _has_io_cost(device):
        return _Part(("io.cost",))
    only = "bfq, or with io.cost" if _IO_COST.exists() else "bfq"
    return _Part(device=device, why_not=(
        f"device {device.name} below disk {disk.target} has I/O scheduler {scheduler}; "
        f"weights have an effect only under {only}"))


def _has_io_cost(device: Path) -> bool:
    try:
        number = (device / "dev").read_text().strip()
        lines = [line.split() for line in _IO_COST.read_text().splitlines()]
    except OSError:
        return False
    return any(words[0] == number and "enable=1" in words for words in lines if words)


def _whole(device: Path) -> Path:
    return device.parent if (device / "partition").exists() else device


def _scheduling(device: Path) -> list[Path]:
    """The devices that schedule what is sent to a device: itself, or those below it."""
    below = [leaf for each in _below(device) for leaf in _scheduling(each)]
    return list(dict.fromkeys(below)) or [device]


def _below(device: Path) -> list[Path]:
    """The devices that a device passes its requests on to, as those of LVM, LUKS, md, bcache and
    NVMe multipath do.

    None below one with a scheduler of its own, such as dm-multipath: what it passes on is
    scheduled already.
    """
    if offered(device):
        return []
    links = sorted((device / "slaves").glob("*"))
    if head := _NVME.fullmatch(device.name):
        links += sorted(_BLOCK.glob(f"{head[1]}c*{head[2]}"))
    return [_whole(link.resolve()) for link in links]
