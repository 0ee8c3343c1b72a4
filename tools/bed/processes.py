# SPDX-License-Identifier: Apache-2.0
"""Daemons without an init system: started, waited for, recognised and stopped by pid."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError

_POLL_S = 0.05
_TAIL_LINES = 20
_children: dict[int, "subprocess.Popen[bytes]"] = {}


def wait_until(
    condition: Callable[[], bool], timeout_s: float, poll_s: float = _POLL_S
) -> bool:
    """Poll ``condition`` until it holds (True) or ``timeout_s`` seconds have passed (False)."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


@dataclass(frozen=True)
class Daemon:
    """A program that stays in the foreground, with ``NAME.pid`` and ``NAME.log`` in ``state``.

    ``ready`` says whether it serves; it is polled for at most ``ready_timeout_s``.
    """

    name: str
    command: Sequence[str]
    state: Path
    ready: Callable[[], bool] = lambda: True
    ready_timeout_s: float = 30
    stop_timeout_s: float = 15
    environment: Mapping[str, str] | None = None
    directory: Path | None = None

    @property
    def pid_file(self) -> Path:
        return self.state / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        return self.state / f"{self.name}.log"

    def pid(self) -> int | None:
        """Return the pid of the process that was started here, None when it has ended.

        A pid that the kernel has given to another process meanwhile is not ours.
        """
        try:
            pid, started = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def start(self) -> bool:
        """Start it and wait until it is ready; return False when it was running already.

        Raises TestbedError, with the end of the log, when it ends early or is not ready in time;
        it is stopped then.
        """
        running = self.pid() is not None
        if not running:
            self._spawn()
        if wait_until(lambda: self.pid() is None or self.ready(), self.ready_timeout_s):
            if self.pid() is not None:
                return not running
            raise self._failure("ended early")
        failure = self._failure(f"is not ready after {self.ready_timeout_s:g} s")
        self.stop()
        raise failure

    def stop(self) -> bool:
        """End it (SIGTERM, then SIGKILL to its process group); return False when it was not up."""
        pid = self.pid()
        if pid is not None:
            _signal(os.kill, pid, signal.SIGTERM)
            if not wait_until(lambda: self.pid() is None, self.stop_timeout_s):
                _signal(os.killpg, pid, signal.SIGKILL)
                wait_until(lambda: self.pid() is None, self.stop_timeout_s)
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    def weigh(self, niceness: int) -> None:
        """Have its session weighed so beside all others, where the kernel schedules by sessions;
        as nice(1) counts, from -20 to 19."""
        def is_written() -> bool:
            try:
                Path(f"/proc/{self.pid()}/autogroup").write_text(f"{niceness}\n")
            except BlockingIOError:
                # without CAP_SYS_ADMIN: one of the whole machine in a tenth of a second
                return False
            except OSError:
                pass
            return True

        wait_until(is_written, 2)

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def _spawn(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.environment} if self.environment else None
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.directory,
                start_new_session=True,
            )
        _children[child.pid] = child
        self.pid_file.write_text(f"{child.pid} {_start_time(child.pid)}\n")
        # as nice as this process, of whose session it no longer is
        self.weigh(os.getpriority(os.PRIO_PROCESS, 0))

    def _failure(self, what: str) -> TestbedError:
        return TestbedError(f"{self.name} {what}; end of {self.log_file}:\n{self.log_tail()}")


def _start_time(pid: int) -> str | None:
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    try:
        # The command's name stands in parentheses and may itself hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _signal(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        send(pid, number)
