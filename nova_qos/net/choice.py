# SPDX-License-Identifier: Apache-2.0
"""Which class a packet that leaves the host belongs to, as rules of nftables."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from nova_qos.net.layout import STRAYS, Rules
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

_BY_MAC, _BY_ADDRESS, _BY_MARK = "by_mac", "by_address", "by_mark"
_HOST_MACS = "host_macs"
_TAP, _GATE = "tap", "uplink"
_CHAIN = re.compile(f"({_TAP}|{_GATE})([0-9]+)")
# Before every other chain, so that they find the mark.
_FIRST = -500
_Key = TypeVar("_Key", str, int)
#: What an address of a packet is looked up as.
_TYPES = {_BY_MAC: "ether_addr", _BY_ADDRESS: "ipv4_addr", _BY_MARK: "mark"}


class ChoiceTable(Table):
    """Marks what servers send, and chooses the class of it at the uplinks."""

    def _made(self) -> list[Command]:
        return [
            {"add": self.itself},
            *({"add": {"map": {**self.place, "name": name, "type": kind, "map": "classid"}}}
              for name, kind in _TYPES.items()),
            {"add": {"set": {**self.place, "name": _HOST_MACS, "type": "ether_addr"}}},
        ]

    def _samples(self, device: int) -> Iterator[Command]:
        yield from self._tap_chain(device, self.marks.with_priority[0])
        yield from self._gate_chain(device)

    def _differences(self, before: Rules, after: Rules) -> Iterator[Command]:
        for chain in before.foreign:
            yield self.chain("delete", chain)
        for gone in before.gates - after.gates:
            yield self.chain("delete", f"{_GATE}{gone}")
        for device, minor in before.taps.items():
            if after.taps.get(device) != minor:
                yield self.chain("delete", f"{_TAP}{device}")
        yield from self.elements("delete", _HOST_MACS, before.host_macs - after.host_macs)
        yield from self._mapping_differences(_BY_MAC, before.macs, after.macs)
        yield from self._mapping_differences(_BY_ADDRESS, before.addresses, after.addresses)
        yield from self._mapping_differences(_BY_MARK, before.marks, after.marks)
        yield from self.elements("add", _HOST_MACS, after.host_macs - before.host_macs)
        for device, minor in after.taps.items():
            if before.taps.get(device) != minor:
                yield from self._tap_chain(device, minor)
        for device in after.gates - before.gates:
            yield from self._gate_chain(device)

    def _mapping_differences(
        self, name: str, before: Mapping[_Key, int], after: Mapping[_Key, int]
    ) -> Iterator[Command]:
        stale = [key for key, minor in before.items() if after.get(key) != minor]
        yield from self.elements("delete", name, stale)
        fresh = [[key, class_name(minor)] for key, minor in after.items()
                 if before.get(key) != minor]
        yield from self.elements("add", name, fresh)

    def _tap_chain(self, device: int, minor: int) -> Iterator[Command]:
        yield self.hooked(f"{_TAP}{device}", device, "ingress", _FIRST)
        yield from self.rules_of(f"{_TAP}{device}", _tap_rules(self.marks, minor))

    def _gate_chain(self, device: int) -> Iterator[Command]:
        yield self.hooked(f"{_GATE}{device}", device, "egress", 0)
        yield from self.rules_of(f"{_GATE}{device}", _gate_rules(self.marks))

    def _parsed(self, listed: list[Command]) -> Rules:
        rules = Rules()
        _add_elements(rules, listed)
        gate_rules = _gate_rules(self.marks)
        for chain, expressions in chains_of(listed).items():
            named = _CHAIN.fullmatch(chain)
            kind, device = (named[1], int(named[2])) if named else (None, 0)
            if kind == _GATE and expressions == gate_rules:
                rules.gates.add(device)
            elif kind == _TAP and (minor := _marked(expressions, self.marks)) is not None:
                rules.taps[device] = minor
            else:
                rules.foreign.add(chain)
        return rules


def _tap_rules(marks: Marks, minor: int) -> list[Rule]:
    return [[set_meta("mark", {"|": [{"&": [MARK, marks.others]}, marks.of(minor)]})]]


_SOURCE = {"payload": {"protocol": "ether", "field": "saddr"}}
_ADDRESS = {"payload": {"protocol": "ip", "field": "saddr"}}


def _gate_rules(marks: Marks) -> list[Rule]:
    # Later rules overrule earlier ones: a guest can choose its addresses, but not its mark. What a
    # router in another namespace sends has no mark and the router's address.
    return [
        [{"match": {"op": "!=", "left": _SOURCE, "right": f"@{_HOST_MACS}"}},
         set_meta("priority", class_name(STRAYS))],
        [set_meta("priority", {"map": {"key": _SOURCE, "data": f"@{_BY_MAC}"}})],
        [set_meta("priority", {"map": {"key": _ADDRESS, "data": f"@{_BY_ADDRESS}"}})],
        [set_meta("priority", {"map": {"key": {"&": [MARK, marks.mask]}, "data": f"@{_BY_MARK}"}})],
    ]


def _marked(rules: list[Rule], marks: Marks) -> int | None:
    """The class that a tap's packets are marked with, if its chain does that and no more."""
    match rules:
        case [[{"mangle": {"key": key, "value": {"|": [{"&": [left, int(kept)]}, int(mark)]}}}]]:
            # nft lists a bit that is set as kept or not, as its version likes it
            if key == left == MARK and kept & ~mark == marks.others:
                return marks.minor(mark)
    return None


def _add_elements(rules: Rules, listed: list[Command]) -> None:
    for each in listed:
        held = each.get("map") or each.get("set") or {}
        elements = held.get("elem", [])
        if held.get("name") == _BY_MAC:
            rules.macs.update((_bare(mac), minor_of_name(name)) for mac, name in elements)
        elif held.get("name") == _BY_ADDRESS:
            rules.addresses.update(
                (_bare(address), minor_of_name(name)) for address, name in elements)
        elif held.get("name") == _BY_MARK:
            rules.marks.update((_bare(mark), minor_of_name(name)) for mark, name in elements)
        elif held.get("name") == _HOST_MACS:
            rules.host_macs.update(_bare(mac) for mac in elements)


def _bare(element: Any) -> Any:
    """An element without what others have noted of it: a comment, a timeout, a counter."""
    return element["elem"]["val"] if isinstance(element, dict) else element
