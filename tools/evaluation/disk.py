# SPDX-License-Identifier: Apache-2.0
"""I/O weights: three servers that write to one slow disk, each to a part of its own."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tools.bed import observer
from tools.bed.slowdisk import SlowDisk
from tools.evaluation.disks import attached, look_at, writing
from tools.evaluation.recording import Recording
from tools.evaluation.site import LABELS, LeftOut, Site
from tools.evaluation.sizes import JOB_MIB, RATE_MIB

_COMMAND = "lv-set-io-priority"
_EVERY_S = 0.2
_DEVICES = ("vdb",)
_START, _MOVED = (500, 500, 1000), {"VM3": 300, "VM2": 900}
_AFTER = (500, 900, 300)
_HOLD_S, _SETTLE_S = 15, 2
_JOB_S = 3 * JOB_MIB / RATE_MIB
_WRITERS = 8


def perform(site: Site, out: Path) -> None:
    """Both jobs, and a change of weights while all write.

    :raises LeftOut: the host has no cgroup v1
    """
    if not observer.has_cgroup_v1():
        raise LeftOut("the cloud's own host has cgroup v2, where libvirt needs systemd")
    place = site.layout.state / "evaluation-disk"
    print(f"  a disk of {RATE_MIB} MiB/s with bfq, a part of it attached to each server "
          "(virsh attach-disk)", flush=True)
    with SlowDisk(place, parts=len(site.servers), rate_mib=RATE_MIB) as disk, \
            attached(site, disk, _DEVICES):
        _write_job(site, out / "disk-start", _START)
        _change(site, Recording(out / "disk-change"))
        _write_job(site, out / "disk-moved", _AFTER)


def _write_job(site: Site, directory: Path, weights: Sequence[int]) -> None:
    """Figure 5.7: each writes as much, and the heavier ends first."""
    site.give(_COMMAND, weights)
    recording = Recording(directory)
    with recording.sampling("host", look_at(site, _DEVICES), _EVERY_S), _writing(site, once=True):
        recording.hold("all write", 1.2 * _JOB_S, _due(weights))
    recording.save()


def _change(site: Site, recording: Recording) -> None:
    """The weights of figure 5.7a become those of figure 5.7b under way."""
    with recording.sampling("host", look_at(site, _DEVICES), _EVERY_S), _writing(site, once=False):
        recording.hold("start", _SETTLE_S, {})
        recording.hold("at first", _HOLD_S, _due(_START))
        moved = site.change(recording, _COMMAND, _MOVED)
        recording.hold("after the change", _HOLD_S, _due(_AFTER), moved)
    recording.save()


def _due(weights: Sequence[int]) -> dict[str, float]:
    return dict(zip(LABELS, weights, strict=True))


def _writing(site: Site, once: bool) -> AbstractContextManager[None]:
    """All servers write, ``JOB_MIB`` or without end; as the guests' burn-io, several at once and
    large requests."""
    return writing(site, _DEVICES, writers=_WRITERS, block_kib=256,
                   blocks=JOB_MIB * 4 // _WRITERS, once=once)
