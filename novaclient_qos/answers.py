# SPDX-License-Identifier: Apache-2.0
"""The API's answers as people read them."""

from collections.abc import Mapping
from typing import NewType

from novaclient import exceptions, utils

from nova_qos import words
from nova_qos.core.resource import Resource
from nova_qos.core.units import UNLIMITED

Answer = NewType("Answer", Mapping[str, object])

#: Figures of a balloon that are no sizes: everything else is in KiB.
_UNITS = {
    "last_update": "s since 1970",
    "major_fault": "faults",
    "minor_fault": "faults",
    "hugetlb_pgalloc": "pages",
    "hugetlb_pgfail": "pages",
}


def show(answer: Answer, row: Resource | None = None) -> None:
    """Print a get's answer as a table, each number with its unit."""
    utils.print_dict({key: _figure(key, value, row) for key, value in answer.items()})


def _figure(key: str, value: object, row: Resource | None) -> object:
    if row is None:
        return value
    if value == UNLIMITED:
        return f"{value} ({row.none_word})"
    unit = row.unit.host_name
    # "weight: 500 weight" would say it twice
    if key == unit:
        return words.in_words(value)
    return words.with_unit(value, _UNITS.get(key, unit))


def value(answer: Answer, row: Resource) -> object:
    """The one value of a get's answer."""
    return _figure(row.names.key, answer.get(row.names.key), row)


def outcome(answer: Answer, row: Resource, body: Mapping[str, object]) -> str:
    """What became of a set, as one line's end.

    :raises CommandError: the guest has not followed
    """
    if answer.get("state") == "pending":
        return words.saved(answer.get("reason"))
    requested = body[row.names.key]
    if answer.get("success") == 0:
        reached = words.with_unit(answer.get("actual"), row.unit.host_name)
        raise exceptions.CommandError(
            f"{words.setting(row, requested)} requested, {reached} reached: "
            f"{answer.get('reason')}")
    held = answer.get(row.names.key, requested)
    rounded = "" if held == requested else f" as {words.in_words(held)}"
    return f"{words.setting(row, requested)}, applied{rounded}"
