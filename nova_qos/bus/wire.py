# SPDX-License-Identifier: Apache-2.0
"""What crosses the bus between API and agent: versions, and the form of every answer.

Versions: 1.0 had read, set and balloon; 1.1 read_many; since 1.2 a set brings the server along and
names the readings that it wants answered, and the API saves, and waits for guests, in place of the
agent; since 1.3 a flavor has its number of vCPUs, and an agent that is asked ``partly`` leaves out
resources that it does not know; 1.4 has set_many; 1.5 sets a server's policy, and answers for
``policy`` among the names to read what its copy of the policies is; 1.6 has host_report, with the
answer that ``core.host_report`` makes; since 1.7 a reading says where the balancer's value is
applied, and a host's report what balancing does there; since 1.8 that report tells of each server
where it is wanted, and since 1.9 of the host's copy of the policies. Each message asks for the
version that its method came with, so API and agent of neighbouring releases understand each other.
A reader ignores fields that it does not know; a new field needs a new version, since readers before
1.2 refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nova_qos.core import errors
from nova_qos.core.errors import QosError, TooEarly
from nova_qos.core.reading import Reading
from nova_qos.core.server import Entries, Entry, Flavor, SavedServer

TOPIC = "nova-qos-agent"
VERSION = "1.9"
FIRST_VERSION, READ_MANY_VERSION, WAITING_VERSION, PARTLY_VERSION = "1.0", "1.1", "1.2", "1.3"
SET_MANY_VERSION, POLICY_VERSION, HOST_VERSION = "1.4", "1.5", "1.6"
PLACED_VERSION = "1.8"
#: The most servers that one read_many or set_many may name.
MOST_SERVERS = 100

Wire = dict[str, Any]


def reading_to_wire(reading: Reading) -> Wire:
    """A reading as JSON types."""
    return {
        "applied": reading.applied,
        "effective": reading.effective,
        "reason": reading.reason,
        "details": dict(reading.details),
        "hindered": reading.unmet,
        "since": reading.since,
        "span": reading.span,
        "by_other_means": reading.wrong_mechanism,
        **({"applied_source": reading.applied_source} if reading.applied_source else {}),
    }


def reading_from_wire(wire: Mapping[str, Any]) -> Reading:
    """The reading that ``reading_to_wire`` wrote; what is missing has its default."""
    span = wire.get("span")
    return Reading(
        applied=wire.get("applied"),
        effective=wire.get("effective", True),
        reason=wire.get("reason"),
        details=wire.get("details") or {},
        unmet=wire.get("hindered"),
        since=wire.get("since"),
        span=span and (span[0], span[1]),
        wrong_mechanism=wire.get("by_other_means", False),
        applied_source=wire.get("applied_source"))


def readings_to_wire(readings: Mapping[str, Reading]) -> Wire:
    """Readings by resource."""
    return {name: reading_to_wire(reading) for name, reading in readings.items()}


def readings_from_wire(wire: Mapping[str, Mapping[str, Any]]) -> dict[str, Reading]:
    """Readings by resource, back again."""
    return {name: reading_from_wire(reading) for name, reading in wire.items()}


def entries_to_wire(entries: Entries) -> Wire:
    """Entries of a desired state as JSON types."""
    return {name: {"value": each.value, "marked": each.marked, "stamp": each.stamp,
                   **({"by_hook": True} if each.by_hook else {})}
            for name, each in entries.items()}


def entries_from_wire(wire: Mapping[str, Mapping[str, Any]]) -> dict[str, Entry]:
    """Entries, back again."""
    return {name: Entry(each.get("value"), each.get("marked", False), each.get("stamp", 0),
                        each.get("by_hook", False))
            for name, each in wire.items()}


def server_to_wire(server: SavedServer) -> Wire:
    """What the agent needs to know of a server that is changed."""
    flavor = server.flavor
    return {
        "entries": entries_to_wire(server.entries),
        "flavor": {"memory_mib": flavor.memory_mib, "cpu_shares": flavor.cpu_shares,
                   "fair_cpu_shares": flavor.fair_cpu_shares, "vcpus": flavor.vcpus,
                   "policy": flavor.policy},
        "project": server.project,
    }


def server_from_wire(server_uuid: str, host: str, wire: Mapping[str, Any]) -> SavedServer:
    """The server, back again."""
    flavor = wire.get("flavor", {})
    return SavedServer(
        server_uuid, host, task=None, flavor=Flavor(
            flavor.get("memory_mib", 0), flavor.get("cpu_shares"), flavor.get("fair_cpu_shares"),
            vcpus=flavor.get("vcpus", 1), policy=flavor.get("policy")),
        project=wire.get("project", ""),
    ).having(entries_from_wire(wire.get("entries", {})))


@dataclass(frozen=True)
class SetAnswer:
    """The answer to a set from 1.2 on.

    ``readings`` are the requested ones. ``moving`` names the resources whose value the guest
    has yet to reach; ``settle_s`` is the time (s) for which the API should keep reading them.
    ``entries`` are what is to be saved; none where the agent saved by itself.
    ``too_early`` is set instead where nothing was changed, since the guest has yet to report.
    """

    readings: Mapping[str, Reading] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    settle_s: float = 0.0
    too_early: TooEarly | None = None
    entries: Entries = field(default_factory=dict)

    def to_wire(self) -> Wire:
        """As JSON types."""
        if self.too_early is not None:
            return {"too_early": self.too_early.message, "due_s": self.too_early.due_s}
        return {"readings": readings_to_wire(self.readings), "moving": list(self.moving),
                "settle_s": self.settle_s, "entries": entries_to_wire(self.entries)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "SetAnswer":
        """What ``to_wire`` wrote, back again."""
        if wire.get("too_early"):
            return cls(too_early=TooEarly(wire["too_early"], wire.get("due_s", 0.0)))
        return cls(readings_from_wire(wire.get("readings", {})), tuple(wire.get("moving", ())),
                   wire.get("settle_s", 0.0), entries=entries_from_wire(wire.get("entries", {})))


@dataclass(frozen=True)
class Wish:
    """The settings that a set_many asks for on one server; None unsets."""

    server: SavedServer
    settings: Mapping[str, int | None]

    def to_wire(self) -> Wire:
        """As JSON types."""
        return {"server_uuid": self.server.uuid, "server": server_to_wire(self.server),
                "settings": dict(self.settings)}


#: What became of one server of a set_many.
Result = SetAnswer | QosError


def result_to_wire(result: Result) -> Wire:
    """As JSON types."""
    if isinstance(result, QosError):
        return {"error": type(result).__name__, "message": result.message}
    return result.to_wire()


def result_from_wire(wire: Mapping[str, Any]) -> Result:
    """What ``result_to_wire`` wrote, back again; an error of a kind that is not known here is a
    HostRefused."""
    if "error" not in wire:
        return SetAnswer.from_wire(wire)
    kind = errors.by_name().get(wire["error"], errors.HostRefused)
    return kind(str(wire.get("message", "")))
