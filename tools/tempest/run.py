# SPDX-License-Identifier: Apache-2.0
"""Runs of Tempest, each in a directory of its own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack import config
from tools.bed.stack.config import Sections
from tools.tempest import outcomes, selection

# more would wait for each other: every server starts on one host, under emulation
_CONCURRENCY = 2
_PROGRAM = Path(sys.executable).with_name("tempest")


@dataclass(frozen=True)
class Run:
    """A selection of tests with a configuration."""

    place: Path
    selection: str
    program: Path = _PROGRAM

    def perform(self, sections: Sections) -> dict[str, outcomes.Result]:
        """What the tests came to; the directory then has Tempest's log and stream.

        :raises TestbedError: Tempest ran none
        """
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        conf = config.write(self.place / "tempest.conf", sections)
        conf.chmod(0o600)
        said = self.place / "output.log"
        with self._stream.open("wb") as out, said.open("wb") as err:
            # the exit status says no more than the stream
            subprocess.run(
                self._command(conf), cwd=self.place, env=_environment(), stdin=subprocess.DEVNULL,
                stdout=out, stderr=err)
        if not (found := self._read()):
            raise TestbedError(f"Tempest ran no test: see {said}")
        self._ended.touch()
        return found

    def kept(self) -> dict[str, outcomes.Result]:
        """What the tests came to the last time; nothing unless that run has ended."""
        return self._read() if self._ended.exists() else {}

    @property
    def _stream(self) -> Path:
        return self.place / "tests.subunit"

    @property
    def _ended(self) -> Path:
        return self.place / "ended"

    def _read(self) -> dict[str, outcomes.Result]:
        with self._stream.open("rb") as file:
            return outcomes.read(file)

    def _command(self, conf: Path) -> list[str]:
        return [str(self.program), "run", "--subunit",
                "--config-file", str(conf), "--concurrency", str(_CONCURRENCY),
                "--include-list", str(selection.path_of(self.selection))]


def _environment() -> dict[str, str]:
    # another cloud's configuration is not to be found
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("OS_", "TEMPEST_"))}
