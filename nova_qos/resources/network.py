# SPDX-License-Identifier: Apache-2.0
"""Network: in what proportion servers get the host's uplinks for what they send to outside, and
what they receive from there; how much at least, and how much at most."""

from nova_qos.core.resource import Default, Division, Names, Resource
from nova_qos.core.sharing import in_proportion
from nova_qos.core.units import KBIT_PER_S, UNLIMITED, Unit
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

NET_LIMIT = Resource(
    name="net_limit",
    title="network limit",
    names=Names(
        get_action="get-net-limit",
        set_action="set-net-limit",
        key="kbit",
        get_rule="os_compute_api:os-qos:net_limit:get",
        set_rule="os_compute_api:os-qos:net_limit:set",
        get_command="tc-get-net-limit",
        set_command="tc-set-net-limit",
        option="--net-limit",
        argument="rate",
        stored_as="qos:netl",
    ),
    unit=KBIT_PER_S,
    value=Number(100, 100_000_000, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="net_class",
    answer_get=lambda reading: {"kbit": reading.applied},
    answer_set=lambda reading: {"kbit": reading.applied},
)

NET_GUARANTEE = Resource(
    name="net_guarantee",
    title="network guarantee",
    names=Names(
        get_action="get-net-guarantee",
        set_action="set-net-guarantee",
        key="kbit",
        get_rule="os_compute_api:os-qos:net_guarantee:get",
        set_rule="os_compute_api:os-qos:net_guarantee:set",
        get_command="tc-get-net-guarantee",
        set_command="tc-set-net-guarantee",
        option="--net-guarantee",
        argument="rate",
        stored_as="qos:netg",
    ),
    unit=KBIT_PER_S,
    value=Number(100, 100_000_000, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "none"),
    knob="net_class",
    answer_get=lambda reading: {"kbit": reading.applied},
    answer_set=lambda reading: {"kbit": reading.applied},
    none_word="none",
    at_most="net_limit",
)

NET_IN_PRIORITY = Resource(
    name="net_in_priority",
    title="inbound network priority",
    names=Names(
        get_action="get-net-in-priority",
        set_action="set-net-in-priority",
        key="prio",
        get_rule="os_compute_api:os-qos:net_in_priority:get",
        set_rule="os_compute_api:os-qos:net_in_priority:set",
        get_command="tc-get-net-in-priority",
        set_command="tc-set-net-in-priority",
        option="--net-in-priority",
        argument="prio",
        stored_as="qos:inp",
    ),
    unit=Unit("prio", "prio"),
    value=Number(0, 98, reset=UNLIMITED, lowest_wins=True),
    default=Default(lambda flavor: UNLIMITED, "none"),
    knob="net_in_class",
    answer_get=lambda reading: {"prio": reading.applied},
    answer_set=lambda reading: {"success": True},
    none_word="none",
    division=Division(lambda reading: reading.details.get("weight"), in_proportion, "Network In %"),
)

NET_IN_LIMIT = Resource(
    name="net_in_limit",
    title="inbound network limit",
    names=Names(
        get_action="get-net-in-limit",
        set_action="set-net-in-limit",
        key="kbit",
        get_rule="os_compute_api:os-qos:net_in_limit:get",
        set_rule="os_compute_api:os-qos:net_in_limit:set",
        get_command="tc-get-net-in-limit",
        set_command="tc-set-net-in-limit",
        option="--net-in-limit",
        argument="rate",
        stored_as="qos:inl",
    ),
    unit=KBIT_PER_S,
    value=Number(100, 100_000_000, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="net_in_class",
    answer_get=lambda reading: {"kbit": reading.applied},
    answer_set=lambda reading: {"kbit": reading.applied},
)

NET_IN_GUARANTEE = Resource(
    name="net_in_guarantee",
    title="inbound network guarantee",
    names=Names(
        get_action="get-net-in-guarantee",
        set_action="set-net-in-guarantee",
        key="kbit",
        get_rule="os_compute_api:os-qos:net_in_guarantee:get",
        set_rule="os_compute_api:os-qos:net_in_guarantee:set",
        get_command="tc-get-net-in-guarantee",
        set_command="tc-set-net-in-guarantee",
        option="--net-in-guarantee",
        argument="rate",
        stored_as="qos:ing",
    ),
    unit=KBIT_PER_S,
    value=Number(100, 100_000_000, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "none"),
    knob="net_in_class",
    answer_get=lambda reading: {"kbit": reading.applied},
    answer_set=lambda reading: {"kbit": reading.applied},
    none_word="none",
    at_most="net_in_limit",
)

ROWS = (NET_PRIORITY, NET_LIMIT, NET_GUARANTEE,
        NET_IN_PRIORITY, NET_IN_LIMIT, NET_IN_GUARANTEE)
