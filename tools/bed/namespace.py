# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of our own."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from pyroute2 import netns

from .errors import TestbedError

_NAME = re.compile(r"nova-qos-(\d+)-[0-9a-f]+-\w+")
_Child = subprocess.Popen[str]


class Namespace:
    """A network namespace with a name of its own; ``remove`` ends what was started in it."""

    def __init__(self, label: str) -> None:
        self.name = f"nova-qos-{os.getpid()}-{secrets.token_hex(3)}-{label}"
        self._started: list[_Child] = []
        _run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def run(self, *command: str, text: str = "") -> str:
        """Run a command inside, ``text`` on its input; return its output or raise TestbedError."""
        return _run("ip", "netns", "exec", self.name, *command, text=text)

    def ip(self, *lines: str) -> None:
        """Run lines of ``ip``'s own language in one process. Raises TestbedError."""
        _run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    def start(self, *command: str, output: IO[str] | int = subprocess.DEVNULL) -> _Child:
        """Start a command inside and return at once; ``output`` is for both of its outputs."""
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(child)
        return child

    @contextlib.contextmanager
    def monitor(self, *command: str) -> Iterator[Callable[[], str]]:
        """Run a command that reports events inside; the yielded function tells what it has said."""
        with tempfile.TemporaryFile("w+") as output:
            child = self.start(*command, output=output)

            def said() -> str:
                output.seek(0)
                return output.read()

            try:
                yield said
            finally:
                child.kill()
                child.wait()

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Let the calling thread, with what it starts, act inside."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            netns.setns(self.name, flags=0)
            yield
        finally:
            netns.setns(before)
            os.close(before)

    def remove(self) -> None:
        for child in self._started:
            child.kill()
            child.wait()
        _run("ip", "netns", "delete", self.name)


def remove_leftovers() -> None:
    """Take away what runs that were killed have left behind, with the processes in there. Several
    processes may do so at once."""
    for name in _names():
        owner = _NAME.fullmatch(name)
        if owner and not os.path.exists(f"/proc/{owner[1]}"):
            try:
                _remove_with_processes(name)
            except TestbedError:
                if name in _names():
                    raise  # nobody else took it away either


def _names() -> list[str]:
    return [line.split()[0] for line in _run("ip", "netns", "list").splitlines()]


def _remove_with_processes(name: str) -> None:
    for pid in _run("ip", "netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _run("ip", "netns", "delete", name)


def _run(*command: str, text: str = "") -> str:
    answer = subprocess.run(command, input=text, capture_output=True, text=True)
    if answer.returncode:
        raise TestbedError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout
