# SPDX-License-Identifier: Apache-2.0
"""Disks that servers have for a while, guests that write to them, and what has been written."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.processes import wait_until
from tools.bed.slowdisk import SlowDisk
from tools.bed.stack.servers import Server
from tools.evaluation.recording import Look
from tools.evaluation.site import LABELS, Site

_TIMEOUT_S = 10
# To a device without a file system. A shell that calls a function itself would keep its own output
# open, and the caller waiting
_WRITE = """\
: > /tmp/writing
writer() {{
    while [ -e /tmp/writing ]; do
        dd if=/dev/zero of=/dev/$2 bs={block}k seek=$(($1 * {blocks})) count={blocks} \\
            oflag=direct conv=notrunc 2>/dev/null
        {once}
    done
}}
for device in {devices}; do
    for number in {numbers}; do ( writer $number $device ) </dev/null >/dev/null 2>&1 & done
done
"""


@contextlib.contextmanager
def writing(
    site: Site, devices: Sequence[str], *, writers: int, block_kib: int, blocks: int,
    once: bool = False,
) -> Iterator[None]:
    """All guests write to each of their devices; each writer so many blocks, past the page cache,
    once or again and again."""
    script = _WRITE.format(
        devices=" ".join(devices), block=block_kib, blocks=blocks, once="break" if once else ":",
        numbers=" ".join(map(str, range(writers))))
    site.each(lambda server: server.inside(script))
    try:
        yield
    finally:
        site.each(lambda server: server.inside(
            "rm -f /tmp/writing; killall dd 2> /dev/null; "
            "while pidof dd > /dev/null; do usleep 200000; done"))


@contextlib.contextmanager
def attached(site: Site, disk: SlowDisk, devices: Sequence[str]) -> Iterator[None]:
    """A part of the slow disk for each device of each server."""
    with contextlib.ExitStack() as at_end:
        places = ((server, device) for server in site.servers for device in devices)
        for (server, device), part in zip(places, disk.parts, strict=True):
            _attach(site, server, device, part)
            at_end.callback(_detach, site, server, device)
        for server in site.servers:
            for device in devices:
                server.inside(f"until [ -b /dev/{device} ]; do usleep 100000; done")
        yield


def look_at(site: Site, devices: Sequence[str]) -> Look:
    """What has been written since now, and in how many requests, as virsh tells."""
    script = "; ".join(f"domblkstat {server.uuid} {device}"
                       for server in site.servers for device in devices)

    def written() -> Mapping[str, float]:
        printed = site.libvirt.virsh(script)
        seen: dict[str, float] = {}
        for quantity, name, unit in ("written_mib", "wr_bytes", 2**20), ("requests", "wr_req", 1):
            counts = [int(found) / unit for found in re.findall(rf"{name} (\d+)", printed)]
            for number, label in enumerate(LABELS):
                first = number * len(devices)
                seen[f"{label}.{quantity}"] = sum(counts[first:first + len(devices)])
        return seen

    before = written()
    return lambda: {name: now - before[name] for name, now in written().items()}


def _attach(site: Site, server: Server, device: str, part: Path) -> None:
    site.libvirt.virsh(
        "attach-disk", server.uuid, str(part), device, "--live", "--sourcetype", "block",
        "--driver", "qemu", "--subdriver", "raw", "--cache", "none")


def _detach(site: Site, server: Server, device: str) -> None:
    """Take the part away; the guest may take its time to let go of it."""
    site.libvirt.virsh("detach-disk", server.uuid, device, "--live")
    if not wait_until(
            lambda: device not in site.libvirt.virsh("domblklist", server.uuid), _TIMEOUT_S):
        raise TestbedError(f"{server.name} does not let go of {device}")
