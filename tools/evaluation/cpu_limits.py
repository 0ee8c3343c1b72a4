# SPDX-License-Identifier: Apache-2.0
"""CPU limits and guarantees: what a server never exceeds, and what it has however much its
neighbours weigh."""

import os
from pathlib import Path

from tools.bed import observer
from tools.evaluation.busy import computing, kept_on, look_at
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LeftOut, Site

_LIMIT, _GUARANTEE = "lv-set-cpu-limit", "lv-set-cpu-guarantee"
_PRIORITY = "lv-set-cpu-priority"
_EVERY_S = 0.05
#: Without its limit, VM1 would have eight tenths of the processor.
_HEAVY = (8192, 1024, 1024)
_LIMITS = (30, 60)
#: Without its guarantee, VM1 would have a seventeenth.
_LIGHT, _HEAVIER = (256, 2048, 2048), {"VM2": 16384}
_GUARANTEED = 100
_HOLD_S, _SETTLE_S = 12, 1


def perform(site: Site, out: Path) -> None:
    """A limit that changes; and a guarantee, beside a neighbour that comes to weigh more.

    :raises LeftOut: the host has no cgroup v1
    """
    if not observer.has_cgroup_v1():
        raise LeftOut("the cloud's own host has cgroup v2, where libvirt needs systemd")
    processor = max(os.sched_getaffinity(0))
    print(f"  all three servers are kept on processor {processor} (sched_setaffinity)", flush=True)
    site.clear()
    try:
        with kept_on(site, processor):
            look = look_at(site, processor)
            _limit(site, Recording(out / "cpu-limits"), look)
            site.clear()
            _guarantee(site, Recording(out / "cpu-guarantees"), look)
    finally:
        site.clear()


def _limit(site: Site, recording: Recording, look: Look) -> None:
    """Due are parts of the processor."""
    site.give(_PRIORITY, _HEAVY)
    with computing(site), recording.sampling("host", look, _EVERY_S):
        recording.hold("no limit", 3 * _SETTLE_S, {})
        for percent in _LIMITS:
            asked = site.change(recording, _LIMIT, {"VM1": percent})
            recording.hold(f"VM1 may have {percent} %", _HOLD_S, {"VM1": percent / 100}, asked)
    recording.save()


def _guarantee(site: Site, recording: Recording, look: Look) -> None:
    """Due is the part of what the servers have together that VM1 is guaranteed of all the host's
    processors; on the one processor it has at least as large a part."""
    part = _GUARANTEED / (100 * (os.cpu_count() or 1))
    site.give(_PRIORITY, _LIGHT)
    with computing(site), recording.sampling("host", look, _EVERY_S):
        recording.hold("no guarantee", 3 * _SETTLE_S, {})
        asked = site.change(recording, _GUARANTEE, {"VM1": _GUARANTEED})
        recording.hold("guaranteed", _HOLD_S, {"VM1": part}, asked)
        asked = site.change(recording, _PRIORITY, _HEAVIER)
        recording.hold("VM2 weighs eight times more", _HOLD_S, {"VM1": part}, asked)
    recording.save()
