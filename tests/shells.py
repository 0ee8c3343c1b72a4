# SPDX-License-Identifier: Apache-2.0
"""``openstack`` as a person types it, in this process."""

import logging
import warnings
from dataclasses import dataclass

import pytest
from openstackclient import shell


@dataclass(frozen=True)
class Ended:
    """What a command left: exit status and what it wrote."""

    status: int
    out: str
    err: str

    def rows(self) -> list[list[str]]:
        """The rows of a table, the titles first."""
        return [[cell.strip() for cell in line.split("|")[1:-1]]
                for line in self.out.splitlines() if line.startswith("|")]

    def error(self) -> str:
        """The one line that tells what is wrong; nothing else may have been written."""
        (line,) = self.err.splitlines()
        assert self.out.strip() == ""
        return line.strip()


class OpenStack:
    """The shell with the same options before every command."""

    def __init__(self, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        self._options, self._capsys = options, capsys

    def __call__(self, *words: str) -> Ended:
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        self._capsys.readouterr()
        try:
            with warnings.catch_warnings():
                status = shell.main([*self._options, *words])
        except SystemExit as left:
            # argparse, of words that are no command line
            status = int(str(left.code))
        finally:
            # the shell never takes its handlers away: its process ends
            root.handlers[:] = handlers
            root.setLevel(level)
        return Ended(status, *self._capsys.readouterr())

    def good(self, *words: str) -> Ended:
        """A command that succeeds."""
        ended = self("server", "qos", *words)
        assert (ended.status, ended.err) == (0, ""), ended
        return ended

    def bad(self, *words: str) -> Ended:
        """A command that fails, without a word too many."""
        ended = self("server", "qos", *words)
        assert ended.status == 1, ended
        assert "Traceback" not in ended.err
        return ended
