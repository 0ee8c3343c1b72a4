# SPDX-License-Identifier: Apache-2.0
"""Relieves one host: plans, asks nova for a move, sees what becomes of it, and plans anew."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nova_qos.client import Client
from nova_qos.client_moves import Moves
from nova_qos.core.moves import Move
from novaclient_qos.osc.cloud import FAILURES, sentence
from novaclient_qos.relief.carried import Carried
from novaclient_qos.relief.situation import Situation

_POLL_S = 2.0
#: How old (s) figures of a host may be when a server is moved there, or away from there.
_FRESH_S = 10.0
#: How often a plan may change before a move is begun.
_PLANS = 20
#: How many looks at nova in a row may fail, as they do while it is restarted.
_BLIND_LOOKS = 15
_SILENT = "the agent of {} does not answer any more"


@dataclass(frozen=True)
class Wanted:
    """How to move: so many at a time, cold if so, each for so long at most."""

    parallel: int = 1
    cold: bool = False
    timeout_s: int | None = None


@dataclass
class Relief:
    """``ended`` are the moves that were requested and have an end, ``running`` those that have not.
    ``stopped``: why no more are begun; None: until the host is relieved, or nothing can move."""

    client: Client
    moves: Moves
    situation: Situation
    wanted: Wanted
    say: Callable[[str], None]
    ended: list[Carried] = field(default_factory=list)
    running: list[Carried] = field(default_factory=list)
    stopped: str | None = None
    _told_s: dict[str, float] = field(default_factory=dict)
    _blind: int = 0

    def run(self) -> None:
        """Move until nothing is missing, nothing can move, or a move has failed.

        :raises ApiRefused: the caller may not do this
        """
        began_s = time.monotonic()
        self._told_s = dict.fromkeys(self.situation.states, began_s)
        while True:
            self._begin_more()
            if not self.running:
                break
            self.say(self._progress())
            time.sleep(_POLL_S)
            self._look()
        if self.ended:
            self._refresh({self.situation.source})
            if self.stopped is None and not self.situation.is_known:
                self.stopped = _SILENT.format(self.situation.source)

    def _begin_more(self) -> None:
        while self.stopped is None and len(self.running) < self.wanted.parallel:
            # what waits for the room that another one leaves cannot be planned before that has gone
            if any(each.move.source != self.situation.source for each in self.running):
                return
            move = self._next()
            if move is None:
                return
            self._begin(move)

    def _next(self) -> Move | None:
        """The next move of a plan that is made of fresh figures; None: there is none."""
        for _attempt in range(_PLANS):
            if not self.situation.is_known:
                self.stopped = _SILENT.format(self.situation.source)
                return None
            plan = self.situation.plan()
            if not plan.moves:
                return None
            first = plan.moves[0]
            now_s = time.monotonic()
            old = {host for host in (self.situation.source, first.source, first.target)
                   if now_s - self._told_s[host] > _FRESH_S}
            if not old:
                return first
            self._refresh(old)
        self.stopped = "the hosts change faster than a plan can be made"
        return None

    def _refresh(self, hosts: set[str]) -> None:
        for host in hosts:
            self.situation.update(self.client.hosts(host, servers=True))
            self._told_s[host] = time.monotonic()

    def _begin(self, move: Move) -> None:
        name = self.name_of(move)
        carried = Carried(self.moves, move, name, self.wanted.cold)
        carried.begin()
        if carried.result == "under way":
            self.situation.under_way[move.server.key] = move
            self.running.append(carried)
        else:
            self._end(carried)

    def name_of(self, move: Move) -> str:
        """What the server is called."""
        placed = self.situation.placed(move.source).get(move.server.key)
        return (placed.name if placed else "") or move.server.key

    def _look(self) -> None:
        for carried in list(self.running):
            try:
                carried.look()
                if self._is_late(carried):
                    carried.abort(self.wanted.timeout_s or 0)
                self._blind = 0
            except FAILURES as error:
                self._blind += 1
                if self._blind > _BLIND_LOOKS * len(self.running):
                    carried.result = "failed"
                    carried.details = f"nobody can tell what became of it: {sentence(error)}"
            if carried.result != "under way":
                self.running.remove(carried)
                self._end(carried)

    def _is_late(self, carried: Carried) -> bool:
        return (carried.result == "under way" and self.wanted.timeout_s is not None
                and carried.has_lasted(self.wanted.timeout_s))

    def _end(self, carried: Carried) -> None:
        """Keep what it tells for the plans to come."""
        key, situation = carried.move.server.key, self.situation
        situation.under_way.pop(key, None)
        self.ended.append(carried)
        if carried.result == "moved":
            situation.done[key] = carried.move
        elif carried.result == "refused":
            situation.refused.add((key, carried.move.target))
        elif carried.result == "fixed":
            situation.fixed[key] = carried.details
        else:
            situation.fixed[key] = carried.details
            self.stopped = f"the move of {carried.name} failed: {carried.details}"

    def _progress(self) -> str:
        return "; ".join(f"{each.name} to {each.move.target}: {each.details}"
                         for each in self.running)
