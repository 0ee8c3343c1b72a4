# SPDX-License-Identifier: Apache-2.0
"""What the tests of every row share: a flavor, and values on and beyond each range's edges."""

from collections.abc import Iterator

import pytest

from nova_qos.model import Flavor
from nova_qos.resources import TABLE, Resource

FLAVOR = Flavor(memory_mib=512)

#: What is no setting for any resource, whatever its range.
NONSENSE = [
    True, False, 1.5, float("nan"), float("inf"), float("-inf"), "", " ", "-", "--5", "+5", "5 ",
    "1.5", "1e3", "0x10", "ten", "nan", "\u0665\u0660\u0660", "9" * 400, 10**400, -(10**400), 1e308,
    [], [200], {}, {"value": 200}, b"200",
]

each_row = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())


def inside(row: Resource) -> list[int]:
    """Both ends of the range and a value between."""
    least, most = row.range_of(FLAVOR)
    return [least, (least + most) // 2, most]


def outside(row: Resource) -> Iterator[int]:
    """Right below, right above, and far away on both sides; never the value that lifts."""
    least, most = row.range_of(FLAVOR)
    for value in (least - 1, most + 1, 0, -1, -2, -(2**63), 2**63):
        if not least <= value <= most and value != row.lift:
            yield value
