# SPDX-License-Identifier: Apache-2.0
"""CPU shares: three servers that compute on one processor of their host."""

import contextlib
import os
from pathlib import Path

from tools.bed import observer
from tools.evaluation.busy import bound, burning, computing, look_at, stop
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, LeftOut, Site

_COMMAND = "lv-set-cpu-priority"
_EVERY_S = 0.05
_SAME = (1024, 1024, 1024)
_START, _MOVED, _BURSTS = (1024, 1024, 2048), {"VM3": 1024, "VM2": 2048}, (100, 500, 1000)
_BACK = {"VM2": 1024, "VM3": 2048}
_HOLD_S, _BURST_S, _TURN_S, _SETTLE_S = 20, 10, 6, 1


def perform(site: Site, out: Path) -> None:
    """Figures 5.4, 5.5 and 5.6.

    :raises LeftOut: the host has no cgroup v1
    """
    if not observer.has_cgroup_v1():
        raise LeftOut("the cloud's own host has cgroup v2, where libvirt needs systemd")
    processor = max(os.sched_getaffinity(0))
    print(f"  all three servers are bound to processor {processor} (virsh vcpupin)", flush=True)
    with bound(site, processor):
        look = look_at(site, processor)
        _take_turns(site, Recording(out / "cpu-turns"), look)
        _compete(site, Recording(out / "cpu-shares"), look)
        _burst(site, Recording(out / "cpu-bursts"), look)


def _take_turns(site: Site, recording: Recording, look: Look) -> None:
    """Figure 5.4: one at a time computes, all with the same shares."""
    site.give(_COMMAND, _SAME)
    with recording.sampling("host", look, _EVERY_S):
        for (label, server), shares in zip(site.labelled(), _SAME, strict=True):
            with burning(site, server):
                recording.hold(f"{label} alone", _TURN_S, {label: shares})
    recording.save()


def _compete(site: Site, recording: Recording, look: Look) -> None:
    """Figure 5.5: all compute all the time; shares move, and move back."""
    site.give(_COMMAND, _START)
    with computing(site), recording.sampling("host", look, _EVERY_S):
        recording.hold("start", _SETTLE_S, {})
        recording.hold("at first", _HOLD_S, _due(_START))
        moved = site.change(recording, _COMMAND, _MOVED)
        recording.hold("after the change", _HOLD_S, {"VM1": 1024, "VM2": 2048, "VM3": 1024}, moved)
        back = site.change(recording, _COMMAND, _BACK)
        recording.hold("and back", _HOLD_S, _due(_START), back)
    recording.save()


def _burst(site: Site, recording: Recording, look: Look) -> None:
    """Figure 5.6: one after the other begins to compute, and ends."""
    site.give(_COMMAND, _BURSTS)
    one, two, three = site.servers
    with recording.sampling("host", look, _EVERY_S), contextlib.ExitStack() as at_end:
        recording.hold("nobody", _SETTLE_S, {})
        for server, name, count in (
                (one, "VM1 alone", 1), (two, "VM2 as well", 2), (three, "VM3 as well", 3)):
            at_end.enter_context(burning(site, server))
            recording.hold(name, _BURST_S, _due(_BURSTS[:count]))
        for server, name, count in ((three, "VM3 has ended", 2), (two, "VM2 has ended", 1)):
            stop(site, server)
            recording.hold(name, _BURST_S, _due(_BURSTS[:count]))
    recording.save()


def _due(shares: tuple[int, ...]) -> dict[str, float]:
    return dict(zip(LABELS, shares, strict=False))
