# SPDX-License-Identifier: Apache-2.0
"""THE TABLE: one row a resource, every public name as a literal.

API actions, body schemas, RBAC rules, commands and their tests are derived from ``TABLE``.
What would need an ``if resource is ...`` elsewhere does not belong here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nova_qos import errors, units
from nova_qos.model import UNLIMITED, Balloon, Domain, Flavor, Limits, Reading

_HIGHEST_MIB = 2**40


@dataclass(frozen=True)
class Resource:
    """One thing of a running server that can be set.

    Requested values are in ``unit``; ``host_scale`` host units make one of it. ``default`` is what
    a server has that nobody touched, ``ceiling`` the most its flavor allows. ``lift`` is the
    value that, when asked for, means "no setting", and ``lifted`` what -1 is called when read.
    ``lowest_wins``: the smallest value gives the most. ``guard`` refuses, before anything is
    saved, what the host could not honour; ``settles`` says that an applied value arrives some
    time after it was written. ``retaken`` tells whether the guest itself may have taken back what
    it had given, so that the reading is not the target any more. ``nudge`` says for a target, and
    a reading that has not moved since that was asked for, what to ask for first, since asking
    again might change nothing. ``weight`` is for what is divided among busy servers: the number in
    proportion to which a reading's server gets its part. ``keeps_default`` tells for which flavors
    the agent holds servers to the default, since nova would start them with something else.
    """

    name: str
    title: str
    unit: str
    minimum: int
    maximum: int
    host_scale: int
    get_action: str
    set_action: str
    key: str
    get_policy: str
    set_policy: str
    get_command: str
    set_command: str
    option: str
    argument: str
    stored_as: str
    default: Callable[[Flavor], int]
    read: Callable[[Domain], Reading]
    write: Callable[[Domain, int], None]
    answer_get: Callable[[Reading], dict[str, object]]
    answer_set: Callable[[Reading], dict[str, object]]
    ceiling: Callable[[Flavor], int] | None = None
    guard: Callable[[Domain, int, Limits], None] | None = None
    retaken: Callable[[Domain, Reading, int], bool] | None = None
    nudge: Callable[[int, int], int] | None = None
    weight: Callable[[Reading], int | None] | None = None
    keeps_default: Callable[[Flavor], bool] = lambda flavor: False
    lift: int | None = None
    lifted: str = "unlimited"
    lowest_wins: bool = False
    settles: bool = False
    forceable: bool = False
    is_size: bool = False

    def range_of(self, flavor: Flavor) -> tuple[int, int]:
        """The least and the most that a server of this flavor can be given."""
        return self.minimum, self.ceiling(flavor) if self.ceiling else self.maximum

    def describe(self, flavor: Flavor | None = None, field: str | None = None) -> str:
        """The range in words, for error messages and help texts; field: what the request calls
        the value where that is not ``key``."""
        most = str(self.range_of(flavor)[1]) if flavor else self._most_in_words()
        lift = "" if self.lift is None else f", or {self.lift} to lift it"
        unit = "" if self.unit == self.key else f" in {self.unit}"
        least = f"{self.minimum} (highest)" if self.lowest_wins else str(self.minimum)
        return f"{field or self.key}: {self.title}{unit}, {least} to {most}{lift}."

    def _most_in_words(self) -> str:
        return "the flavor's memory" if self.ceiling else str(self.maximum)

    def check(self, value: object, flavor: Flavor, field: str | None = None) -> int | None:
        """The value to keep as desired state; None unsets.

        :param value: an integer, an integer in decimal digits, or None
        :param field: what the request calls the value where that is not ``key``
        :raises InvalidSetting: anything else, or outside the range for this flavor
        """
        if value is None:
            return None
        number = _integer(value)
        least, most = self.range_of(flavor)
        if number is not None and number == self.lift:
            return None
        if number is None or not least <= number <= most:
            raise errors.InvalidSetting(
                f"{field or self.key}: {str(value)[:40]!r} is not accepted. "
                f"{self.describe(flavor, field)}")
        return number

    def within(self, value: int | None, flavor: Flavor) -> int | None:
        """A saved setting as far as the server's present flavor allows it."""
        return value if value is None else min(value, self.range_of(flavor)[1])

    def to_host(self, value: int | None, flavor: Flavor) -> int:
        """A requested value, or the default where there is none, in the host's unit."""
        wanted = self.default(flavor) if value is None else value
        return wanted if wanted == UNLIMITED else wanted * self.host_scale

    def from_host(self, value: int | None) -> int | float | None:
        """An applied value in the API's unit; a fraction only where the host holds one."""
        if value is None or value == UNLIMITED or value % self.host_scale == 0:
            return value if value in (None, UNLIMITED) else value // self.host_scale
        return round(value / self.host_scale, 3)

    def weight_of(self, reading: Reading) -> int | None:
        """The number in proportion to which the resource is divided among the servers of a host
        while all are busy; None where nothing is divided by what was read."""
        if self.weight is None or reading.applied is None or not reading.effective:
            return None
        return self.weight(reading)


def _integer(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and len(value) < 20 and value.isascii():
        value = int(value) if value.removeprefix("-").isdigit() else value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _guard_memory(domain: Domain, memory_kib: int, limits: Limits) -> None:
    balloon = domain.read_balloon()
    if domain.is_paused():
        raise errors.ServerNotRunning("the server is paused: its balloon cannot move")
    if memory_kib == balloon.actual_kib:
        return
    if not balloon.alive:
        raise errors.NoBalloon(f"memory: the guest's balloon does not answer: {balloon.reason}")
    lowest = lowest_safe_kib(balloon, limits.reserve_kib)
    if memory_kib < min(lowest, balloon.actual_kib) and not limits.force:
        raise errors.UnsafeMemory(
            f"memory: {memory_kib // units.KIB_PER_MIB} MiB is less than the guest can spare; the "
            f"lowest safe value now is {-(-lowest // units.KIB_PER_MIB)} MiB. Ask for that, or "
            'give "force": true')


def _has_deflated(domain: Domain, reading: Reading, memory_kib: int) -> bool:
    return (reading.applied or 0) > memory_kib and domain.read_balloon().autodeflates


def _nudge_memory(memory_kib: int, actual_kib: int) -> int:
    # A balloon driver reports its size when it changes it, so one that comes up after a reset and
    # is to hold nothing back leaves what was reported before. Half way is seen to move, and takes
    # nothing from a guest that is only slow; a MiB is enough of one that has it all.
    if actual_kib >= memory_kib:
        return memory_kib
    return max((actual_kib + memory_kib) // 2, memory_kib - units.KIB_PER_MIB)


def lowest_safe_kib(balloon: Balloon, reserve_kib: int) -> int:
    """What the guest uses now, and the reserve, in KiB: actual - usable + reserve.

    Usable, not unused: page cache counts as free, since the guest can drop it.
    """
    return balloon.actual_kib - balloon.usable_kib + reserve_kib


def _default_cpu_shares(flavor: Flavor) -> int:
    row, fair = TABLE["cpu_priority"], flavor.fair_cpu_shares
    if fair is not None:
        return min(max(fair, row.minimum), row.maximum)
    return flavor.cpu_shares or units.DEFAULT_CPU_SHARES


def _memory_set(reading: Reading) -> dict[str, object]:
    if reading.hindered is None:
        return {"success": 1}
    return {"success": 0, "actual": reading.applied, "reason": reading.reason}


MEMORY = Resource(
    name="memory",
    title="memory",
    unit="MiB",
    minimum=1,
    maximum=_HIGHEST_MIB,
    host_scale=units.KIB_PER_MIB,
    get_action="get-current-memory",
    set_action="set-current-memory",
    key="memory",
    get_policy="os_compute_api:os-qos:memory:get",
    set_policy="os_compute_api:os-qos:memory:set",
    get_command="lv-get-mem",
    set_command="lv-set-mem",
    option="--memory",
    argument="size",
    stored_as="qos:mem",
    default=lambda flavor: flavor.memory_mib,
    ceiling=lambda flavor: flavor.memory_mib,
    read=lambda domain: domain.read_memory(),
    write=lambda domain, kib: domain.write_memory(kib),
    answer_get=lambda reading: {**reading.details, "actual": reading.applied},
    answer_set=_memory_set,
    guard=_guard_memory,
    settles=True,
    retaken=_has_deflated,
    nudge=_nudge_memory,
    forceable=True,
    is_size=True,
)

NET_PRIORITY = Resource(
    name="net_priority",
    title="network priority",
    unit="prio",
    minimum=0,
    maximum=98,
    host_scale=1,
    get_action="get-net-priority",
    set_action="set-net-priority",
    key="prio",
    get_policy="os_compute_api:os-qos:net_priority:get",
    set_policy="os_compute_api:os-qos:net_priority:set",
    get_command="tc-get-net-priority",
    set_command="tc-set-net-priority",
    option="--net-priority",
    argument="prio",
    stored_as="qos:net",
    default=lambda flavor: UNLIMITED,
    read=lambda domain: domain.read_net_priority(),
    write=lambda domain, priority: domain.write_net_priority(priority),
    answer_get=lambda reading: {"prio": reading.applied},
    answer_set=lambda reading: {"success": True},
    weight=lambda reading: reading.details.get("weight"),
    lift=-1,
    lifted="none",
    lowest_wins=True,
)

TABLE: Mapping[str, Resource] = {
    resource.name: resource
    for resource in (
        MEMORY,
        Resource(
            name="memory_soft_limit",
            title="memory soft limit",
            unit="MiB",
            minimum=1,
            maximum=_HIGHEST_MIB,
            host_scale=units.KIB_PER_MIB,
            get_action="get-memory-soft-limit",
            set_action="set-memory-soft-limit",
            key="memory_limit",
            get_policy="os_compute_api:os-qos:memory_soft_limit:get",
            set_policy="os_compute_api:os-qos:memory_soft_limit:set",
            get_command="lv-get-mem-soft-limit",
            set_command="lv-set-mem-soft-limit",
            option="--memory-soft-limit",
            argument="size",
            stored_as="qos:soft",
            default=lambda flavor: UNLIMITED,
            read=lambda domain: domain.read_memory_soft_limit(),
            write=lambda domain, kib: domain.write_memory_soft_limit(kib),
            answer_get=lambda reading: {"soft_limit": reading.applied},
            answer_set=lambda reading: {"success": 1},
            lift=-1,
            is_size=True,
        ),
        Resource(
            name="cpu_priority",
            title="CPU priority",
            unit="shares",
            minimum=2,
            maximum=262144,
            host_scale=1,
            get_action="get-cpu-priority",
            set_action="set-cpu-priority",
            key="share",
            get_policy="os_compute_api:os-qos:cpu_priority:get",
            set_policy="os_compute_api:os-qos:cpu_priority:set",
            get_command="lv-get-cpu-priority",
            set_command="lv-set-cpu-priority",
            option="--cpu-priority",
            argument="shares",
            stored_as="qos:cpu",
            default=_default_cpu_shares,
            read=lambda domain: domain.read_cpu_shares(),
            write=lambda domain, shares: domain.write_cpu_shares(shares),
            answer_get=lambda reading: {"share": reading.applied},
            answer_set=lambda reading: {"share": reading.applied},
            weight=lambda reading: reading.applied,
            keeps_default=lambda flavor: flavor.fair_cpu_shares is not None,
        ),
        Resource(
            name="io_priority",
            title="disk I/O priority",
            unit="weight",
            minimum=100,
            maximum=1000,
            host_scale=1,
            get_action="get-io-priority",
            set_action="set-io-priority",
            key="weight",
            get_policy="os_compute_api:os-qos:io_priority:get",
            set_policy="os_compute_api:os-qos:io_priority:set",
            get_command="lv-get-io-priority",
            set_command="lv-set-io-priority",
            option="--io-priority",
            argument="weight",
            stored_as="qos:io",
            default=lambda flavor: 100,
            read=lambda domain: domain.read_io_weight(),
            write=lambda domain, weight: domain.write_io_weight(weight),
            answer_get=lambda reading: {"weight": reading.applied},
            answer_set=lambda reading: {"weight": reading.applied},
            weight=lambda reading: reading.applied,
        ),
        NET_PRIORITY,
    )
}

GET_ALL = "get-qos"
SET_ALL = "set-qos"
BALLOON = "balloon-driver-enabled"
BALLOON_COMMAND = "ballooning-enabled"
NET_PRIORITIES_COMMAND = "tc-get-net-priorities"
LIST_PATH = "/os-qos"
LIST_POLICY = "os_compute_api:os-qos:list"
LIST_HOST_POLICY = "os_compute_api:os-qos:list:host"
