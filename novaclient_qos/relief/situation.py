# SPDX-License-Identifier: Apache-2.0
"""What is known of the hosts while one of them is relieved, and what became of the moves so far."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from nova_qos.client_hosts import HostState, Placed
from nova_qos.core import relief
from nova_qos.core.contention import TENSE_SHARE
from nova_qos.core.cover import Amounts
from nova_qos.core.moves import SHARED, Host, Move, Plan, Server

#: The part of a target's memory that is to stay free of needs, as long as that leaves a plan:
#: guests use more tomorrow, and a target that is full is the next to be short.
CUSHION_SHARE = 0.05
_IS_NEW = "it has just come"


@dataclass
class Situation:
    """``states`` are the hosts as their agents told last, ``usable`` those that nova places servers
    on, ``to`` the only target wanted. ``refused`` are pairs of a server and a host that nova has
    refused, ``fixed`` says of servers why they cannot move. ``under_way`` are the moves that nova
    carries out, and ``done`` those that have ended well, by the id of the server: agents tell of
    them a moment later."""

    source: str
    states: dict[str, HostState]
    usable: Collection[str]
    to: str | None = None
    refused: set[tuple[str, str]] = field(default_factory=set)
    fixed: dict[str, str] = field(default_factory=dict)
    under_way: dict[str, Move] = field(default_factory=dict)
    done: dict[str, Move] = field(default_factory=dict)

    def update(self, states: Iterable[HostState]) -> None:
        """Take in what agents tell now."""
        self.states |= {each.name: each for each in states}
        for key, move in list(self.done.items()):
            if key in self.placed(move.target) and key not in self.placed(move.source):
                # both agents know of it by now
                del self.done[key]
                self.fixed.setdefault(key, _IS_NEW)

    def placed(self, host: str) -> Mapping[str, Placed]:
        """The servers of a host by id, as its agent told."""
        state = self.states.get(host)
        return {each.id: each for each in (state.placed if state else None) or ()}

    @property
    def is_known(self) -> bool:
        """Whether the agent of the host tells of it now."""
        return self.source in self.hosts()

    def plan(self) -> Plan:
        """What to move next; with a cushion on targets where that relieves the host, too."""
        plan = self._plan(CUSHION_SHARE)
        return plan if plan.is_whole else self._plan(0.0)

    def _plan(self, cushion: float) -> Plan:
        return relief.plan(
            list(self.hosts(cushion).values()), [self.source],
            lambda server, host: (server, host) in self.refused)

    @property
    def missing(self) -> Amounts:
        """What the host is short of, by ``SHARED``, when all that is under way has gone; nothing
        where that is not known."""
        host = self.hosts().get(self.source)
        return host.missing if host is not None else (0,) * len(SHARED)

    def hosts(self, cushion: float = 0.0) -> dict[str, Host]:
        """All hosts that tell of themselves now, by name.

        :param cushion: the part of a target's memory that nobody may take
        """
        found = {name: self._host(state, cushion) for name, state in self.states.items()
                 if state.agent == "up" and state.placed is not None and not state.age_s}
        for key, move in (*self.done.items(), *self.under_way.items()):
            # until it has gone, it takes room on both sides; the source is not to lose more for it
            has_gone = key in self.done or move.source == self.source
            if has_gone and move.source in found:
                found[move.source] = _without(found[move.source], key)
            if move.target in found:
                found[move.target] = _having(found[move.target], move.server)
        return found

    def _host(self, state: HostState, cushion: float) -> Host:
        is_open = (state.name != self.source and state.name in self.usable
                   and self.to in (None, state.name))
        host = Host(state.name, _left(state), [
            self._server(each) for each in state.placed or ()], is_open)
        if not is_open or host.left[0] < 0:
            return host
        kept = int(cushion * (state.memory.capacity or 0))
        return replace(host, left=(max(0, host.left[0] - kept), *host.left[1:]))

    def _server(self, placed: Placed) -> Server:
        resident = _resident_mib(placed)
        fixed = self.fixed.get(placed.id) or placed.fixed
        return Server(
            placed.id, (placed.need, *(placed.guaranteed.get(name, 0) for name in SHARED[1:]),
                        resident), resident + placed.disk,
            fixed or (None if placed.running else "it does not run"))


def _left(state: HostState) -> Amounts:
    """What the host has left of what it shares; where it can guarantee nothing, nothing is missing
    either. Of free memory, as much as it must lose to be tense."""
    memory = state.memory
    shared = [0 if use.capacity is None else use.capacity - (use.guaranteed or 0)
              for use in (state.uses[name] for name in SHARED[1:])]
    return ((memory.capacity or 0) - (memory.needs or 0), *shared,
            int((memory.available or 0) - TENSE_SHARE * (memory.total or 0)))


def _resident_mib(placed: Placed) -> int:
    if not placed.running:
        return 0
    if placed.resident is not None:
        return placed.resident
    return placed.flavor if placed.applied is None else int(placed.applied)


def _without(host: Host, key: str) -> Host:
    for server in host.servers:
        if server.key == key:
            return host.without(server)
    return host


def _having(host: Host, server: Server) -> Host:
    return host if any(each.key == server.key for each in host.servers) else host.having(server)
