# SPDX-License-Identifier: Apache-2.0
"""Which tests a run selects: expressions in a file, as Tempest reads them."""

import re
from collections.abc import Collection
from pathlib import Path

_PLACE = Path(__file__).parent


def path_of(name: str) -> Path:
    """The file of a selection."""
    return _PLACE / f"{name}.txt"


def expressions(name: str) -> list[str]:
    """The expressions of a selection; a line that begins with # is a comment."""
    lines = path_of(name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def without_a_test(name: str, tests: Collection[str]) -> list[str]:
    """The expressions of a selection that none of these tests matches."""
    return [each for each in expressions(name)
            if not any(re.search(each, test) for test in tests)]
