# SPDX-License-Identifier: Apache-2.0
"""What the tests of every row share: a flavor, and values on and beyond each range's edges."""

from collections.abc import Iterator

import pytest

from nova_qos.core.resource import Default, Names, Resource
from nova_qos.core.server import Flavor
from nova_qos.core.units import Unit
from nova_qos.core.value import Number, Switch
from nova_qos.resources import TABLE

FLAVOR = Flavor(memory_mib=512)

#: What is no setting for any resource, whatever its range.
NONSENSE = [
    True, False, 1.5, float("nan"), float("inf"), float("-inf"), "", " ", "-", "--5", "+5", "5 ",
    "1.5", "1e3", "0x10", "ten", "nan", "\u0665\u0660\u0660", "9" * 400, 10**400, -(10**400), 1e308,
    [], [200], {}, {"value": 200}, b"200",
]

#: A row of the kind that the table does not have yet.
SWITCH = Resource(
    name="trial_switch",
    title="trial switch",
    names=Names(
        get_action="get-trial-switch",
        set_action="set-trial-switch",
        key="trial",
        get_rule="os_compute_api:os-qos:trial_switch:get",
        set_rule="os_compute_api:os-qos:trial_switch:set",
        get_command="lv-get-trial-switch",
        set_command="lv-set-trial-switch",
        option="--trial-switch",
        argument="on|off",
        stored_as="qos:trial",
    ),
    unit=Unit("trial", "trial"),
    value=Switch(),
    default=Default(lambda flavor: 1, "on"),
    knob="trial",
    answer_get=lambda reading: {"trial": bool(reading.applied)},
    answer_set=lambda reading: {"trial": bool(reading.applied)},
)

each_row = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


def inside(row: Resource) -> list[int]:
    """Both ends of the range and a value between."""
    least, most = row.value.range_of(FLAVOR)
    return [least, (least + most) // 2, most]


def reset_of(row: Resource) -> int | None:
    """The number that asks for no setting, where the row knows one."""
    return row.value.reset if isinstance(row.value, Number) else None


def outside(row: Resource) -> Iterator[int]:
    """Right below, right above, and far away on both sides; never the value that resets."""
    least, most = row.value.range_of(FLAVOR)
    for value in (least - 1, most + 1, 0, -1, -2, -(2**63), 2**63):
        if not least <= value <= most and value != reset_of(row):
            yield value
