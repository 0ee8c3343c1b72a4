# SPDX-License-Identifier: Apache-2.0
"""The API's answers as people read them."""

from collections.abc import Mapping
from typing import NewType

from novaclient import exceptions, utils

from nova_qos import units
from nova_qos.model import UNLIMITED
from nova_qos.resources import Resource
from novaclient_qos import wording

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
        return f"{value} ({row.lifted})"
    unit = _read_unit(row)
    # "weight: 500 weight" would say it twice
    return value if key == unit else wording.with_unit(value, _UNITS.get(key, unit))


def value(answer: Answer, row: Resource) -> object:
    """The one value of a get's answer."""
    return _figure(row.key, answer.get(row.key), row)


def outcome(answer: Answer, row: Resource, body: Mapping[str, object]) -> str:
    """What became of a set, as one line's end.

    :raises CommandError: the guest has not followed
    """
    if answer.get("state") == "pending":
        return wording.saved(answer.get("reason"))
    requested = body[row.key]
    if answer.get("success") == 0:
        reached = wording.with_unit(answer.get("actual"), _read_unit(row))
        raise exceptions.CommandError(
            f"{wording.setting(row, requested)} asked for, {reached} reached: "
            f"{answer.get('reason')}")
    held = answer.get(row.key, requested)
    rounded = "" if held == requested else f" as {held}"
    return f"{wording.setting(row, requested)}, applied{rounded}"


def _read_unit(row: Resource) -> str:
    """Sizes are asked for in MiB and answered in KiB."""
    return row.unit if row.host_scale == 1 else {units.KIB_PER_MIB: "KiB"}[row.host_scale]
