# SPDX-License-Identifier: Apache-2.0
"""What the servers of a host are guaranteed, and what follows for the control groups of each.

A guarantee of CPU time is a raised weight, and how far it is raised depends on the weights of all
servers. So what one server asks for, and each start and end of another, may change the weights of
those with a guarantee. ``core.plan`` computes them.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from nova_qos.core import errors
from nova_qos.core.plan import Asked, Capacity, Granted, plan, require_room
from nova_qos.core.scales import DEFAULT_CPU_SHARES
from nova_qos.virt import groups
from nova_qos.virt.groups import Group

LOG = logging.getLogger(__name__)

#: All servers' groups now, by ``groups.machine``.
Present = Callable[[], Mapping[str, Group]]
#: The CPU shares that a group has.
ReadShares = Callable[[Group], int]
#: Give a group other shares, or other memory, than it was granted before.
Give = Callable[[Group, Granted, Granted], None]


@dataclass(frozen=True)
class Promise:
    """What one server asks for, and what it was granted last; ``machine`` as ``groups.machine``
    has it, by which another start of the same server is told from this one."""

    machine: str
    asked: Asked
    granted: Granted


class Promises:
    """The guarantees of all servers of a host; used by many threads.

    They are forgotten when the agent ends; the next one learns them as it looks at each server.
    """

    def __init__(
        self, capacity: Capacity, present: Present, read_shares: ReadShares, give: Give
    ) -> None:
        self.capacity = capacity
        self._present, self._read_shares, self._give = present, read_shares, give
        self._lock = threading.Lock()
        self._all: dict[str, Promise] = {}

    def of(self, server_uuid: str) -> Promise | None:
        """What a server is promised; None for nothing."""
        return self._all.get(server_uuid)

    def all_asked(self) -> list[Asked]:
        """What all servers with a promise ask for."""
        with self._lock:
            return [each.asked for each in self._all.values()]

    def require_room(
        self, server_uuid: str, machine: str, cpu_percent: int | None = None,
        memory_mib: int | None = None,
    ) -> None:
        """:raises HostRefused: the host cannot keep this beside what it has promised already."""
        with self._lock:
            present = self._present()
            asked = self._changed(server_uuid, machine, present, None, cpu_percent, memory_mib)
            now = {**self._now(present), self._name(server_uuid, machine): asked}
            require_room(now, self._name(server_uuid, machine), self.capacity)

    def ask(
        self, server_uuid: str, machine: str, shares: int | None = None,
        cpu_percent: int | None = None, memory_mib: int | None = None,
    ) -> Granted:
        """Note what a server asks for, None for what it asked before, and give the others what
        follows from that.

        :returns: what the server itself gets, to be written by the caller
        """
        with self._lock:
            present = self._present() if self._all or cpu_percent or memory_mib else {}
            asked = self._changed(server_uuid, machine, present, shares, cpu_percent, memory_mib)
            if not (asked.cpu_percent or asked.memory_mib):
                self._all.pop(server_uuid, None)
            else:
                self._all[server_uuid] = Promise(machine, asked, Granted(asked.shares))
            if self._all:
                self._settle(present, server_uuid, machine, asked)
            promise = self._all.get(server_uuid)
            return promise.granted if promise else Granted(asked.shares)

    def forget(self, server_uuid: str) -> None:
        """Forget a server that has started anew, or ended."""
        with self._lock:
            self._all.pop(server_uuid, None)

    def settle(self) -> None:
        """Give each server with a promise what follows from which servers run now."""
        with self._lock:
            if self._all:
                self._settle(self._present())

    def _settle(
        self, present: Mapping[str, Group], mine: str | None = None, machine: str = "",
        asked: Asked | None = None,
    ) -> None:
        """:param mine: the server that asks, whose group its knob writes itself"""
        self._all = {uuid: each for uuid, each in self._all.items()
                     if each.machine in present or uuid == mine}
        now = self._now(present)
        if mine is not None and asked is not None:
            now[self._name(mine, machine)] = asked
        granted = plan(now, self.capacity)
        for uuid, promise in self._all.items():
            new = granted[uuid]
            if uuid != mine and new != promise.granted:
                try:
                    self._give(present[promise.machine], promise.granted, new)
                except (OSError, errors.QosError) as error:
                    # it has ended, or a later look at it tries again
                    LOG.warning("Could not adapt what server %s is guaranteed: %s", uuid, error)
                    continue
            self._all[uuid] = replace(promise, granted=new)

    def _now(self, present: Mapping[str, Group]) -> dict[str, Asked]:
        """What every running server asks for: those without a promise have their shares."""
        asked = {uuid: each.asked for uuid, each in self._all.items()}
        promised = {each.machine for each in self._all.values()}
        for machine, group in present.items():
            if machine not in promised:
                with suppress(OSError):
                    asked[machine] = Asked(max(1, self._read_shares(group)))
        return asked

    def _changed(
        self, server_uuid: str, machine: str, present: Mapping[str, Group], shares: int | None,
        cpu_percent: int | None, memory_mib: int | None,
    ) -> Asked:
        promise = self._all.get(server_uuid)
        if promise is not None and promise.machine == machine:
            before = promise.asked
        else:
            before = Asked(DEFAULT_CPU_SHARES)
            if shares is None and machine in present:
                with suppress(OSError):
                    before = Asked(max(1, self._read_shares(present[machine])))
        changes = {"shares": shares, "cpu_percent": cpu_percent, "memory_mib": memory_mib}
        return replace(before, **{
            name: value for name, value in changes.items() if value is not None})

    def _name(self, server_uuid: str, machine: str) -> str:
        return server_uuid if server_uuid in self._all else machine


def present_v1() -> Mapping[str, Group]:
    """``Present`` with cgroup v1."""
    root = groups.v1_root("cpu")
    return groups.inhabited(root) if root else {}
