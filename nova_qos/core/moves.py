# SPDX-License-Identifier: Apache-2.0
"""Servers and hosts as a planner of moves sees them: what is taken, what is left. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nova_qos.core.cover import Amounts

#: What a host shares among its servers, and last the memory that is free on it: who comes takes
#: what is resident of it, and must find that before it is gone from where it was.
SHARED = ("memory", "cpu", "net", "net_in")
TAKEN = (*SHARED, "free")
_HAS_MOVED = "it has just moved"


@dataclass(frozen=True)
class Server:
    """A server on a host: what it takes, by ``TAKEN``, and the MiB to copy when it moves (resident
    memory and local disk). ``fixed`` says why it cannot move; None: as far as is known, it can."""

    key: str
    takes: Amounts
    cost_mib: int
    fixed: str | None = None


@dataclass(frozen=True)
class Host:
    """A host: what it has left, by ``TAKEN``; of the shared ones, what is below 0 is missing.
    ``is_open``: servers may come to it."""

    name: str
    left: Amounts
    servers: Sequence[Server] = ()
    is_open: bool = True

    @property
    def missing(self) -> Amounts:
        """What is missing, by ``SHARED``."""
        return tuple(max(0, -left) for left in self.left[:len(SHARED)])

    @property
    def is_short(self) -> bool:
        """Whether anything is missing."""
        return any(self.missing)

    def without(self, server: Server) -> "Host":
        """The host after the server has gone."""
        return replace(
            self, left=tuple(a + b for a, b in zip(self.left, server.takes, strict=True)),
            servers=[each for each in self.servers if each.key != server.key])

    def having(self, server: Server) -> "Host":
        """The host after the server has come, from where it does not move again."""
        return replace(
            self, left=tuple(a - b for a, b in zip(self.left, server.takes, strict=True)),
            servers=[*self.servers, replace(server, fixed=_HAS_MOVED)])

    def keeping(self, server: Server) -> "Host":
        """The host as it was before the server went."""
        return replace(self.having(server), servers=[*self.servers, server])

    def fits(self, server: Server) -> bool:
        """Whether it can keep what the server takes beside what it keeps already."""
        return all(left >= takes for left, takes in zip(self.left, server.takes, strict=True)
                   if takes > 0)


@dataclass(frozen=True)
class Move:
    """A server that goes from one host to another."""

    server: Server
    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """Moves in an order in which no target is ever short, and what is missing after them, by host
    and by ``SHARED``."""

    moves: Sequence[Move] = ()
    missing: Mapping[str, Amounts] = field(default_factory=dict)

    @property
    def cost_mib(self) -> int:
        """The MiB to copy."""
        return sum(move.server.cost_mib for move in self.moves)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing after it."""
        return not self.missing
