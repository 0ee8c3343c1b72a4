# SPDX-License-Identifier: Apache-2.0
"""Network: in what proportion servers get the host's uplinks for their outbound traffic."""

from nova_qos.core.resource import Default, Division, Names, Resource
from nova_qos.core.sharing import in_proportion
from nova_qos.core.units import UNLIMITED, Unit
from nova_qos.core.value import Number

NET_PRIORITY = Resource(
    name="net_priority",
    title="network priority",
    names=Names(
        get_action="get-net-priority",
        set_action="set-net-priority",
        key="prio",
        get_rule="os_compute_api:os-qos:net_priority:get",
        set_rule="os_compute_api:os-qos:net_priority:set",
        get_command="tc-get-net-priority",
        set_command="tc-set-net-priority",
        option="--net-priority",
        argument="prio",
        stored_as="qos:net",
    ),
    unit=Unit("prio", "prio"),
    value=Number(0, 98, reset=UNLIMITED, lowest_wins=True),
    default=Default(lambda flavor: UNLIMITED, "none"),
    knob="net_class",
    answer_get=lambda reading: {"prio": reading.applied},
    answer_set=lambda reading: {"success": True},
    none_word="none",
    division=Division(lambda reading: reading.details.get("weight"), in_proportion, "Network %"),
)

ROWS = (NET_PRIORITY,)
