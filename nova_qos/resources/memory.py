# SPDX-License-Identifier: Apache-2.0
"""Memory: what a guest has, by its balloon, and what its host leaves it when short of memory."""

from nova_qos.core import errors, relative
from nova_qos.core.balloon import Balloon, Limits
from nova_qos.core.reading import Reading
from nova_qos.core.resource import Default, Follow, Names, Resource
from nova_qos.core.units import KIB_PER_MIB, MIB, MIB_ON_HOST, UNLIMITED, Unit
from nova_qos.core.value import FlavorMaximum, Number

_HIGHEST_MIB = 2**40
_MIDDLE_WEIGHT = 100
_WHOLE = FlavorMaximum(lambda flavor: flavor.memory_mib, "the flavor's memory")


def guard(balloon: Balloon, memory_kib: int, limits: Limits) -> None:
    """Refuse a size that the balloon cannot reach, or that the guest cannot spare.

    Some drivers move the balloon and report nothing: with force that is tried, and the balloon's
    size tells the result.

    :raises ServerNotRunning: the guest is paused
    :raises NoBalloon: no driver in the guest answers, and it is not forced
    :raises TooEarly: the guest has yet to report what it can spare
    :raises UnsafeMemory: the guest uses more; the message names the least safe size
    """
    if balloon.paused:
        raise errors.ServerNotRunning("the server is paused: its balloon cannot move")
    if memory_kib == balloon.actual_kib:
        return
    if not balloon.alive and not limits.force:
        raise errors.NoBalloon(
            f"memory: the guest's balloon does not answer: {balloon.reason}. If it can move "
            'without reports, give "force": true')
    grows_or_forced = memory_kib > balloon.actual_kib or limits.force
    if balloon.due_s > 0 and (balloon.overdue or not grows_or_forced):
        raise errors.TooEarly(
            "memory: the guest has not reported what it can spare since its balloon last moved; "
            f'its next report is due within {balloon.due_s:.0f} s. Ask again then, or give '
            '"force": true', balloon.due_s)
    if grows_or_forced:
        return
    lowest = lowest_safe_kib(balloon, limits.reserve_kib)
    if memory_kib < min(lowest, balloon.actual_kib):
        raise errors.UnsafeMemory(
            f"memory: {memory_kib // KIB_PER_MIB} MiB is less than the guest needs; the "
            f"lowest safe value now is {-(-lowest // KIB_PER_MIB)} MiB. Ask for that, or "
            'give "force": true')


def lowest_safe_kib(balloon: Balloon, reserve_kib: int) -> int:
    """What the guest uses now, and the reserve, in KiB: actual - usable + reserve.

    Usable, not unused: page cache counts as free, since the guest can drop it.
    """
    return balloon.actual_kib - balloon.usable_kib + reserve_kib


def _has_deflated(balloon: Balloon, reading: Reading, memory_kib: int) -> bool:
    return (reading.applied or 0) > memory_kib and balloon.autodeflates


def _intermediate(memory_kib: int, actual_kib: int) -> int:
    # A balloon driver reports its size when it changes it. One that comes up after a reset and
    # has nothing to hold back reports nothing, so the size before the reset stays on record. Half
    # way is a change, and takes nothing from a guest that is only slow; 1 MiB less is enough
    # where the guest has all its memory.
    if actual_kib >= memory_kib:
        return memory_kib
    return max((actual_kib + memory_kib) // 2, memory_kib - KIB_PER_MIB)


def _answer_set(reading: Reading) -> dict[str, object]:
    if reading.unmet is None:
        return {"success": 1}
    return {"success": 0, "actual": reading.applied, "reason": reading.reason}


MEMORY = Resource(
    name="memory",
    title="memory",
    names=Names(
        get_action="get-current-memory",
        set_action="set-current-memory",
        key="memory",
        get_rule="os_compute_api:os-qos:memory:get",
        set_rule="os_compute_api:os-qos:memory:set",
        get_command="lv-get-mem",
        set_command="lv-set-mem",
        option="--memory",
        argument="size",
        stored_as="qos:mem",
    ),
    unit=MIB,
    value=Number(1, _HIGHEST_MIB, _WHOLE),
    default=Default(_WHOLE.of, _WHOLE.words),
    knob="balloon",
    answer_get=lambda reading: {**reading.details, "actual": reading.applied},
    answer_set=_answer_set,
    follow=Follow(guard, _has_deflated, _intermediate),
    relative=relative.MEMORY,
)

MEMORY_SOFT_LIMIT = Resource(
    name="memory_soft_limit",
    title="memory soft limit",
    names=Names(
        get_action="get-memory-soft-limit",
        set_action="set-memory-soft-limit",
        key="memory_limit",
        get_rule="os_compute_api:os-qos:memory_soft_limit:get",
        set_rule="os_compute_api:os-qos:memory_soft_limit:set",
        get_command="lv-get-mem-soft-limit",
        set_command="lv-set-mem-soft-limit",
        option="--memory-soft-limit",
        argument="size",
        stored_as="qos:soft",
    ),
    unit=MIB,
    value=Number(1, _HIGHEST_MIB, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "unlimited"),
    knob="memory_group",
    answer_get=lambda reading: {"soft_limit": reading.applied},
    answer_set=lambda reading: {"success": 1},
    relative=relative.MEMORY,
)

MEMORY_GUARANTEE = Resource(
    name="memory_guarantee",
    title="memory guarantee",
    names=Names(
        get_action="get-memory-guarantee",
        set_action="set-memory-guarantee",
        key="memory_guarantee",
        get_rule="os_compute_api:os-qos:memory_guarantee:get",
        set_rule="os_compute_api:os-qos:memory_guarantee:set",
        get_command="lv-get-mem-guarantee",
        set_command="lv-set-mem-guarantee",
        option="--memory-guarantee",
        argument="size",
        stored_as="qos:memg",
    ),
    # the answers of these actions are in MiB
    unit=MIB_ON_HOST,
    value=Number(1, _HIGHEST_MIB, _WHOLE, reset=UNLIMITED),
    default=Default(lambda flavor: UNLIMITED, "none"),
    knob="memory_floor",
    answer_get=lambda reading: {"memory_guarantee": reading.applied},
    answer_set=lambda reading: {"memory_guarantee": reading.applied},
    none_word="none",
    at_most="memory",
    relative=relative.MEMORY,
)

MEMORY_PRIORITY = Resource(
    name="memory_priority",
    title="memory priority",
    names=Names(
        get_action="get-memory-priority",
        set_action="set-memory-priority",
        key="weight",
        get_rule="os_compute_api:os-qos:memory_priority:get",
        set_rule="os_compute_api:os-qos:memory_priority:set",
        get_command="lv-get-mem-priority",
        set_command="lv-set-mem-priority",
        option="--memory-priority",
        argument="weight",
        stored_as="qos:memp",
    ),
    unit=Unit("weight", "weight", base=("weight", 1)),
    value=Number(1, 1000),
    default=Default(lambda flavor: _MIDDLE_WEIGHT, str(_MIDDLE_WEIGHT)),
    knob=None,
    answer_get=lambda reading: {"weight": reading.applied},
    answer_set=lambda reading: {"weight": reading.applied},
    unused="only the balancing of memory uses it, which this host does not do",
)

ROWS = (MEMORY, MEMORY_SOFT_LIMIT, MEMORY_GUARANTEE, MEMORY_PRIORITY)
