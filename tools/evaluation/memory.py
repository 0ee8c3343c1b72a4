# SPDX-License-Identifier: Apache-2.0
"""Memory moves from one running server to another, and back."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from tools.bed.stack.servers import Server
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, Site

_COMMAND = "lv-set-mem"
_START = (512, 512, 1024)
#: What the guests' consumers hold: user 1 does not use all that VM1 has.
_USED, _USED_BY_MORE = (128, 256, 256), 700
ACTUAL_EVERY_S, _RESIDENT_EVERY_S = 0.15, 0.5
_BEFORE_S, _AFTER_S, _SETTLE_S = 8, 6, 3


def perform(site: Site, out: Path) -> None:
    """Figure 5.2: of 512, 512 and 1024 MiB, 512 go from VM3 to VM2; and then back."""
    site.give(_COMMAND, _START)
    for server, used in zip(site.servers, _USED, strict=True):
        _occupy(site, server, used)
    recording = Recording(out / "memory")
    with recording.sampling("balloons", actual(site), ACTUAL_EVERY_S), \
            recording.sampling("processes", _resident(site), _RESIDENT_EVERY_S), \
            contextlib.ExitStack() as at_end:
        at_end.callback(site.each, lambda server: _occupy(site, server, 0))
        recording.hold("at first", _BEFORE_S, _due(512, 512, 1024))
        _move(site, recording, "VM3", 512, _due(512, 512, 512))
        _move(site, recording, "VM2", 1024, _due(512, 1024, 512))
        _occupy(site, site.servers[1], _USED_BY_MORE)
        recording.hold("VM2 uses it", _AFTER_S, _due(512, 1024, 512))
        _occupy(site, site.servers[1], _USED[1])
        recording.hold("VM2 uses it no more", _SETTLE_S, _due(512, 1024, 512))
        _move(site, recording, "VM2", 512, _due(512, 512, 512))
        _move(site, recording, "VM3", 1024, _due(512, 512, 1024))
    recording.save()


def _move(
    site: Site, recording: Recording, label: str, mib: int, due: Mapping[str, float]
) -> None:
    change = site.change(recording, _COMMAND, {label: mib})
    recording.hold(f"{label} has {mib} MiB", _SETTLE_S, due, change)


def _due(*mib: float) -> dict[str, float]:
    return dict(zip(LABELS, mib, strict=True))


def _occupy(site: Site, server: Server, mib: int) -> None:
    print(f"  {server.name} uses {mib} MiB (occupy-memory)", flush=True)
    server.inside(f"occupy-memory {mib}")


def actual(site: Site) -> Look:
    """The size of each server's balloon device, as virsh tells it."""
    script = "; ".join(f"dommemstat {server.uuid}" for server in site.servers)

    def look() -> Mapping[str, float]:
        found = re.findall(r"^actual (\d+)", site.libvirt.virsh(script), re.MULTILINE)
        return {f"{label}.actual_mib": int(kib) / 1024
                for label, kib in zip(LABELS, found, strict=True)}

    return look


def _resident(site: Site) -> Look:
    files = {label: Path(f"/proc/{site.observer.process(server.uuid)}/smaps_rollup")
             for label, server in site.labelled()}

    def look() -> Mapping[str, float]:
        return {f"{label}.pss_mib": _pss_kib(file) / 1024 for label, file in files.items()}

    return look


def _pss_kib(file: Path) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines()
                if line.startswith("Pss:"))
