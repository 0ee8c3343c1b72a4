# SPDX-License-Identifier: Apache-2.0
"""I/O weights: three servers that write to one slow disk, each to a part of its own."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.bed import observer
from tools.bed.errors import TestbedError
from tools.bed.processes import wait_until
from tools.bed.slowdisk import SlowDisk
from tools.bed.stack.servers import Server
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, LeftOut, Site
from tools.evaluation.sizes import JOB_MIB, RATE_MIB

_COMMAND = "lv-set-io-priority"
_EVERY_S = 0.2
_DEVICE = "vdb"
_START, _MOVED = (500, 500, 1000), {"VM3": 300, "VM2": 900}
_AFTER = (500, 900, 300)
_HOLD_S, _SETTLE_S, _TIMEOUT_S = 15, 2, 10
_JOB_S = 3 * JOB_MIB / RATE_MIB
_WRITERS = 8
# as the guests' burn-io: several at once, large requests; to a device without a file system. A
# shell that calls a function itself would keep its own output open, and the caller waiting
_WRITE = """\
: > /tmp/writing
writer() {{
    while [ -e /tmp/writing ]; do
        dd if=/dev/zero of=/dev/{device} bs=256k seek=$(($1 * {count})) count={count} \\
            oflag=direct conv=notrunc 2>/dev/null
        {once}
    done
}}
for number in {numbers}; do ( writer $number ) </dev/null >/dev/null 2>&1 & done
"""


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
            _attached(site, disk):
        _write_job(site, out / "disk-start", _START)
        _change(site, Recording(out / "disk-change"))
        _write_job(site, out / "disk-moved", _AFTER)


def _write_job(site: Site, directory: Path, weights: Sequence[int]) -> None:
    """Figure 5.7: each writes as much, and the heavier ends first."""
    site.give(_COMMAND, weights)
    recording = Recording(directory)
    with recording.sampling("host", _look(site), _EVERY_S), _writing(site, once=True):
        recording.hold("all write", 1.2 * _JOB_S, _due(weights))
    recording.save()


def _change(site: Site, recording: Recording) -> None:
    """The weights of figure 5.7a become those of figure 5.7b under way."""
    with recording.sampling("host", _look(site), _EVERY_S), _writing(site, once=False):
        recording.hold("start", _SETTLE_S, {})
        recording.hold("at first", _HOLD_S, _due(_START))
        moved = site.change(recording, _COMMAND, _MOVED)
        recording.hold("after the change", _HOLD_S, _due(_AFTER), moved)
    recording.save()


def _due(weights: Sequence[int]) -> dict[str, float]:
    return dict(zip(LABELS, weights, strict=True))


def _look(site: Site) -> Look:
    """What has been written since now, as virsh tells."""
    script = "; ".join(f"domblkstat {server.uuid} {_DEVICE}" for server in site.servers)

    def written_mib() -> list[float]:
        printed = site.libvirt.virsh(script)
        return [int(found) / 2**20 for found in re.findall(r"wr_bytes (\d+)", printed)]

    before = written_mib()

    def look() -> Mapping[str, float]:
        return {f"{label}.written_mib": now - then
                for label, now, then in zip(LABELS, written_mib(), before, strict=True)}

    return look


@contextlib.contextmanager
def _writing(site: Site, once: bool) -> Iterator[None]:
    """All servers write, ``JOB_MIB`` or without end."""
    script = _WRITE.format(
        device=_DEVICE, count=JOB_MIB * 4 // _WRITERS, once="break" if once else ":",
        numbers=" ".join(map(str, range(_WRITERS))))
    site.each(lambda server: server.inside(script))
    try:
        yield
    finally:
        site.each(lambda server: server.inside(
            "rm -f /tmp/writing; killall dd 2> /dev/null; "
            "while pidof dd > /dev/null; do usleep 200000; done"))


@contextlib.contextmanager
def _attached(site: Site, disk: SlowDisk) -> Iterator[None]:
    """A part of the slow disk for each server."""
    with contextlib.ExitStack() as at_end:
        for server, part in zip(site.servers, disk.parts, strict=True):
            site.libvirt.virsh(
                "attach-disk", server.uuid, str(part), _DEVICE, "--live", "--sourcetype", "block",
                "--driver", "qemu", "--subdriver", "raw", "--cache", "none")
            at_end.callback(_detach, site, server)
        for server in site.servers:
            server.inside(
                f"until [ -b /dev/{_DEVICE} ]; do usleep 100000; done")
        yield


def _detach(site: Site, server: Server) -> None:
    """Take the part away; the guest may take its time to let go of it."""
    site.libvirt.virsh("detach-disk", server.uuid, _DEVICE, "--live")
    if not wait_until(
            lambda: _DEVICE not in site.libvirt.virsh("domblklist", server.uuid), _TIMEOUT_S):
        raise TestbedError(f"{server.name} does not let go of {_DEVICE}")
