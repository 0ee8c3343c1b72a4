# SPDX-License-Identifier: Apache-2.0
"""CPU shares: three servers that compute on one processor of their host."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.bed import observer
from tools.bed.stack.servers import Server
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, LeftOut, Site

_COMMAND = "lv-set-cpu-priority"
_EVERY_S = 0.05
_LONGEST_S = 300
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
    with _bound(site, processor):
        look = _look(site, processor)
        _take_turns(site, Recording(out / "cpu-turns"), look)
        _compete(site, Recording(out / "cpu-shares"), look)
        _burst(site, Recording(out / "cpu-bursts"), look)


def _take_turns(site: Site, recording: Recording, look: Look) -> None:
    """Figure 5.4: one at a time computes, all with the same shares."""
    site.give(_COMMAND, _SAME)
    with recording.sampling("host", look, _EVERY_S):
        for (label, server), shares in zip(site.labelled(), _SAME, strict=True):
            with _burning(site, server):
                recording.hold(f"{label} alone", _TURN_S, {label: shares})
    recording.save()


def _compete(site: Site, recording: Recording, look: Look) -> None:
    """Figure 5.5: all compute all the time; shares move, and move back."""
    site.give(_COMMAND, _START)
    with _computing(site), recording.sampling("host", look, _EVERY_S):
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
            at_end.enter_context(_burning(site, server))
            recording.hold(name, _BURST_S, _due(_BURSTS[:count]))
        for server, name, count in ((three, "VM3 has ended", 2), (two, "VM2 has ended", 1)):
            _stop(site, server)
            recording.hold(name, _BURST_S, _due(_BURSTS[:count]))
    recording.save()


def _due(shares: tuple[int, ...]) -> dict[str, float]:
    return dict(zip(LABELS, shares, strict=False))


def _look(site: Site, processor: int) -> Look:
    """Of each server its virtual CPU, and what it had with qemu's main thread, which its group
    divides with it."""
    threads = {label: _threads(site.observer.process(server.uuid))
               for label, server in site.labelled()}

    def look() -> Mapping[str, float]:
        seen = {"host.stolen_s": _stolen_s(processor)}
        for label, (virtual, main) in threads.items():
            (ran, waited), (ran_too, _) = _schedule_s(virtual), _schedule_s(main)
            seen[f"{label}.cpu_s"] = ran + ran_too
            seen[f"{label}.wanted_s"] = ran + waited
        return seen

    return look


def _schedule_s(thread: Path) -> tuple[float, float]:
    """For how long it ran, and waited to run (proc(5), schedstat)."""
    ran, waited, _ = (thread / "schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


def _threads(pid: int) -> tuple[Path, Path]:
    """The directories in /proc of the virtual CPU's thread and of the main one."""
    tasks = Path(f"/proc/{pid}/task")
    for task in tasks.iterdir():
        if (task / "comm").read_text().startswith("CPU 0/"):
            return task, tasks / str(pid)
    raise LeftOut(f"process {pid} has no thread for its virtual CPU")


def _stolen_s(processor: int) -> float:
    """How long the processor was somebody else's, as seen from a virtual machine."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines()
                if line.startswith(f"cpu{processor} "))
    return int(line.split()[8]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _bound(site: Site, processor: int) -> Iterator[None]:
    """A test arrangement: on one processor they have to compete."""
    everywhere = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    try:
        _bind(site, str(processor))
        yield
    finally:
        _bind(site, everywhere)


def _bind(site: Site, processors: str) -> None:
    for server in site.servers:
        site.libvirt.virsh("vcpupin", server.uuid, "0", processors, "--live")
        site.libvirt.virsh("emulatorpin", server.uuid, processors, "--live")


@contextlib.contextmanager
def _computing(site: Site) -> Iterator[None]:
    with contextlib.ExitStack() as at_end:
        for server in site.servers:
            at_end.enter_context(_burning(site, server))
        yield


@contextlib.contextmanager
def _burning(site: Site, server: Server) -> Iterator[None]:
    server.inside(
        f"burn-cpu {_LONGEST_S} </dev/null >/dev/null 2>&1 & echo $! > /tmp/burn.pid")
    try:
        yield
    finally:
        _stop(site, server)


def _stop(site: Site, server: Server) -> None:
    """Let it compute no more; one that has ended already is no matter."""
    server.inside("kill $(cat /tmp/burn.pid) 2>/dev/null; true")
