# SPDX-License-Identifier: Apache-2.0
"""What nova-qos requires: requirements.txt for everybody, setup.cfg's extras for the hosts."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def requirements() -> list[str]:
    """Every requirement, in lower case, each once."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    for extra in setup["extras"].values():
        lines += extra.splitlines()
    return sorted({line.lower() for line in lines if line and not line.startswith("#")})
