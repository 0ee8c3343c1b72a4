# SPDX-License-Identifier: Apache-2.0
"""What every room talks about: a server's flavor, readings, and the host behind a protocol."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

#: Why what was asked for is not there: it can still come; the host never will; host or guest will
#: not at present; the guest took its memory back; somebody else has changed it.
Hindrance = Literal["pending", "unsupported", "refused", "deflated", "drifted"]
State = Literal["unset", "applied", "pending", "refused", "deflated", "drifted", "unsupported"]
#: What has happened to a server; "unknown" after a time when nobody looked.
Change = Literal["started", "changed", "ended", "unknown"]

#: What the host says where a resource has no limit.
UNLIMITED = -1


@dataclass(frozen=True)
class Flavor:
    """What nova promised the server: memory in MiB, and CPU shares where the flavor sets them.

    ``fair_cpu_shares`` is what the operator gives its vCPUs where the flavor sets none.
    """

    memory_mib: int
    cpu_shares: int | None = None
    fair_cpu_shares: int | None = None


@dataclass(frozen=True)
class NewServer:
    """A server that has just been created, as post-create hooks see it."""

    uuid: str
    name: str
    project_id: str
    flavor: Flavor
    extra_specs: Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """What the host answers for one resource of one server.

    ``applied`` is in the host's unit (memory: KiB), ``UNLIMITED`` where nothing limits, None where
    there is nothing to read. ``effective`` tells whether the value does anything on this host;
    ``reason`` is a sentence on whatever is not as one would expect. ``details`` are further
    figures in the host's unit. ``hindered`` tells why the value asked for is not there, where that
    is known; ``since`` is the time (s since 1970) from which on the agent has seen it like this.
    ``span`` is the least and the most of the values that the host cannot tell from ``applied``,
    because its own scale is coarser; None where each value is told from every other.
    ``by_other_means``: the host does not do this as it is configured to, so it is to be done anew.
    """

    applied: int | None
    effective: bool = True
    reason: str | None = None
    details: Mapping[str, int] = field(default_factory=dict)
    hindered: Hindrance | None = None
    since: float | None = None
    span: tuple[int, int] | None = None
    by_other_means: bool = False

    def holds(self, target: int) -> bool:
        """Whether the host has this value as it should, as far as it can tell values apart."""
        if self.by_other_means:
            return False
        if self.span is not None:
            return self.span[0] <= target <= self.span[1]
        return self.applied == target

    @property
    def waits(self) -> bool:
        """Nothing could be written yet; it is to be applied later."""
        return self.hindered == "pending" and self.applied is None


@dataclass(frozen=True)
class Balloon:
    """The state of a guest's memory balloon, in KiB.

    ``alive`` when a driver in the guest answers, else ``reason`` says what is missing.
    ``usable_kib`` is what the guest could give without swapping. ``autodeflates``: a guest short
    of memory takes it back by itself.
    """

    alive: bool
    reason: str | None
    actual_kib: int
    usable_kib: int
    autodeflates: bool = False


@dataclass(frozen=True)
class Limits:
    """How far the operator lets a change go: memory left to a guest beyond what it uses (KiB),
    and whether the caller takes the risk of going below."""

    reserve_kib: int
    force: bool = False


@dataclass(frozen=True)
class Interface:
    """One network interface of a running server.

    ``mac`` is the guest's address, in lower case. ``tap`` is the device of the host that the
    guest's packets come in from, None where there is none; ``parent`` the one that a macvtap
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


class Network(Protocol):
    """The host's uplinks, shared out among its servers by weight.

    Every method may raise HostCannot (an uplink belongs to someone else, the kernel or the
    agent's rights do not suffice) and HostRefused (no uplink is there now, or the kernel
    rejected a change).
    """

    def read_priority(self, interfaces: Interfaces) -> Reading:
        """The priority that the kernel gives these interfaces' packets, UNLIMITED for none;
        details: ``weight``, where their class has one."""

    def at_once(self) -> AbstractContextManager[None]:
        """Inside, the readings of this thread may be as old as the first of them."""

    def write_priority(self, server_uuid: str, priority: int, neighbours: Neighbours) -> None:
        """Give a server's outbound packets a priority, 0 (highest) to 98; UNLIMITED takes it."""

    def tidy(self, neighbours: Neighbours, mend: bool) -> None:
        """Forget servers that run no more, follow those whose devices were made anew, and leave
        nothing behind when no server has a priority; with ``mend``, also put right what others
        have changed."""


class Domain(Protocol):
    """The running server as its host holds it.

    Every method may raise ServerNotRunning (it stopped), HostCannot (this host or this domain
    does not offer it), HostRefused (a write was rejected) and HostAway (libvirt is gone).
    A write returns as soon as the host took it; only a read tells what is applied.
    """

    def is_paused(self) -> bool:
        """Whether the guest stands still, so that its balloon cannot move."""

    def read_memory(self) -> Reading:
        """The balloon's actual size in KiB; details: the balloon's figures (KiB, last_update s)."""

    def write_memory(self, memory_kib: int) -> None:
        """Ask the guest to inflate or deflate its balloon."""

    def read_balloon(self) -> Balloon:
        """Whether the guest's balloon driver lives, and what the guest can spare."""

    def read_memory_soft_limit(self) -> Reading:
        """The soft limit in KiB or UNLIMITED."""

    def write_memory_soft_limit(self, memory_kib: int) -> None:
        """Set the soft limit in KiB; UNLIMITED lifts it."""

    def read_cpu_shares(self) -> Reading:
        """CPU shares on the API's scale (1024 = a server nobody touched)."""

    def write_cpu_shares(self, shares: int) -> None:
        """Set CPU shares given on the API's scale."""

    def read_io_weight(self) -> Reading:
        """The disk I/O weight that the kernel's scheduler uses."""

    def write_io_weight(self, weight: int) -> None:
        """Set the disk I/O weight."""

    def read_net_priority(self) -> Reading:
        """The priority of the server's outbound traffic, 0 (highest) to 98, or UNLIMITED; details:
        ``weight``, its part of the uplink against the others', while any server has a priority.
        """

    def write_net_priority(self, priority: int) -> None:
        """Set the priority of its outbound traffic; UNLIMITED takes it away."""


#: Told a server's uuid and what has happened to it; None = any server. Returns at once.
Listener = Callable[[str | None, Change], None]


class Host(Protocol):
    """The machine that the agent runs on."""

    def domain(self, server_uuid: str) -> Domain:
        """The server's running domain.

        :raises ServerNotRunning: there is none
        :raises HostAway: libvirt does not answer
        """

    def at_once(self) -> AbstractContextManager[None]:
        """For reading many servers: inside, what they share is looked at once by this thread."""

    def watch(self, listener: Listener) -> None:
        """Tell the listener from now on what happens to servers, on a thread of the host's."""

    def tidy(self, mend: bool) -> None:
        """Bring what the servers share in line with which of them run now; with ``mend``, also
        put right what others have changed.

        :raises HostCannot, HostRefused, HostAway: it could not be done; the next one mends it
        """
