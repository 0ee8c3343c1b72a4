# SPDX-License-Identifier: Apache-2.0
"""A short soak; a long one: ``python -m tests.soak --minutes 5``.

Its seed is its own, and new ones find new things; where NOVA_QOS_TEST_SIZE says "reduced", it is
always the same, so that a change is blamed only for what it has changed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEED = ["--seed", "219489"] if os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced" else []


def test_nothing_differs_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--minutes", "0.75", *SEED],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=560)
    *_, counted = (line for line in answer.stdout.splitlines() if line.startswith("seed "))
    with capsys.disabled():
        print(f"\n  {counted}")
    assert answer.returncode == 0, answer.stdout[-20000:] + answer.stderr
