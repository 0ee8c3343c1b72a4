# SPDX-License-Identifier: Apache-2.0
"""What the agent asks of its machine."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from nova_qos.core.balloon import Balloon
from nova_qos.core.reading import Reading
from nova_qos.core.room import Room
from nova_qos.host_memory import HostMemory

#: What has happened to a server; "unknown" after a time in which the host could not be watched.
Change = Literal["started", "changed", "ended", "unknown"]
#: Told a server's uuid and what has happened to it; None = any server. Returns at once.
Listener = Callable[[str | None, Change], None]


@dataclass(frozen=True)
class Ability:
    """What a host can do with a resource of its servers, and why not more.

    ``cannot`` says why the host refuses every setting as it is configured; ``without_effect``
    why it takes settings that have no effect. With neither it works, and ``how`` may tell the
    mechanism. ``warnings`` are sentences on what may disturb it or others nevertheless.
    """

    cannot: str | None = None
    without_effect: str | None = None
    how: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """The host takes a setting, and it has its effect."""
        return self.cannot is None and self.without_effect is None

    def __str__(self) -> str:
        if self.cannot is not None:
            return f"cannot because {self.cannot}"
        if self.without_effect is not None:
            return f"works without effect because {self.without_effect}"
        return f"works ({self.how})" if self.how else "works"


@dataclass(frozen=True)
class Interface:
    """One network interface of a running server.

    ``mac`` is the guest's address, in lower case. ``tap`` is the device of the host that the
    guest's packets come in from, None where there is none; ``parent`` the device that a macvtap
    interface sends through. ``obstacle`` says why the host never sees the packets, None when
    it does.
    """

    mac: str
    tap: str | None = None
    parent: str | None = None
    obstacle: str | None = None


Interfaces = tuple[Interface, ...]
#: All running servers of a host by uuid, each with its interfaces.
Neighbours = Callable[[], Mapping[str, Interfaces]]
#: What a host counts, by the name of the metric and the values of its further labels (see
#: ``core.metric``), in the metric's unit.
Figures = Mapping[str, Mapping[tuple[str, ...], float]]


def merged(each: Iterable[Figures]) -> Figures:
    """All figures together."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for figures in each:
        for name, numbers in figures.items():
            found.setdefault(name, {}).update(numbers)
    return found


#: The floating IPs (IPv4 addresses) of servers by uuid; those without any may be missing.
Floating = Mapping[str, Collection[str]]


class Readable(Protocol):
    """The read side of a knob."""

    def read(self) -> Mapping[str, Reading]:
        """What the object holds now, by the name of each resource that it serves."""


class Knob(Readable, Protocol):
    """One object of the kernel or of libvirt that holds one or several settings of a server.

    Both methods may raise ServerNotRunning (it stopped), HostCannot (this host or this server
    does not offer it), HostRefused (a write was rejected) and HostAway (libvirt does not answer).
    """

    def write(self, values: Mapping[str, int]) -> None:
        """Change the named settings, values in the host's unit, in one operation.

        Returns as soon as the host took them; only a read tells what is applied.
        """


class Domain(Protocol):
    """A running server as its host holds it. The methods raise what those of ``Knob`` raise."""

    def knob(self, name: str) -> Knob:
        """The object that the table's rows name: ``balloon``, ``memory_group``,
        ``memory_floor``, ``cpu_group``, ``cpu_quota``, ``io_group``, ``disk_throttle`` or
        ``net_class``."""

    def admit(self, values: Mapping[str, int]) -> None:
        """Refuse settings, in the host's units, that this host cannot keep beside what it
        guarantees to its other servers; changes nothing.

        :raises HostRefused, HostCannot: with the numbers
        """

    def balloon(self) -> Balloon:
        """Whether the guest's balloon driver lives, and what the guest can spare; never waits."""


class SeenNetwork(Protocol):
    """The host's uplinks as they were when they were listed."""

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        """As ``Network.read``."""

    def figures_of(self, interfaces: Interfaces) -> Figures:
        """What the classes of these interfaces' packets count; nothing where there are none."""

    def figures(self) -> Figures:
        """What the uplinks count of all servers together."""

    @property
    def error(self) -> str | None:
        """Why the uplinks could not be listed; None where they could, or nothing is there to
        list."""


class Network(Protocol):
    """The host's uplinks one way, divided among its servers by weight and guarantees, or only
    limited.

    Every method may raise HostCannot (an uplink belongs to another program, the kernel or the
    agent's rights do not suffice) and HostRefused (no uplink is there now, or the kernel
    rejected a change).
    """

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        """What the kernel does with these interfaces' packets, by resource, UNLIMITED for none:
        ``net_priority``, with the detail ``weight`` where their class has one; ``net_limit`` and
        ``net_guarantee`` in kbit/s. Of what servers receive: ``net_in_priority`` and so on."""

    def admit(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        """As ``Domain.admit``."""

    def write(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        """Change what is named of a server's packets: ``net_priority``, 0 (highest) to 98,
        ``net_limit`` and ``net_guarantee`` in kbit/s; UNLIMITED for none."""

    def snapshot(self) -> SeenNetwork:
        """List all of it once, for reading many servers; raises nothing: where it cannot be
        listed, each reading says why."""

    def tidy(
        self, neighbours: Neighbours, correct: bool, floating: Floating | None
    ) -> None:
        """Forget servers that have ended, follow those whose devices were re-created, and leave
        nothing behind when no server has a priority; with ``correct``, also correct drift.

        Packets that a router of this host sends for a server are known by its floating IPs; None:
        nobody knows them yet, so those that are in force stay.
        """

    def abilities(self) -> Mapping[str, Ability]:
        """Whether a write would succeed, and if not, why, by resource; changes nothing."""

    @property
    def capacity_kbit(self) -> int | None:
        """What can be guaranteed to all servers together, in kbit/s; None for nothing."""


#: Those of a host, by the knob that each is behind.
Networks = Mapping[str, Network]


@dataclass(frozen=True)
class Part:
    """A part of a snapshot: how many seconds it took, and why it could not be had, None where it
    could."""

    seconds: float
    error: str | None = None


#: The knobs that a snapshot has of all servers at once; the others ask for each.
IN_BULK = ("balloon", "net_class", "net_in_class")


class Snapshot(Protocol):
    """All servers of a host as they were when it was taken."""

    @property
    def running(self) -> Collection[str]:
        """The uuids of all domains that ran, nova's and others."""

    def domain(self, server_uuid: str) -> "SeenDomain":
        """One server's domain.

        :raises ServerNotRunning: there was none
        """

    def figures(self) -> Figures:
        """What the host counts of all its servers together."""

    def figures_of(self, server_uuid: str) -> Figures:
        """What the host counts of a server, where the snapshot was taken with figures; what it
        could not tell is left out.

        :raises ServerNotRunning: there was none
        """

    def pressure_of(self, server_uuid: str) -> Figures:
        """For how long a server has waited for what it lacked, as the kernel counts it; nothing
        where that keeps no account.

        :raises ServerNotRunning: there was none
        :raises HostRefused: a file of the kernel's could not be read
        """

    def is_whole(self, server_uuid: str) -> bool:
        """Whether libvirt told all that it has of a server.

        :raises ServerNotRunning: there was none
        """

    @property
    def parts(self) -> Mapping[str, Part]:
        """What it consists of, by ``metric.COLLECTORS``."""


class SeenDomain(Protocol):
    """A domain as it was seen, for reading."""

    def knob(self, name: str) -> Readable:
        """As ``Domain.knob``; it reads what was seen, where that has it."""

    def balloon(self) -> Balloon:
        """As ``Domain.balloon``, as it was seen."""


class Host(Protocol):
    """The machine that the agent runs on."""

    def domain(self, server_uuid: str) -> Domain:
        """The server's running domain.

        :raises ServerNotRunning: there is none
        :raises HostAway: libvirt does not answer
        """

    def look(self, server_uuid: str, names: Iterable[str]) -> "SeenDomain":
        """The server's running domain as it is now, for reading the knobs of these names once, with
        as few calls as possible; raises as ``domain``."""

    def snapshot(self, names: Iterable[str], figures: bool = False) -> Snapshot:
        """All running servers, for reading the knobs of these names: one bulk call to libvirt, one
        listing of nftables and one dump of the classes, however many servers there are.

        :param figures: with what the host counts of each server
        :raises HostAway: libvirt does not answer
        """

    @property
    def memory(self) -> HostMemory:
        """What balancing asks of it."""

    def room(self) -> Room:
        """What the host has for its servers, and its own figures now; no guest is asked.

        :raises HostRefused: the kernel does not tell them
        """

    def watch(self, listener: Listener) -> None:
        """Tell the listener from now on what happens to servers, on a thread of the host's."""

    def settle(self) -> None:
        """Bring what servers are guaranteed in line with which of them run now; raises nothing."""

    def tidy(self, correct: bool, floating: Floating | None) -> None:
        """Bring what the servers share in line with which of them run now, and with their floating
        IPs; with ``correct``, also correct drift.

        :raises HostCannot, HostRefused, HostAway: it could not be done; the next call tries again
        """
