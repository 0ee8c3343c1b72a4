# SPDX-License-Identifier: Apache-2.0
"""What import-linter cannot say: it knows only whole packages of others, and nova is one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "nova_qos"
ROOMS = [PACKAGE / "store.py", *sorted((PACKAGE / "agent").glob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, and every name that may be one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.name)
def test_no_nova_api_below_the_api(path: Path) -> None:
    assert [name for name in imported(path) if (name + ".").startswith("nova.api.")] == []


def test_the_api_itself_would_be_caught() -> None:
    assert "nova.api.validation" in set(imported(PACKAGE / "api" / "actions.py"))
