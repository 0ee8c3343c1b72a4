# SPDX-License-Identifier: Apache-2.0
"""What is known of the hosts while one of them is relieved, and what became of the moves so far."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from nova_qos import client_relief
from nova_qos.client_hosts import HostState, Placed
from nova_qos.core import relief
from nova_qos.core.cover import Amounts
from nova_qos.core.moves import SHARED, Host, Move, Plan, Server

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
        return client_relief.with_cushion(self._plan)

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
        found = {name: client_relief.host(state, self.fixed, self._is_open(name), cushion)
                 for name, state in self.states.items() if client_relief.tells(state)}
        for key, move in (*self.done.items(), *self.under_way.items()):
            # until it has gone, it takes room on both sides; the source is not to lose more for it
            has_gone = key in self.done or move.source == self.source
            if has_gone and move.source in found:
                found[move.source] = _without(found[move.source], key)
            if move.target in found:
                found[move.target] = _having(found[move.target], move.server)
        return found

    def _is_open(self, name: str) -> bool:
        return name != self.source and name in self.usable and self.to in (None, name)


def _without(host: Host, key: str) -> Host:
    for server in host.servers:
        if server.key == key:
            return host.without(server)
    return host


def _having(host: Host, server: Server) -> Host:
    return host if any(each.key == server.key for each in host.servers) else host.having(server)
