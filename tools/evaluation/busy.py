# SPDX-License-Identifier: Apache-2.0
"""Guests that compute, bound to one processor of their host, and the CPU time that they have."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.bed.stack.servers import Server
from tools.evaluation.recording import Look
from tools.evaluation.site import LeftOut, Site

_LONGEST_S = 300


@contextlib.contextmanager
def bound(site: Site, processor: int) -> Iterator[None]:
    """A test arrangement: on one processor they have to compete."""
    everywhere = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    try:
        _bind(site, str(processor))
        yield
    finally:
        _bind(site, everywhere)


@contextlib.contextmanager
def kept_on(site: Site, processor: int) -> Iterator[None]:
    """The same without libvirt: a server that libvirt binds to one processor is taken for one with
    a dedicated CPU, which is guaranteed nothing."""
    everywhere = os.sched_getaffinity(0)
    try:
        _keep(site, {processor})
        yield
    finally:
        _keep(site, everywhere)


def _keep(site: Site, processors: set[int]) -> None:
    for server in site.servers:
        for task in Path(f"/proc/{site.observer.process(server.uuid)}/task").iterdir():
            # a thread that only did some I/O may have ended meanwhile
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), processors)


def _bind(site: Site, processors: str) -> None:
    for server in site.servers:
        site.libvirt.virsh("vcpupin", server.uuid, "0", processors, "--live")
        site.libvirt.virsh("emulatorpin", server.uuid, processors, "--live")


@contextlib.contextmanager
def computing(site: Site) -> Iterator[None]:
    """All three compute."""
    with contextlib.ExitStack() as at_end:
        for server in site.servers:
            at_end.enter_context(burning(site, server))
        yield


@contextlib.contextmanager
def burning(site: Site, server: Server) -> Iterator[None]:
    """One of them computes."""
    server.inside(
        f"burn-cpu {_LONGEST_S} </dev/null >/dev/null 2>&1 & echo $! > /tmp/burn.pid")
    try:
        yield
    finally:
        stop(site, server)


def stop(site: Site, server: Server) -> None:
    """Let it compute no more; one that has ended already is no matter."""
    server.inside("kill $(cat /tmp/burn.pid) 2>/dev/null; true")


def look_at(site: Site, processor: int) -> Look:
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
