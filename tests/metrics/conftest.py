# SPDX-License-Identifier: Apache-2.0
"""The programs of Debian's package prometheus."""

import os
import shutil
from pathlib import Path

import pytest

from tools.bed import packages

_PACKAGES = Path(packages.__file__).with_name("metrics.apt")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        wanted = " ".join(packages.read_list(_PACKAGES))
        # root gets them from tools/test.sh, so a skip would hide that they are missing
        (pytest.fail if os.geteuid() == 0 else pytest.skip)(
            f"there is no {name}: install {wanted}, or let tools/test.sh do it")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool."""
    return _program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The path of the server."""
    return _program("prometheus")
