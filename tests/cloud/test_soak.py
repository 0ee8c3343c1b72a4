# SPDX-License-Identifier: Apache-2.0
"""A short soak; a long one: ``python -m tests.soak --minutes 5``.

Its seed is its own, and new ones find new things; where NOVA_QOS_TEST_SIZE says "reduced", it is
always the same, so that a change is blamed only for what it has changed, and it takes a quarter
of a minute instead of three.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REDUCED = os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced"
SIZE = ["--minutes", "0.25", "--seed", "219489"] if REDUCED else ["--minutes", "0.75"]


def test_nothing_differs_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.soak", *SIZE],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=560)
    *_, counted = (line for line in answer.stdout.splitlines() if line.startswith("seed "))
    with capsys.disabled():
        print(f"\n  {' '.join(SIZE)}: {counted}")
    assert answer.returncode == 0, answer.stdout[-20000:] + answer.stderr
