# SPDX-License-Identifier: Apache-2.0
"""Disk: in what proportion servers get the I/O of the devices below their disks, and how much at
most."""

from nova_qos.core.resource import Default, Division, Names, Resource
from nova_qos.core.sharing import in_proportion
from nova_qos.core.units import KIB_PER_S, UNLIMITED, Unit
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
    unit=Unit("weight", "weight", base=("weight", 1)),
    value=Number(_LEAST_WEIGHT, 1000),
    default=Default(lambda flavor: _LEAST_WEIGHT, str(_LEAST_WEIGHT)),
    knob="io_group",
    answer_get=lambda reading: {"weight": reading.applied},
    answer_set=lambda reading: {"weight": reading.applied},
    division=Division(lambda reading: reading.applied, in_proportion, "Disk I/O %"),
)

IO_LIMIT = Resource(
    name="io_limit",
    title="disk I/O limit",
    names=Names(
        get_action="get-io-limit",
        set_action="set-io-limit",
        key="iops",
        get_rule="os_compute_api:os-qos:io_limit:get",
        set_rule="os_compute_api:os-qos:io_limit:set",
        get_command="lv-get-io-limit",
        set_command="lv-set-io-limit",
        option="--io-limit",
        argument="iops",
        stored_as="qos:iol",
    ),
    unit=Unit("IOPS", "IOPS", base=("operations_per_second", 1)),
    # below, one operation may outlast a guest's patience
    value=Number(10, 1_000_000, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="disk_throttle",
    answer_get=lambda reading: {"iops": reading.applied},
    answer_set=lambda reading: {"iops": reading.applied},
)

IO_RATE_LIMIT = Resource(
    name="io_rate_limit",
    title="disk rate limit",
    names=Names(
        get_action="get-io-rate-limit",
        set_action="set-io-rate-limit",
        key="rate_kib",
        get_rule="os_compute_api:os-qos:io_rate_limit:get",
        set_rule="os_compute_api:os-qos:io_rate_limit:set",
        get_command="lv-get-io-rate-limit",
        set_command="lv-set-io-rate-limit",
        option="--io-rate-limit",
        argument="rate",
        stored_as="qos:ior",
    ),
    unit=KIB_PER_S,
    value=Number(1024, 2**30, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="disk_throttle",
    answer_get=lambda reading: {"rate_kib": reading.applied},
    answer_set=lambda reading: {"rate_kib": reading.applied},
)

ROWS = (IO_PRIORITY, IO_LIMIT, IO_RATE_LIMIT)
