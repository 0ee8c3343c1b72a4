# SPDX-License-Identifier: Apache-2.0
"""What balancing does on a host, as reports and metrics tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nova_qos.agent.balance.standing import Standing
from nova_qos.host import Figures

Mode = Literal["off", "report", "on"]
State = Literal["calm", "tense", "short"]
STATES: tuple[State, ...] = ("calm", "tense", "short")
_BYTES_PER_MIB = 2**20


@dataclass(frozen=True)
class Account:
    """Balancing of a host at its last look.

    ``state`` is None before the first, and ``since_s`` (s since 1970) when it became that;
    ``reasons`` say why. ``room_mib`` is what there is for the servers that it manages, None while
    no guest is looked at. ``plans`` says what the plan is for each; ``unmanaged`` why the others
    have none. ``moves`` counts how often a balloon was told another size since the agent's start.
    """

    mode: Mode
    state: State | None = None
    since_s: float = 0.0
    reasons: Sequence[str] = ()
    room_mib: float | None = None
    plans: Mapping[str, Standing] = field(default_factory=dict)
    unmanaged: Mapping[str, str] = field(default_factory=dict)
    moves: int = 0

    @property
    def lent_mib(self) -> float:
        """What all servers together have lent of their guarantees."""
        return sum(each.lent_mib for each in self.plans.values())

    @property
    def lacking_mib(self) -> float:
        """What all servers together lack of what they need."""
        return sum(each.lacking_mib for each in self.plans.values())

    def count(self, word: str) -> int:
        """How many servers are ``distressed``, ``holds``, ``stuck`` or ``stale``."""
        return sum(getattr(each, word) for each in self.plans.values())

    def shown(self) -> dict[str, Any]:
        """As a host's report shows it, in JSON's types."""
        return {
            "mode": self.mode, "state": self.state, "reasons": list(self.reasons),
            "room": None if self.room_mib is None else round(self.room_mib),
            "managed": len(self.plans), "unmanaged": len(self.unmanaged),
            "lent": round(self.lent_mib), "lacking": round(self.lacking_mib),
            **{word: self.count(word) for word in WORDS}, "moves": self.moves}

    def figures(self) -> Figures:
        """As metrics; nothing while balancing is off."""
        if self.state is None:
            return {}
        found: dict[str, dict[tuple[str, ...], float]] = {
            "balance_state": {(state,): float(state == self.state) for state in STATES},
            "balance_moves_total": {(): self.moves},
            "balance_servers": {(word,): self.count(word) for word in WORDS}}
        if self.room_mib is not None:
            found["balance_room_bytes"] = {(): self.room_mib * _BYTES_PER_MIB}
        return found

    def figures_of(self, server_uuid: str) -> Figures:
        """The metrics of one server; nothing where it is not managed."""
        standing = self.plans.get(server_uuid)
        if standing is None:
            return {}
        sizes = {"wanted": standing.wish_mib, "lent": standing.lent_mib,
                 "lacking": standing.lacking_mib}
        return {f"server_balance_{name}_bytes": {(): max(0.0, mib) * _BYTES_PER_MIB}
                for name, mib in sizes.items()}


#: What may be said of a server.
WORDS = ("distressed", "holds", "stuck", "stale")
