# SPDX-License-Identifier: Apache-2.0
"""Running other programs, with their own words when they fail."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.bed.errors import TestbedError


def run(*command: str | Path, env: Mapping[str, str] | None = None, feed: str = "") -> str:
    """What the program prints.

    :raises TestbedError: it exited with another status than 0
    """
    words = [str(word) for word in command]
    answer = subprocess.run(
        words, env={**os.environ, **(env or {})}, input=feed, text=True, capture_output=True)
    if answer.returncode:
        tail = "\n".join((answer.stdout + answer.stderr).strip().splitlines()[-15:])
        raise TestbedError(f"{' '.join(words)[:300]}\nexited with {answer.returncode}:\n{tail}")
    return answer.stdout


def try_run(*command: str | Path) -> bool:
    """Whether the program succeeded; for taking away what may be gone already."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True).returncode == 0
