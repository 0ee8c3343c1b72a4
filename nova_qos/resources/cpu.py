# SPDX-License-Identifier: Apache-2.0
"""CPU: in what proportion servers get the host's processors, and how much at most."""

from nova_qos.core import relative
from nova_qos.core.reading import Reading
from nova_qos.core.resource import Default, Division, Names, Resource
from nova_qos.core.scales import (
    DEFAULT_CPU_SHARES,
    LEAST_CPU_SHARES,
    LEAST_CPU_WEIGHT,
    MOST_CPU_SHARES,
    MOST_CPU_WEIGHT,
    cpu_shares,
    cpu_shares_alike,
)
from nova_qos.core.server import Flavor
from nova_qos.core.sharing import among_processors
from nova_qos.core.units import UNLIMITED, Unit
from nova_qos.core.value import FlavorMaximum, Number

_PERCENT = Unit("percent of one CPU", "percent of one CPU", base=("ratio", 0.01))
_HIGHEST_PERCENT = 100 * 2**16
_ALL_VCPUS = FlavorMaximum(lambda flavor: 100 * flavor.vcpus, "100 for each vCPU")


def _default_shares(flavor: Flavor) -> int:
    shares = flavor.cpu_shares if flavor.fair_cpu_shares is None else flavor.fair_cpu_shares
    if shares is None:
        return DEFAULT_CPU_SHARES
    # cgroup v1 holds no more and no less, whatever a flavor says
    return min(max(shares, LEAST_CPU_SHARES), MOST_CPU_SHARES)


def _default_on_host(flavor: Flavor, reading: Reading) -> int:
    if "weight" not in reading.details or flavor.cpu_shares is None:
        return _default_shares(flavor)
    # libvirt takes a flavor's number of shares for the weight of cgroup v2 as it is
    return cpu_shares(min(max(flavor.cpu_shares, LEAST_CPU_WEIGHT), MOST_CPU_WEIGHT))


CPU_PRIORITY = Resource(
    name="cpu_priority",
    title="CPU priority",
    names=Names(
        get_action="get-cpu-priority",
        set_action="set-cpu-priority",
        key="share",
        get_rule="os_compute_api:os-qos:cpu_priority:get",
        set_rule="os_compute_api:os-qos:cpu_priority:set",
        get_command="lv-get-cpu-priority",
        set_command="lv-set-cpu-priority",
        option="--cpu-priority",
        argument="shares",
        stored_as="qos:cpu",
    ),
    unit=Unit("shares", "shares", alike=cpu_shares_alike, base=("shares", 1)),
    value=Number(LEAST_CPU_SHARES, MOST_CPU_SHARES),
    default=Default(_default_shares, str(DEFAULT_CPU_SHARES),
                    kept_for=lambda flavor: flavor.fair_cpu_shares is not None,
                    by_host=_default_on_host),
    knob="cpu_group",
    answer_get=lambda reading: {"share": reading.applied},
    answer_set=lambda reading: {"share": reading.asked},
    division=Division(lambda reading: reading.applied, among_processors, "CPU %"),
    relative=relative.SHARES_PER_VCPU,
)

CPU_LIMIT = Resource(
    name="cpu_limit",
    title="CPU limit",
    names=Names(
        get_action="get-cpu-limit",
        set_action="set-cpu-limit",
        key="percent",
        get_rule="os_compute_api:os-qos:cpu_limit:get",
        set_rule="os_compute_api:os-qos:cpu_limit:set",
        get_command="lv-get-cpu-limit",
        set_command="lv-set-cpu-limit",
        option="--cpu-limit",
        argument="percent",
        stored_as="qos:cpul",
    ),
    unit=_PERCENT,
    value=Number(10, _HIGHEST_PERCENT, _ALL_VCPUS, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="cpu_quota",
    answer_get=lambda reading: {"percent": reading.applied},
    answer_set=lambda reading: {"percent": reading.applied},
    relative=relative.CPU_PER_VCPU,
)

CPU_GUARANTEE = Resource(
    name="cpu_guarantee",
    title="CPU guarantee",
    names=Names(
        get_action="get-cpu-guarantee",
        set_action="set-cpu-guarantee",
        key="percent",
        get_rule="os_compute_api:os-qos:cpu_guarantee:get",
        set_rule="os_compute_api:os-qos:cpu_guarantee:set",
        get_command="lv-get-cpu-guarantee",
        set_command="lv-set-cpu-guarantee",
        option="--cpu-guarantee",
        argument="percent",
        stored_as="qos:cpug",
    ),
    unit=_PERCENT,
    value=Number(1, _HIGHEST_PERCENT, _ALL_VCPUS, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "none"),
    # a weight that is raised as far as the guarantee needs
    knob="cpu_group",
    answer_get=lambda reading: {"percent": reading.applied},
    answer_set=lambda reading: {"percent": reading.applied},
    none_word="none",
    at_most="cpu_limit",
    held_with="cpu_priority",
    relative=relative.CPU_PER_VCPU,
)

ROWS = (CPU_PRIORITY, CPU_LIMIT, CPU_GUARANTEE)
