# SPDX-License-Identifier: Apache-2.0
"""The reference of all server actions, as the table and the rules tell it.

``python tools/rest_reference.py`` writes ``doc/source/rest/actions.rst``; a test compares it.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from nova_qos.core.desired import target
from nova_qos.core.reading import Reading
from nova_qos.core.report import report
from nova_qos.core.resource import Resource
from nova_qos.core.server import Flavor
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import ASSIGN_RULE, BALLOON, GET_ALL, MEMORY, SET_ALL, TABLE

PAGE = Path(__file__).parents[1] / "doc/source/rest/actions.rst"
_FLAVOR = Flavor(memory_mib=512)
_HEAD = """\
Server actions
==============

Each is ``POST /servers/{server_id}/action``. The examples are of a server whose flavor has 512 MiB.
Written by ``tools/rest_reference.py``.
"""
_RANGE = re.compile(r"\[\s+(\d+),\s+(\d+)\s+\]")
_POLICY = ("policy", "string or null",
           "the name or id of a named policy; ``none``: no policy is to reach the server; null: "
           f"those of its flavor and project, and the default one. Rule: ``{ASSIGN_RULE}``.")
_FORCE = ("force", "boolean, optional", "take the memory even where the guest cannot spare it.")


def page() -> str:
    """The page as it is to be."""
    parts = [_HEAD]
    for row in TABLE.values():
        parts += [*_get(row), *_set(row)]
    return "\n".join([*parts, *_balloon(), *_get_all(), *_set_all()])


def policy_values() -> str:
    """The values that a policy may have for each resource, as doc/source/rest/policies.rst has
    them."""
    rows = [(row.name, _kind(row), _in_policies(row)) for row in TABLE.values()]
    lines = _fields(rows, head=("resource", "type", "values")).splitlines()
    return "\n".join(
        wrapped for line in lines for wrapped in textwrap.wrap(
            line, 100, subsequent_indent=" " * 7, break_on_hyphens=False) or [""])


def _in_policies(row: Resource) -> str:
    words = row.describe(field=row.name).partition(": ")[2].removesuffix(".")
    words = words.replace(" to lift it", " for none")
    if row.relative is None:
        return f"{words}."
    return f"{words}; or, as a string, " + row.relative.words.replace('"', "``") + "."


def _get(row: Resource) -> Iterator[str]:
    yield _headed(row.names.get_action)
    yield f"Shows a server's {row.title} as its host holds it.\n"
    yield f"Rule: ``{row.names.get_rule}``.\n"
    yield _example("Request", {row.names.get_action: None})
    unit = f", in {row.unit.host_name}" if row.unit.scale != 1 else ""
    none = f"; {UNLIMITED} stands for {row.none_word}" if row.value.is_reset(UNLIMITED) else ""
    yield _example(f"Answer{unit}{none}", row.answer_get(_reading(row)))


def _set(row: Resource) -> Iterator[str]:
    yield _headed(row.names.set_action)
    yield f"Sets a server's {row.title}. Rule: ``{row.names.set_rule}``.\n"
    fields = [(row.names.key, _kind(row), row.describe().partition(": ")[2])]
    yield _fields(fields + ([_FORCE] if row.forceable else []))
    yield _example("Request", {row.names.set_action: {row.names.key: _shown(row)}})
    yield _example("Answer", row.answer_set(_reading(row)))
    if row.follow:
        late = Reading(_reading(row).applied, unmet="pending", reason="...")
        yield _example("Answer, 200 as well, while the guest is on its way there, with what it has "
                       "by now", row.answer_set(late))


def _balloon() -> Iterator[str]:
    yield _headed(BALLOON)
    yield ("Tells whether a guest can give and take memory, by what its balloon driver has\n"
           "reported: false also while a report is overdue. The answer never waits for the guest.\n"
           f"Rule: ``{MEMORY.names.get_rule}``.\n")
    yield _example("Request", {BALLOON: None})
    yield _example("Answer", {"ballooning_enabled": True})


def _get_all() -> Iterator[str]:
    yield _headed(GET_ALL)
    yield "Shows every resource at once. Rules: those to get each of them.\n"
    yield _example("Request", {GET_ALL: None})
    yield _example("Answer", _untouched())


def _set_all() -> Iterator[str]:
    yield _headed(SET_ALL)
    yield ("Sets or unsets any of them: all that are named, or none. Rules: those to set what is "
           "named.\n")
    fields = [(row.name, f"{_kind(row)} or null",
               row.describe(field=row.name).partition(": ")[2]) for row in TABLE.values()]
    yield _fields([*fields, _POLICY, _FORCE])
    yield _example("Request; null unsets", {SET_ALL: {
        row.name: None if row is MEMORY else _shown(row) for row in TABLE.values()}})
    yield f"Answer: as ``{GET_ALL}``.\n"


def _untouched() -> dict[str, object]:
    targets = {name: target(row, _FLAVOR, None) for name, row in TABLE.items()}
    return {name: report(row, targets[name], _FLAVOR, Reading(targets[name].host_value))
            for name, row in TABLE.items()}


def _value(row: Resource) -> int:
    """One that stands for all: the default where that is a value."""
    default = row.default.of(_FLAVOR)
    return max(row.value.range_of(_FLAVOR)[0], 64) if default == UNLIMITED else default


def _shown(row: Resource) -> object:
    return row.value.shown(_value(row))


def _kind(row: Resource) -> str:
    kinds = row.value.schema["type"]
    return str(kinds[0] if isinstance(kinds, list) else kinds)


def _reading(row: Resource) -> Reading:
    # a balloon reports more figures; no other resource shows any
    return Reading(row.unit.to_host(_value(row)), details={"usable": 262144})


def _headed(title: str) -> str:
    return f"{title}\n{'-' * len(title)}\n"


def _fields(
    fields: list[tuple[str, str, str]],
    head: tuple[str, str, str] = ("field", "type", "meaning"),
) -> str:
    title = ".. list-table::\n   :header-rows: 1\n\n"
    rows = [head, *((f"``{name}``", kind, text[0].upper() + text[1:])
                                            for name, kind, text in fields)]
    return title + "".join(
        f"   * - {name}\n     - {kind}\n     - {text}\n" for name, kind, text in rows)


def _example(title: str, value: object) -> str:
    text = json.dumps(value)
    if len(text) > 90:
        text = _RANGE.sub(r"[\1, \2]", json.dumps(value, indent=2))
    return f"{title}::\n\n{textwrap.indent(text, '    ')}\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
