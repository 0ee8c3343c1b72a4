# SPDX-License-Identifier: Apache-2.0
"""Our nftables table: which class a packet belongs to.

``nft`` reads and writes it as JSON (libnftables-json(5)); a change is one transaction.
"""

import json
import os
import re
import shutil
import socket
import subprocess  # nosec B404  # for nft alone, without a shell
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from nova_qos.core import errors
from nova_qos.net import failures, netlink
from nova_qos.net.layout import MAJOR, STRAYS, Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Generation

_TIMEOUT_SECONDS = 30
_ABSENT = "No such file or directory"
_BY_MAC, _BY_ADDRESS, _BY_MARK = "by_mac", "by_address", "by_mark"
_HOST_MACS = "host_macs"
_TAP, _GATE = "tap", "uplink"
_CHAIN = re.compile(f"({_TAP}|{_GATE})([0-9]+)")
# Before every other chain, so that they find the mark.
_FIRST = -500

Command = dict[str, Any]
Rule = list[Command]
_Key = TypeVar("_Key", str, int)
#: What an address of a packet is looked up as.
_TYPES = {_BY_MAC: "ether_addr", _BY_ADDRESS: "ipv4_addr", _BY_MARK: "mark"}


class Table:
    """A table of family netdev, whose rules use these marks."""

    def __init__(self, name: str, marks: Marks) -> None:
        self.marks = marks
        self._name = name
        self._place = {"family": "netdev", "table": name}
        self._itself = {"table": {"family": "netdev", "name": name}}
        # what was listed, and at which generation of the kernel's rules
        self._seen: tuple[Generation, Rules | None] | None = None

    def read(self) -> Rules | None:
        """Everything in it; None when there is no such table. Not to be changed by the caller.

        To list hundreds of chains takes a program of its own and many milliseconds, so what was
        listed counts until the kernel says that rules have changed, whoever changed them.
        """
        before, seen = self._generation(), self._seen
        if seen is not None and before == seen[0]:
            return seen[1]
        rules = self._listed()
        self._seen = None if before is None or before != self._generation() else (before, rules)
        return rules

    def _generation(self) -> Generation | None:
        try:
            return netlink.generation(self._name)
        except OSError:
            # a kernel without nftables; nft says what is wrong
            return None

    def _listed(self) -> Rules | None:
        listed = self._run("list", "table", "netdev", self._name, absent_is_none=True)
        try:
            return None if listed is None else _rules(json.loads(listed)["nftables"], self.marks)
        except (LookupError, TypeError, ValueError) as error:
            raise errors.HostRefused(
                f"prio: nft lists table netdev {self._name} in a form that the agent does not "
                f"know ({type(error).__name__}: {error}); delete it, and the agent makes it anew"
            ) from error

    def change(self, before: Rules | None, after: Rules) -> None:
        """Change the table into its target state in one transaction.

        :param before: None when there is no table
        """
        # an earlier release's table lacks maps, and its chains are foreign; to add what is there
        # changes nothing
        is_whole = before is not None and not before.foreign
        commands = [*([] if is_whole else self._made()),
                    *self._differences(before or Rules(), after)]
        if commands:
            self._run("-f", "-", commands=commands)

    def remove(self) -> None:
        """Take the table away, if it is there."""
        if self.read() is not None:
            self._run("-f", "-", commands=[{"delete": self._itself}])

    def rehearse(self, device: int) -> None:
        """Ask whether the kernel would take all kinds of rules that we make, here on one device;
        nothing is changed.

        :raises HostCannot, HostRefused: as ``change``
        """
        rehearsal = Table(f"{self._name}_rehearsal", self.marks)
        commands = [*rehearsal._made(),
                    *rehearsal._tap_chain(device, self.marks.with_priority[0]),
                    *rehearsal._gate_chain(device)]
        rehearsal._run("--check", "-f", "-", commands=commands)

    def _made(self) -> list[Command]:
        return [
            {"add": self._itself},
            *({"add": {"map": {**self._place, "name": name, "type": kind, "map": "classid"}}}
              for name, kind in _TYPES.items()),
            {"add": {"set": {**self._place, "name": _HOST_MACS, "type": "ether_addr"}}},
        ]

    def _differences(self, before: Rules, after: Rules) -> Iterator[Command]:
        for chain in before.foreign:
            yield self._chain("delete", chain)
        for gone in before.gates - after.gates:
            yield self._chain("delete", f"{_GATE}{gone}")
        for device, minor in before.taps.items():
            if after.taps.get(device) != minor:
                yield self._chain("delete", f"{_TAP}{device}")
        yield from self._elements("delete", _HOST_MACS, before.host_macs - after.host_macs)
        yield from self._mapping_differences(_BY_MAC, before.macs, after.macs)
        yield from self._mapping_differences(_BY_ADDRESS, before.addresses, after.addresses)
        yield from self._mapping_differences(_BY_MARK, before.marks, after.marks)
        yield from self._elements("add", _HOST_MACS, after.host_macs - before.host_macs)
        for device, minor in after.taps.items():
            if before.taps.get(device) != minor:
                yield from self._tap_chain(device, minor)
        for device in after.gates - before.gates:
            yield from self._gate_chain(device)

    def _mapping_differences(
        self, name: str, before: Mapping[_Key, int], after: Mapping[_Key, int]
    ) -> Iterator[Command]:
        stale = [key for key, minor in before.items() if after.get(key) != minor]
        yield from self._elements("delete", name, stale)
        fresh = [[key, _name(minor)] for key, minor in after.items() if before.get(key) != minor]
        yield from self._elements("add", name, fresh)

    def _elements(self, verb: str, name: str, elements: Iterable[object]) -> Iterator[Command]:
        listed = list(elements)
        if listed:
            yield {verb: {"element": {**self._place, "name": name, "elem": listed}}}

    def _chain(self, verb: str, name: str, **hook: object) -> Command:
        return {verb: {"chain": {**self._place, "name": name, **hook}}}

    def _hooked(self, chain: str, device: int, hook: str, priority: int) -> Command:
        try:
            name = socket.if_indextoname(device)
        except OSError as error:
            raise errors.HostRefused(f"prio: device {device} has just disappeared") from error
        return self._chain("add", chain, type="filter", hook=hook, dev=name, prio=priority,
                           policy="accept")

    def _tap_chain(self, device: int, minor: int) -> Iterator[Command]:
        yield self._hooked(f"{_TAP}{device}", device, "ingress", _FIRST)
        yield from self._chain_rules(f"{_TAP}{device}", _tap_rules(self.marks, minor))

    def _gate_chain(self, device: int) -> Iterator[Command]:
        yield self._hooked(f"{_GATE}{device}", device, "egress", 0)
        yield from self._chain_rules(f"{_GATE}{device}", _gate_rules(self.marks))

    def _chain_rules(self, chain: str, rules: list[Rule]) -> Iterator[Command]:
        for rule in rules:
            yield {"add": {"rule": {**self._place, "chain": chain, "expr": rule}}}

    def _run(
        self, *arguments: str, commands: list[Command] | None = None, absent_is_none: bool = False
    ) -> str | None:
        program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            raise errors.HostCannot("prio: the program nft is missing; install nftables")
        try:
            done = subprocess.run(  # noqa: S603  # nosec B603  # no shell; our words
                [program, "-j", *arguments], capture_output=True, text=True,
                input=json.dumps({"nftables": commands}), timeout=_TIMEOUT_SECONDS,
                env={**os.environ, "LC_ALL": "C"})
        except subprocess.TimeoutExpired as error:
            raise errors.HostRefused("prio: nft did not finish in time") from error
        if done.returncode and absent_is_none and _ABSENT in done.stderr:
            return None
        if done.returncode:
            raise failures.of_nft(done.stderr or done.stdout, done.returncode)
        return done.stdout


def _name(minor: int) -> str:
    return f"{MAJOR:x}:{minor:x}"


def _set(key: str, value: object) -> Command:
    return {"mangle": {"key": {"meta": {"key": key}}, "value": value}}


def _tap_rules(marks: Marks, minor: int) -> list[Rule]:
    return [[_set("mark", {"|": [{"&": [_MARK, marks.others]}, marks.of(minor)]})]]


_SOURCE = {"payload": {"protocol": "ether", "field": "saddr"}}
_ADDRESS = {"payload": {"protocol": "ip", "field": "saddr"}}
_MARK = {"meta": {"key": "mark"}}


def _gate_rules(marks: Marks) -> list[Rule]:
    # Later rules overrule earlier ones: a guest can choose its addresses, but not its mark. What a
    # router in another namespace sends has no mark and the router's address.
    return [
        [{"match": {"op": "!=", "left": _SOURCE, "right": f"@{_HOST_MACS}"}},
         _set("priority", _name(STRAYS))],
        [_set("priority", {"map": {"key": _SOURCE, "data": f"@{_BY_MAC}"}})],
        [_set("priority", {"map": {"key": _ADDRESS, "data": f"@{_BY_ADDRESS}"}})],
        [_set("priority", {"map": {"key": {"&": [_MARK, marks.mask]}, "data": f"@{_BY_MARK}"}})],
    ]


def _rules(listed: list[Command], marks: Marks) -> Rules:
    """What the listed objects hold; a chain with other rules than ours is foreign."""
    rules = Rules()
    chains: dict[str, list[Rule]] = {
        each["chain"]["name"]: [] for each in listed if "chain" in each}
    for each in listed:
        if "rule" in each:
            chains[each["rule"]["chain"]].append(each["rule"]["expr"])
    _add_elements(rules, listed)
    gate_rules = _gate_rules(marks)
    for chain, expressions in chains.items():
        named = _CHAIN.fullmatch(chain)
        kind, device = (named[1], int(named[2])) if named else (None, 0)
        if kind == _GATE and expressions == gate_rules:
            rules.gates.add(device)
        elif kind == _TAP and (minor := _marked(expressions, marks)) is not None:
            rules.taps[device] = minor
        else:
            rules.foreign.add(chain)
    return rules


def _marked(rules: list[Rule], marks: Marks) -> int | None:
    """The class that a tap's packets are marked with, if its chain does that and no more."""
    match rules:
        case [[{"mangle": {"key": key, "value": {"|": [{"&": [left, int(kept)]}, int(mark)]}}}]]:
            # nft lists a bit that is set as kept or not, as its version likes it
            if key == left == _MARK and kept & ~mark == marks.others:
                return marks.minor(mark)
    return None


def _add_elements(rules: Rules, listed: list[Command]) -> None:
    for each in listed:
        held = each.get("map") or each.get("set") or {}
        elements = held.get("elem", [])
        if held.get("name") == _BY_MAC:
            rules.macs.update((_bare(mac), _minor(name)) for mac, name in elements)
        elif held.get("name") == _BY_ADDRESS:
            rules.addresses.update((_bare(address), _minor(name)) for address, name in elements)
        elif held.get("name") == _BY_MARK:
            rules.marks.update((_bare(mark), _minor(name)) for mark, name in elements)
        elif held.get("name") == _HOST_MACS:
            rules.host_macs.update(_bare(mac) for mac in elements)


def _bare(element: Any) -> Any:
    """An element without what others have noted of it: a comment, a timeout, a counter."""
    return element["elem"]["val"] if isinstance(element, dict) else element


def _minor(name: str) -> int:
    return int(name.partition(":")[2], 16)
