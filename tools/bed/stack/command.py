# SPDX-License-Identifier: Apache-2.0
"""The command lines, run as a person runs them."""

import os
import re
import subprocess

from tools.bed.errors import TestbedError
from tools.bed.stack import tenants
from tools.bed.stack.layout import Layout

# What python-novaclient says of itself at every call.
_NOTICE = "nova CLI is deprecated and will be removed in a future release"


class Command:
    """``nova`` or ``openstack`` with the administrator's credentials."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._name = name
        self._program = layout.program(name)
        self._environment = {**os.environ, **tenants.credentials("admin"), "PYTHONPATH": ""}

    def show(self, *arguments: str) -> None:
        """Run a command, print it and its answer.

        :raises TestbedError: its exit status is not 0
        """
        print(f"$ {self._name} {' '.join(arguments)}", flush=True)
        for line in self._run(*arguments).splitlines():
            print(f"  {line}", flush=True)

    def number(self, field: str, *arguments: str) -> int:
        """The number that stands beside ``field`` in the table a command prints."""
        printed = self._run(*arguments)
        found = re.search(rf"\| {re.escape(field)} +\| (-?\d+)", printed)
        if not found:
            raise TestbedError(f"{self._name} {' '.join(arguments)} shows no {field}:\n{printed}")
        return int(found.group(1))

    def _run(self, *arguments: str) -> str:
        answer = subprocess.run(
            [self._program, *arguments], env=self._environment, capture_output=True, text=True)
        if answer.returncode:
            said = (answer.stdout + answer.stderr).replace(_NOTICE, "").strip()
            raise TestbedError(
                f"{self._name} {' '.join(arguments)} exited with {answer.returncode}: {said}")
        return answer.stdout.strip()
