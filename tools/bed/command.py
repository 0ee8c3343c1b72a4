# SPDX-License-Identifier: Apache-2.0
"""Run a program of this machine."""

import subprocess
from pathlib import Path

from .errors import TestbedError


def run(*command: str | Path) -> str:
    """What the program prints. Raises TestbedError when it fails."""
    words = [str(word) for word in command]
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode:
        raise TestbedError(f"{' '.join(words)[:200]}: {answer.stderr.strip()[-2000:]}")
    return answer.stdout
