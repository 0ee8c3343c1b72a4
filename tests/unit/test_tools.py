# SPDX-License-Identifier: Apache-2.0
"""The demo and the evaluation stand on the bed, and not on each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(module: Path) -> Iterator[str]:
    """The modules that a file imports, and the names it takes from them, with their packages."""
    here = module.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[:-node.level] if node.level else ()
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("room", "others"), [
    ("tools/bed", ("tools.demo", "tools.evaluation", "tests")),
    ("tools/demo", ("tools.evaluation", "tests")),
    ("tools/evaluation", ("tools.demo", "tests")),
    ("tests", ("tools.demo",)),
])
def test_nothing_leans_on_what_stands_beside_it(room: str, others: tuple[str, ...]) -> None:
    modules = list((ROOT / room).rglob("*.py"))
    assert modules
    wrong = [(str(module.relative_to(ROOT)), name) for module in modules
             for name in imported(module)
             if any(f"{name}.".startswith(f"{other}.") for other in others)]
    assert wrong == []


@pytest.mark.parametrize("of", [
    "import tools.demo.network", "from tools.demo import network", "from tools import demo",
    "from .. import demo", "from ..demo.network import perform",
])
def test_every_kind_of_import_is_seen(
    of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "tools/evaluation/module.py"
    module.parent.mkdir(parents=True)
    module.write_text(f"def later() -> None:\n    {of}\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert [f"{name}.".startswith("tools.demo.") for name in imported(module)] == [True]
