# SPDX-License-Identifier: Apache-2.0
"""Which servers to move so that hosts can keep again what their servers are promised and need, with
the fewest MiB to copy. Pure.

A host is short of what its servers take more of than it has: of memory by their needs, of CPU time
and network by their guarantees. A server's need of memory is never below its guarantee, so where
needs fit, guarantees of memory do, too.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from nova_qos.core import cover
from nova_qos.core.cover import Amounts, Cover, Item
from nova_qos.core.moves import SHARED, Host, Move, Plan, Server
from nova_qos.core.targets import Refuses, Targets

#: How many covers are tried before a host is relieved piece by piece.
_COVERS = 20
#: How often making room may fail in vain before it is not tried any more: in a cloud that is full,
#: it takes longest and helps least.
_ROOMS_IN_VAIN = 60
#: In place of 0, to divide by.
_NOTHING = 1e-9
#: By what servers go first: told a server, and how much of what is missing it covers.
Rule = Callable[[Server, float], float]


def nothing_refused(_server: str, _host: str) -> bool:
    """As long as nobody has asked nova."""
    return False


def plan(
    hosts: Sequence[Host], sources: Collection[str] | None = None,
    refuses: Refuses = nothing_refused, may_make_room: bool = True,
) -> Plan:
    """The moves that relieve hosts.

    The plan is no worse than that of ``largest_first``: less is missing after it, or as much and
    no more is copied.

    :param sources: the hosts to relieve; None: all that are short
    :param may_make_room: where there is no place for a server, another one may go on first;
        without that, each move helps by itself, and all can be made in any order
    """
    found = _Planner(hosts, sources, refuses, may_make_room).run()
    if not found.moves and found.is_whole:
        return found
    return min(found, largest_first(hosts, sources, refuses), key=_order)


def largest_first(
    hosts: Sequence[Host], sources: Collection[str] | None = None,
    refuses: Refuses = nothing_refused,
) -> Plan:
    """What an operator would do without a plan: the servers that take most go first."""
    return _Planner(hosts, sources, refuses).run(lambda server, covered: -covered)


def smallest_first(
    hosts: Sequence[Host], sources: Collection[str] | None = None,
    refuses: Refuses = nothing_refused,
) -> Plan:
    """What others do to copy little at a time (minimum migration time): the servers with the least
    to copy go first."""
    return _Planner(hosts, sources, refuses).run(lambda server, covered: server.cost_mib)


def least_cost_mib(hosts: Iterable[Host]) -> int | None:
    """What any plan copies at least, as if all servers found a place; None: some host cannot be
    relieved by moves at all."""
    total = 0
    for host in hosts:
        if host.is_short:
            cost = cover.least_cost(_items(host), host.missing)
            if cost is None:
                return None
            total += cost
    return total


def _order(found: Plan) -> tuple[Amounts, int, int]:
    missing = tuple(sum(amounts) for amounts in zip(*found.missing.values(), strict=True))
    return missing or (0,) * len(SHARED), found.cost_mib, len(found.moves)


def _items(host: Host, useless: Collection[str] = ()) -> list[Item]:
    return [Item(each.key, each.takes[:len(SHARED)], each.cost_mib) for each in host.servers
            if each.fixed is None and each.key not in useless]


def _by_value(server: Server, covered: float) -> float:
    return (server.cost_mib + 1) / (covered or _NOTHING)


def _in_turn(host: Host, rule: Rule) -> list[Server]:
    def covered(server: Server) -> float:
        return sum(min(has, lacks) / lacks for has, lacks
                   in zip(server.takes, host.missing, strict=False) if lacks)

    return sorted((each for each in host.servers if each.fixed is None), key=lambda each: (
        rule(each, covered(each)), -each.takes[0], each.key))


class _Planner:
    """One pass over the hosts that are short."""

    def __init__(
        self, hosts: Sequence[Host], sources: Collection[str] | None, refuses: Refuses,
        may_make_room: bool = False,
    ) -> None:
        self._may_make_room = may_make_room
        self._short = {host.name: host for host in hosts if host.is_short
                       and (sources is None or host.name in sources)}
        self._targets = Targets(
            [host for host in hosts
             if host.is_open and not host.is_short and host.name not in (sources or ())], refuses)
        self._moves: list[Move] = []
        self._in_vain = 0

    def run(self, rule: Rule | None = None) -> Plan:
        """Relieve those first that miss most, since they have the fewest ways.

        :param rule: which servers go first; None: those that together cost least
        """
        for name in sorted(self._short, key=lambda name: (-max(self._short[name].missing), name)):
            if rule is not None:
                self._by_piece(name, rule)
            elif not self._cover(name):
                self._by_piece(name, _by_value, self._may_make_room)
        return Plan(self._moves, {
            name: host.missing for name, host in self._short.items() if host.is_short})

    def _cover(self, name: str) -> bool:
        """Move the cheapest servers that are enough and all find a place; False: there are none."""
        host = self._short[name]
        servers = {each.key: each for each in host.servers}
        useless = {each.key for each in host.servers if each.fixed is None
                   and self._targets.find(each) is None}
        for most in (1, _COVERS):
            tried: list[Cover] = cover.cheapest(_items(host, useless), host.missing, most)
            for found in tried:
                if self._move(name, [servers[item.key] for item in found.items]):
                    return True
            if not tried:
                break
        return False

    def _move(self, source: str, servers: Sequence[Server]) -> bool:
        """Move all of them, or none where one finds no place."""
        before = len(self._moves)
        for server in sorted(servers, key=lambda each: (each.takes, each.key), reverse=True):
            if not self._place(source, server):
                while len(self._moves) > before:
                    self._take_back(self._moves.pop())
                return False
        return True

    def _by_piece(self, name: str, rule: Rule, may_make_room: bool = False) -> None:
        """Move servers one by one, whatever finds a place, until nothing is missing; what has
        become superfluous is left."""
        before = len(self._moves)
        for server in _in_turn(self._short[name], rule):
            host = self._short[name]
            if not host.is_short:
                break
            helps = any(has and lacks for has, lacks in zip(
                server.takes, host.missing, strict=False))
            if helps and not self._place(name, server) and may_make_room:
                self._make_room(name, server)
        self._drop_superfluous(name, before)

    def _drop_superfluous(self, name: str, before: int) -> None:
        """Take moves from this host back that the later ones have made superfluous."""
        mine = (move for move in self._moves[before:] if move.source == name)
        for move in sorted(mine, key=lambda move: -move.server.cost_mib):
            if not self._short[name].keeping(move.server).is_short:
                self._moves.remove(move)
                self._take_back(move)

    def _place(self, source: str, server: Server) -> bool:
        target = self._targets.find(server)
        if target is None:
            return False
        self._commit(Move(server, source, target))
        return True

    def _make_room(self, source: str, server: Server) -> None:
        """Place a server where another one goes on first, if there is such a place."""
        if self._in_vain >= _ROOMS_IN_VAIN:
            return
        found = self._targets.with_room_made(server)
        if found is None:
            self._in_vain += 1
        else:
            onward, target, further = found
            self._commit(Move(onward, target, further))
            self._commit(Move(server, source, target))

    def _commit(self, move: Move) -> None:
        self._moves.append(move)
        self._change(move.source, lambda host: host.without(move.server))
        self._change(move.target, lambda host: host.having(move.server))

    def _take_back(self, move: Move) -> None:
        self._change(move.target, lambda host: host.without(move.server))
        self._change(move.source, lambda host: host.keeping(move.server))

    def _change(self, name: str, change: Callable[[Host], Host]) -> None:
        if name in self._short:
            self._short[name] = change(self._short[name])
        else:
            self._targets.change(name, change)

