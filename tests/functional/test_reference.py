# SPDX-License-Identifier: Apache-2.0
"""The command reference is what the commands print."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_reference_is_up_to_date(tmp_path: Path) -> None:
    # in a process of its own, whose logging the clients may change
    written = tmp_path / "index.rst"
    subprocess.run([sys.executable, ROOT / "tools/reference.py", written], check=True)
    assert (ROOT / "doc/source/cli/index.rst").read_text() == written.read_text(), (
        "run tools/reference.py")
