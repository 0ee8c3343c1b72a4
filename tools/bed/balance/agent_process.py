# SPDX-License-Identifier: Apache-2.0
"""Starts and ends balancing as a process of its own, and reads what it wrote."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).parents[3]
_END_S = 60
#: Some lines of a journal.
_TAIL = 2**16


@dataclass
class Balancing:
    """A process of ``agent``, while it runs."""

    process: "subprocess.Popen[bytes]"
    asked: Path
    journal: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it wrote; the last line may be under way."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def last(self) -> dict[str, Any]:
        """What it said last; nothing before the first line."""
        if self.journal.exists():
            with self.journal.open("rb") as journal:
                journal.seek(max(0, journal.seek(0, os.SEEK_END) - _TAIL))
                # the first of these may have lost its beginning, the last may be under way
                for line in reversed(journal.read().decode().splitlines()):
                    with suppress(ValueError):
                        found: dict[str, Any] = json.loads(line)
                        return found
        return {"state": None, "reasons": [], "moves": 0, "plans": {}, "at_s": 0.0}

    def log(self) -> str:
        """The end of what it logged."""
        return self.asked.with_suffix(".log").read_text()[-2000:]

    def set(self, servers: Mapping[str, Mapping[str, int]]) -> None:
        """Give servers other settings."""
        new = self.asked.with_suffix(".new")
        new.write_text(json.dumps({**json.loads(self.asked.read_text()), "servers": servers}))
        new.replace(self.asked)
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()
        self.process.wait()


@contextmanager
def balancing(
    place: Path, name: str, uri: str, servers: Mapping[str, Mapping[str, int]], **options: Any
) -> Iterator[Balancing]:
    """Balance with these options; the log lies in ``NAME.log``."""
    place.mkdir(exist_ok=True)
    journal, asked = place / f"{name}.jsonl", place / f"{name}.json"
    asked.write_text(json.dumps(
        {"servers": servers, "uri": uri, "options": options, "journal": str(journal)}))
    with (place / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.bed.balance.agent", str(asked)], cwd=_REPOSITORY,
            stdout=log, stderr=log)
    try:
        yield Balancing(process, asked, journal)
    finally:
        process.terminate()
        process.wait(_END_S)
