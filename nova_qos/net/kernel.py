# SPDX-License-Identifier: Apache-2.0
"""Trees and rules together: listed, changed in an order that harms no traffic, and read back."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from pyroute2 import IPRoute

from nova_qos import errors
from nova_qos.ability import Ability
from nova_qos.model import UNLIMITED, Interfaces, Reading
from nova_qos.net import layout, uplinks
from nova_qos.net.htb import KINDS, Trees
from nova_qos.net.layout import WHOLE, Layout, Rules, Share, Tree
from nova_qos.net.nft import Table
from nova_qos.net.uplinks import Uplink


class Kernel:
    """What is ours in the network namespace of the calling thread."""

    def __init__(
        self, ipr: IPRoute, table: Table, names: Callable[[IPRoute], Sequence[str]]
    ) -> None:
        """:param names: tells which devices are uplinks, when that is needed"""
        self._ipr = ipr
        self._trees = Trees(ipr)
        self._table = table
        self._names = names

    @cached_property
    def _looked_up(self) -> tuple[list[Uplink], list[str]]:
        return uplinks.present(self._ipr, self._names(self._ipr))

    @property
    def uplinks(self) -> list[Uplink]:
        """Those that are there.

        :raises HostRefused: none is, or nobody knows which they are
        """
        return self._looked_up[0]

    def shaped(self) -> set[int]:
        """The uplinks that have a tree of ours, by index.

        :raises HostCannot: one has something that others have made
        """
        return {each.index for each in self.uplinks if self._trees.is_ours(each.index)}

    def survey(self) -> Ability:
        """What writing a priority would meet; nothing is changed.

        :raises HostCannot, HostRefused: what it would raise
        """
        shaped = self.shaped()
        for each in self.uplinks:
            if each.index not in shaped:
                for kind in KINDS:
                    self._trees.require_kind(each.index, kind)
            self._table.rehearse(each.index)
        names = ", ".join(each.name for each in self.uplinks)
        missing = ", ".join(self._looked_up[1])
        if missing:
            return Ability(without_effect=f"there is no uplink {missing} on this host now")
        return Ability(how=f"on uplink {names}")

    def require_shapeable(self, interfaces: Interfaces) -> None:
        """:raises HostCannot: packets of these interfaces never pass an uplink as such."""
        if not interfaces:
            raise errors.HostCannot("prio: the server has no network interface")
        names = {each.name for each in self.uplinks}
        for each in interfaces:
            outside = each.parent is not None and each.parent not in names
            why = each.obstacle or (f"{each.parent} is no uplink of ours" if outside else None)
            if why:
                raise errors.HostCannot(
                    f"prio: the host cannot shape the traffic of interface {each.mac}: {why}")

    def host_macs(self) -> set[str]:
        """The addresses that the host itself may send from."""
        return uplinks.host_macs(self._ipr)

    def read(self) -> Layout:
        """Everything that is ours, also on devices that are no uplinks any more."""
        trees = {device: self._trees.read(device) for device in self._trees.devices()}
        return Layout(trees, self._table.read())

    def bring(self, before: Layout, after: Layout) -> None:
        """Make what is there what is to be.

        Classes come before the rules that choose them and go after those, and no class grows
        before others have made room: at no time is more guaranteed than there is.
        """
        usable = {device: tree for device, tree in before.trees.items()
                  if not layout.must_be_made_anew(tree, after.trees.get(device))}
        for device, tree in after.trees.items():
            if device not in usable:
                self._trees.remove(device)
                self._trees.create(device)
            self._make_room(device, usable.get(device, {}), tree)
        if after.rules is None:
            if before.rules is not None:
                self._table.remove()
        elif after.rules != before.rules:
            self._table.change(before.rules, after.rules)
        for device in before.trees.keys() - after.trees.keys():
            self._trees.remove(device)
        for device, tree in after.trees.items():
            for minor in usable.get(device, {}).keys() - tree.keys():
                self._trees.drop(device, minor)
            self._grow(device, usable.get(device, {}), tree)

    def _make_room(self, device: int, before: Tree, after: Tree) -> None:
        whole = after[WHOLE]
        if before.get(WHOLE) != whole:
            self._trees.put(device, WHOLE, whole, before.get(WHOLE))
        for minor, old in before.items():
            new = after.get(minor) or replace(old, rate=layout.LEAST_RATE)
            if new.rate < old.rate and minor != WHOLE:
                self._put(device, minor, new, old, whole)
        for minor in after.keys() - before.keys() - {WHOLE}:
            self._put(device, minor, after[minor], None, whole)

    def _grow(self, device: int, before: Tree, after: Tree) -> None:
        for minor in before.keys() & after.keys() - {WHOLE}:
            old, new = before[minor], after[minor]
            if old != new and new.rate >= old.rate:
                self._put(device, minor, new, old, after[WHOLE])

    def _put(self, device: int, minor: int, new: Share, old: Share | None, whole: Share) -> None:
        self._trees.put(device, minor, new, old)
        if new.cuts and not (old and old.cuts):
            self._trees.put_queue(device, minor, frame=whole.quantum, capacity=whole.rate)

    def read_priority(self, interfaces: Interfaces) -> Reading:
        """What the kernel does with these interfaces' packets.

        :raises HostCannot: see ``require_shapeable`` and ``shaped``
        """
        self.require_shapeable(interfaces)
        shaped = self.shaped()
        rules = self._table.read() if shaped else None
        minor = minor_of(interfaces, rules) if rules else None
        if rules is None or minor is None:
            return Reading(UNLIMITED)
        weights = self._weights(minor)
        faults = [*self._faults_of_uplinks(shaped, weights, rules),
                  *_faults_of_rules(rules, minor, interfaces)]
        weight = min(weights.values(), default=0)
        details = {"weight": weight} if weight and not faults else {}
        if minor not in layout.WITH_PRIORITY:
            return Reading(UNLIMITED, details=details)
        return Reading(
            layout.priority_of_weight(weight) if weight else UNLIMITED,
            effective=not faults, reason="; ".join(faults) or None, details=details)

    def priorities(self, there: Layout, minors: Mapping[str, int]) -> dict[str, int]:
        """Those that the listed classes stand for, by server."""
        return {
            server: layout.priority_of_weight(layout.weight_of_share(tree[minor], tree[WHOLE]))
            for server, minor in minors.items() if minor in layout.WITH_PRIORITY
            for tree in there.trees.values() if minor in tree and WHOLE in tree
        }

    def _weights(self, minor: int) -> dict[str, int]:
        weights = {}
        for each in self.uplinks:
            share = self._trees.share(each.index, minor)
            whole = self._trees.share(each.index, WHOLE)
            if share and whole and layout.is_sound(share, whole, each.mtu):
                weights[each.name] = layout.weight_of_share(share, whole)
        return weights

    def _faults_of_uplinks(
        self, shaped: set[int], weights: dict[str, int], rules: Rules
    ) -> Iterator[str]:
        for name in self._looked_up[1]:
            yield f"there is no uplink {name} now"
        for each in self.uplinks:
            if each.name not in weights or each.index not in shaped:
                yield f"the server's class on uplink {each.name} is missing or was changed"
            elif each.index not in rules.gates:
                yield f"nothing chooses the class of packets on uplink {each.name}"


def _faults_of_rules(rules: Rules, minor: int, interfaces: Interfaces) -> Iterator[str]:
    for each in interfaces:
        if rules.macs.get(each.mac) != minor:
            yield f"packets from {each.mac} do not find the server's class"
        if each.tap is not None:
            device = index_of(each.tap)
            if device is None:
                yield f"there is no device {each.tap} now"
            elif rules.taps.get(device) != minor:
                yield f"packets from device {each.tap} are not marked"
    if rules.marks.get(layout.classid(minor)) != minor:
        yield "the server's mark does not find its class"


def minor_of(interfaces: Interfaces, rules: Rules) -> int | None:
    """The class of a server: the one that its tap's packets are marked with, else the one of its
    address, which another network's server may have too; None when it has none."""
    for each in interfaces:
        device = index_of(each.tap) if each.tap else None
        if device in rules.taps:
            return rules.taps[device]
    return next((rules.macs[each.mac] for each in interfaces if each.mac in rules.macs), None)


def index_of(device: str) -> int | None:
    """The index of a device; None when there is none of that name."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return None
