# SPDX-License-Identifier: Apache-2.0
"""Processes that outlive the service that started them: name servers, helpers, port mappers."""

import contextlib
import os
import signal
from pathlib import Path

from tools.bed.processes import wait_until
from tools.bed.stack.layout import Layout

_MARK = "NOVA_QOS_DEMO_OWNER"
_GRACE_S = 5.0


def mark(layout: Layout) -> None:
    """Let all processes started from here on be known as this cloud's, with their children."""
    os.environ[_MARK] = _owner(layout)


def end(layout: Layout) -> None:
    """End every process of this cloud, whoever its parent was."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _pids(layout):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_until(lambda: not _pids(layout), _GRACE_S):
            return


def _owner(layout: Layout) -> str:
    # The path alone would also mean the same place in a container or a chroot on this machine.
    layout.state.mkdir(parents=True, exist_ok=True)
    place = layout.state.stat()
    return f"{place.st_dev}:{place.st_ino}:{layout.state}"


def _pids(layout: Layout) -> list[int]:
    wanted = f"{_MARK}={_owner(layout)}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            # a process may end while one looks at it
            with contextlib.suppress(OSError):
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.append(int(process.name))
    return found
