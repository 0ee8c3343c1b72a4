# SPDX-License-Identifier: Apache-2.0
"""Values in the output: words for people, plain numbers and null for programs."""

from typing import Any

from cliff.columns import FormattableColumn

from nova_qos.client import Saved
from nova_qos.core.resource import Resource
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE
from nova_qos.words import in_words


class Cell(FormattableColumn[Any]):
    """A value for programs and, where that is not how people read it, words; nothing is empty."""

    def __init__(self, value: object, words: str | None = None) -> None:
        super().__init__(value)
        self._words = words

    def human_readable(self) -> str:
        if self._words is not None:
            return self._words
        return "" if self._value is None else str(self._value)

    def __lt__(self, other: object) -> bool:
        # for --sort-column: what has no value comes last
        return isinstance(other, Cell) and self._order() < other._order()

    def _order(self) -> tuple[bool, Any]:
        return self._value is None, self._value or 0


def figure(name: str, value: object) -> Cell:
    """A value of the resource of that name; a newer cloud may have more than we know."""
    row = TABLE.get(name)
    if row is not None and value == UNLIMITED:
        return Cell(value, row.none_word)
    return Cell(value, str(in_words(value)) if isinstance(value, bool) else None)


def source(report: Saved) -> Cell:
    """Whose wish a value is; people also see a policy's revision. Older clouds do not say."""
    said, revision = report.get("source"), report.get("policy_revision")
    if said is None:
        return Cell(None, "-")
    return Cell(said, said if revision is None else f"{said} ({revision})")


def heading(row: Resource) -> str:
    """The resource as the title of a column."""
    return " ".join(f"{word[0].upper()}{word[1:]}" for word in row.title.split())
