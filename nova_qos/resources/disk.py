# SPDX-License-Identifier: Apache-2.0
"""Disk: in what proportion servers get the I/O of the devices below their disks."""

from nova_qos.core.resource import Default, Division, Names, Resource
from nova_qos.core.sharing import in_proportion
from nova_qos.core.units import Unit
from nova_qos.core.value import Number

#: The least weight that the API offers, and what nova starts every server with.
_LEAST_WEIGHT = 100

IO_PRIORITY = Resource(
    name="io_priority",
    title="disk I/O priority",
    names=Names(
        get_action="get-io-priority",
        set_action="set-io-priority",
        key="weight",
        get_rule="os_compute_api:os-qos:io_priority:get",
        set_rule="os_compute_api:os-qos:io_priority:set",
        get_command="lv-get-io-priority",
        set_command="lv-set-io-priority",
        option="--io-priority",
        argument="weight",
        stored_as="qos:io",
    ),
    unit=Unit("weight", "weight"),
    value=Number(_LEAST_WEIGHT, 1000),
    default=Default(lambda flavor: _LEAST_WEIGHT, str(_LEAST_WEIGHT)),
    knob="io_group",
    answer_get=lambda reading: {"weight": reading.applied},
    answer_set=lambda reading: {"weight": reading.applied},
    division=Division(lambda reading: reading.applied, in_proportion, "Disk I/O %"),
)

ROWS = (IO_PRIORITY,)
