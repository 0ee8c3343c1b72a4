# SPDX-License-Identifier: Apache-2.0
"""Which class a packet to a server belongs to, as rules of nftables.

What goes out through a server's tap is for the server. It is forwarded to a device of ours, whose
classes hand it on to the tap. What another server of the host has sent carries a mark, and passes.
"""

import re
from collections.abc import Iterator

from nova_qos.net.layout import Rules
from nova_qos.net.marks import Marks
from nova_qos.net.nft import (
    MARK,
    Command,
    Rule,
    Table,
    chains_of,
    class_name,
    minor_of_name,
    set_meta,
)
from nova_qos.net.objects import RECEIVER, index_of

_FROM, _TO = "from", "to"
_CHAIN = re.compile(f"({_FROM}|{_TO})([0-9]+)")
# Before the chain that marks what has a class of its own.
_FIRST = -501
# After every other chain: what is forwarded passes no later ones.
_LAST = 500


class ForwardTable(Table):
    """``taps`` of its rules forward to a class, ``gates`` are taps whose packets are marked."""

    def _state(self) -> object | None:
        # a rule goes on leading to the number of a device that has gone
        state = super()._state()
        return None if state is None else (state, index_of(RECEIVER))

    def _made(self) -> list[Command]:
        return [{"add": self.itself}]

    def _samples(self, device: int) -> Iterator[Command]:
        yield from self._from_chain(device)
        # to a device that is there, as the one of ours may not be
        yield from self._to_chain(device, self.marks.with_priority[0], "lo")

    def _differences(self, before: Rules, after: Rules) -> Iterator[Command]:
        for chain in before.foreign:
            yield self.chain("delete", chain)
        for gone in before.gates - after.gates:
            yield self.chain("delete", f"{_FROM}{gone}")
        for device, minor in before.taps.items():
            if after.taps.get(device) != minor:
                yield self.chain("delete", f"{_TO}{device}")
        for device in after.gates - before.gates:
            yield from self._from_chain(device)
        for device, minor in after.taps.items():
            if before.taps.get(device) != minor:
                yield from self._to_chain(device, minor)

    def _from_chain(self, device: int) -> Iterator[Command]:
        yield self.hooked(f"{_FROM}{device}", device, "ingress", _FIRST)
        yield from self.rules_of(f"{_FROM}{device}", _from_rules(self.marks))

    def _to_chain(self, device: int, minor: int, receiver: str = RECEIVER) -> Iterator[Command]:
        yield self.hooked(f"{_TO}{device}", device, "egress", _LAST)
        yield from self.rules_of(f"{_TO}{device}", _to_rules(self.marks, minor, receiver))

    def _parsed(self, listed: list[Command]) -> Rules:
        rules = Rules()
        for chain, expressions in chains_of(listed).items():
            named = _CHAIN.fullmatch(chain)
            kind, device = (named[1], int(named[2])) if named else (None, 0)
            if kind == _FROM and _marks_local(expressions, self.marks):
                rules.gates.add(device)
            elif kind == _TO and (minor := _forwarded(expressions, self.marks)) is not None:
                rules.taps[device] = minor
            else:
                rules.foreign.add(chain)
        return rules


def _from_rules(marks: Marks) -> list[Rule]:
    return [[set_meta("mark", {"|": [{"&": [MARK, marks.others]}, marks.local]})]]


def _to_rules(marks: Marks, minor: int, receiver: str) -> list[Rule]:
    return [
        [{"match": {"op": ">=", "left": {"&": [MARK, marks.mask]}, "right": marks.local}},
         {"accept": None}],
        [set_meta("priority", class_name(minor)), {"fwd": {"dev": receiver}}],
    ]


def _marks_local(rules: list[Rule], marks: Marks) -> bool:
    match rules:
        case [[{"mangle": {"key": key, "value": {"|": [{"&": [left, int(kept)]}, int(mark)]}}}]]:
            # nft lists a bit that is set as kept or not, as its version likes it
            return bool(key == left == MARK and mark == marks.local
                        and kept & ~mark == marks.others & ~mark)
    return False


def _forwarded(rules: list[Rule], marks: Marks) -> int | None:
    """The class that a chain forwards to, if it does that and no more; None also where it forwards
    to a device that has gone, which nft lists without a name."""
    match rules:
        case [_, [{"mangle": {"value": str(name)}}, {"fwd": _}]]:
            minor = minor_of_name(name)
            return minor if rules == _to_rules(marks, minor, RECEIVER) else None
    return None
