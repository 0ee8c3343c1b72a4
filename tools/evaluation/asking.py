# SPDX-License-Identifier: Apache-2.0
"""Commands, as a person types them, and what happens when."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tools.bed.errors import TestbedError
from tools.bed.stack.command import Command

# an action of one server, a change of several, or a change of a policy
_CHANGE = re.compile(r"REQ: .*-X (?:POST|PUT) .*(?:/action|/os-qos)")


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
            assert process.stderr is not None
            sent, answered, tail = follow(process.stderr)
            process.wait()
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


def follow(said: Iterable[str]) -> tuple[float, float, list[str]]:
    """When the last request to change something was sent and answered, 0 for never, and the last
    lines; of a program that says this with ``--debug``."""
    sent = answered = 0.0
    lines: list[str] = []
    for line in said:
        if _CHANGE.search(line):
            sent, answered = time.monotonic(), 0.0
        elif "RESP: [" in line and sent and not answered:
            answered = time.monotonic()
        lines = [*lines[-20:], line]
    return sent, answered, lines
