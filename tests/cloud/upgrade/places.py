# SPDX-License-Identifier: Apache-2.0
"""A host of the cloud on which another release of nova-qos is installed, and nowhere else."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from tests.cloud.overlay import Overlay
from tests.cloud.upgrade.releases import Release
from tools.bed.processes import Daemon
from tools.bed.stack.layout import Layout


class Place:
    """The cloud's Python environment and configuration, as one host has them; what is installed and
    written here, processes outside do not see."""

    def __init__(self, layout: Layout, scratch: Path) -> None:
        self._layout = layout
        self._files = Overlay(scratch, layout.state / "venv", layout.state / "etc")

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.__exit__(kind, error, trace)

    def install(self, release: Release) -> None:
        """Install it in place of the one that is there. What it depends on is there already: the
        demo installs that, and ``test_install_guide`` follows pip's commands as they are told."""
        self.succeed("pip", "install", "--quiet", "--force-reinstall", "--no-deps", "--no-index",
                     *map(str, release.packages))

    def configure(self, service: str, **texts: str) -> None:
        """Replace options (``name="old", to="new"``) in nova.conf of that service."""
        path = self._files.path(self._layout.etc(service) / "nova.conf")
        text = path.read_text()
        assert texts["name"] in text, texts["name"]
        path.write_text(text.replace(texts["name"], texts["to"]))

    def daemon(self, daemon: Daemon) -> Daemon:
        """The process as it runs here."""
        return replace(daemon, command=[*self._files.entering(), *daemon.command])

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment, to its end."""
        return self.begin(program, *arguments)()

    def begin(self, program: str, *arguments: str) -> "Running":
        """Run a program of the environment beside others; call what this returns for its end."""
        return Running(subprocess.Popen(
            [*self._files.entering(), self._layout.program(program), *arguments], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}))

    def succeed(self, program: str, *arguments: str) -> str:
        """What the program prints; it must succeed."""
        answer = self.run(program, *arguments)
        assert answer.returncode == 0, f"{program} {arguments}: {answer.stdout}{answer.stderr}"
        return answer.stdout


class Running:
    """A program that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self) -> "subprocess.CompletedProcess[str]":
        """Wait for its end."""
        printed, said = self._process.communicate()
        return subprocess.CompletedProcess(
            self._process.args, self._process.returncode, printed, said)
