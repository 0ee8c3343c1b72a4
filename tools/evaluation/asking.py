# SPDX-License-Identifier: Apache-2.0
"""Commands, as a person types them, and what happens when."""

import subprocess
import tempfile
import time
from dataclasses import dataclass

from tools.bed.errors import TestbedError
from tools.bed.stack.command import Command


@dataclass(frozen=True)
class Asked:
    """Moments of ``time.monotonic()``: the command was typed, its last request to change something
    was sent to nova, nova had answered that, the command ended."""

    words: str
    typed: float
    sent: float
    answered: float
    ended: float


class TimedCommand(Command):
    """``nova`` or ``openstack``, which tell with ``--debug`` when they send and receive."""

    def ask(self, *arguments: str) -> Asked:
        """Run a command that changes something.

        :raises TestbedError: it failed, or it sent nothing
        """
        words = f"{self._name} {' '.join(arguments)}"
        print(f"  $ {words}", flush=True)
        with tempfile.TemporaryFile("w+") as output:
            typed = time.monotonic()
            process = subprocess.Popen(
                [self._program, "--debug", *arguments], env=self._environment,
                stdout=output, stderr=subprocess.PIPE, text=True)
            sent, answered, tail = _follow(process)
            ended = time.monotonic()
            output.seek(0)
            if process.returncode or not sent:
                raise TestbedError(f"{words} exited with {process.returncode}: "
                                 f"{output.read()}{''.join(tail)}")
        return Asked(words, typed, sent, answered, ended)

    def run(self, *arguments: str) -> None:
        """Run a command and look at nothing but whether it works.

        :raises TestbedError: it failed
        """
        self._run(*arguments)


def _follow(process: "subprocess.Popen[str]") -> tuple[float, float, list[str]]:
    """When the last action was sent and answered, and the last lines."""
    sent = answered = 0.0
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        if "REQ: " in line and "-X POST" in line and "/action" in line:
            sent, answered = time.monotonic(), 0.0
        elif "RESP: [" in line and sent and not answered:
            answered = time.monotonic()
        lines = [*lines[-20:], line]
    process.wait()
    return sent, answered, lines
