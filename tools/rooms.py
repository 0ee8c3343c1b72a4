# SPDX-License-Identifier: Apache-2.0
"""Holds what each room may import: ``python -m tools.rooms`` prints every other import.

The allow-lists stand in pyproject.toml, [tool.rooms]. The standard library and the room itself are
always allowed; an import that no list allows fails, whatever it is. Names of modules are prefixes:
``nova.objects`` allows ``nova.objects.fields``, too.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
Rooms = Mapping[str, Sequence[str]]


def allowed(root: Path = ROOT) -> Rooms:
    """The modules that each room may import, by the room's own name."""
    with (root / "pyproject.toml").open("rb") as file:
        rooms: Rooms = tomllib.load(file)["tool"]["rooms"]
    return rooms


def violations(module: str, source: str, rooms: Rooms) -> list[str]:
    """The imports of a module that its room does not allow; a module of no room has no right to
    import anything of its own."""
    room = room_of(module, rooms)
    rights = (*rooms.get(room or "", ()), *([room] if room else []))
    return [name for name in imported(source)
            if not any(_is_below(name, right) for right in rights)]


def room_of(module: str, rooms: Rooms) -> str | None:
    """The room that a module lies in: the longest name that it begins with."""
    return max((room for room in rooms if _is_below(module, room)), key=len, default=None)


def imported(source: str) -> Iterator[str]:
    """Everything from outside the standard library that a module imports, with the names that are
    taken from it, since one of them may be a module."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [f"relative import of {node.module}"]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names
                    if name.partition(".")[0] not in sys.stdlib_module_names)


def modules(root: Path = ROOT) -> Iterator[tuple[str, Path]]:
    """Every module of ours with its file."""
    for package in ("nova_qos", "novaclient_qos", "hooks/nova_qos_hooks",
                    "nova_qos_dashboard/nova_qos_dashboard"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to((root / package).parent).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path


def main() -> int:
    """Print every import that is not allowed.

    :returns: the exit status: 1 where there is one
    """
    rooms, found = allowed(), 0
    for module, path in modules():
        for name in violations(module, path.read_text(), rooms):
            print(f"{path.relative_to(ROOT)}: {room_of(module, rooms) or 'a file of no room'} "
                  f"may not import {name}")
            found += 1
    return 1 if found else 0


def _is_below(name: str, prefix: str) -> bool:
    return f"{name}.".startswith(f"{prefix}.")


if __name__ == "__main__":
    sys.exit(main())
