# SPDX-License-Identifier: Apache-2.0
"""Trees and rules together: listed, changed in an order that harms no traffic, and read back."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from nova_qos.host import Ability, Interfaces
from nova_qos.net import advice, division, filters, layout, uplinks
from nova_qos.net.htb import KINDS, Trees
from nova_qos.net.layout import WHOLE, Layout, Share, Tree
from nova_qos.net.netlink import Netlink
from nova_qos.net.nft import Table
from nova_qos.net.setting import Setting
from nova_qos.net.uplinks import Uplink
from nova_qos.net.view import (
    FindIndex,
    FindShare,
    Redirects,
    View,
    require_interface,
    require_shapeable,
)

#: The device of ours whose classes divide what servers receive.
RECEIVER = "nova-qos-in"


class Objects:
    """Our objects in the kernel, in the network namespace of the calling thread."""

    #: What a reading is made from.
    view_class = View

    def __init__(
        self, kernel: Netlink, table: Table, names: Callable[[Netlink], Sequence[str]],
        capacity: int,
    ) -> None:
        """
        :param names: tells which devices are uplinks, when that is needed
        :param capacity: what servers share of each, in bytes/s
        """
        self._kernel, self._capacity = kernel, capacity
        self._trees = Trees(kernel)
        self._table = table
        self._names = names

    @cached_property
    def _looked_up(self) -> tuple[list[Uplink], list[str]]:
        return uplinks.present(self._kernel, self._names(self._kernel))

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

    def ability(self) -> Ability:
        """What writing a priority would meet; changes nothing.

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
        warnings = (*advice.warnings(self._kernel, self._table.marks, self.uplinks),
                    *self._held_by_others(shaped), *self._of_strays(shaped))
        why_not = [
            *([f"there is no uplink {missing} on this host now"] if missing else []),
            *(each.obstacle for each in self.uplinks if each.obstacle)]
        return Ability(
            without_effect="; ".join(why_not) or None, how=f"on uplink {names}", warnings=warnings)

    def _held_by_others(self, shaped: set[int]) -> Iterator[str]:
        rules = self._table.read() if shaped else None
        ours = set(rules.marks.values()) if rules else set()
        for each in self.uplinks:
            tree = self._trees.read(each.index) if rules and each.index in shaped else {}
            if names := layout.held_by_others(tree, ours):
                yield (f"another program holds class {', '.join(names)} on {each.name}, by a "
                       "filter or by classes below; remove these")

    def _of_strays(self, shaped: set[int]) -> Iterator[str]:
        for each in self.uplinks:
            sent = self._trees.sent(each.index, layout.STRAYS) if each.index in shaped else 0
            if sent:
                yield (f"{sent} packets on {each.name} came neither from a known server nor from "
                       "the host, and shared one class of the weight default_net_weight; a router "
                       "or container of this host sends them, a router also those of servers "
                       "without a floating IP")

    def require_shapeable(self, interfaces: Interfaces) -> None:
        """:raises HostCannot: packets of these interfaces never pass an uplink as such
        :raises HostRefused: no uplink is there now
        """
        require_interface(interfaces)
        require_shapeable(interfaces, {each.name for each in self.uplinks})

    def provide(self, running: Mapping[str, Interfaces]) -> None:
        """Make the devices that classes for these servers need, where they are ours to make."""

    def withdraw(self) -> None:
        """Take away the devices that ``provide`` has made, whose classes nothing leads to."""

    def host_macs(self) -> set[str]:
        """The addresses that the host itself may send from."""
        return uplinks.host_macs(self._kernel)

    def read(self) -> Layout:
        """All our objects, also those on devices that are no uplinks any more."""
        trees = {device: self._trees.read(device) for device in self._trees.devices()
                 if self._is_of_this(device)}
        return Layout(trees, self._table.read())

    def _is_of_this(self, device: int) -> bool:
        """Whether a tree of ours there is one of these."""
        return device != index_of(RECEIVER)

    def change(self, before: Layout, after: Layout) -> None:
        """Change what is listed as ``before`` into ``after``.

        Classes come before the rules that choose them and go after those, and no class grows
        before others have made room: at no time is more guaranteed than there is. Classes that
        others hold stay, with the least guarantee; they are added to ``after``.
        """
        usable = {device: tree for device, tree in before.trees.items()
                  if not division.must_be_made_anew(tree, after.trees.get(device))}
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
            held = self._drop(device, usable.get(device, {}).keys() - tree.keys())
            self._grow(device, usable.get(device, {}), tree)
            after.trees[device] = {**tree, **{
                minor: replace(usable[device][minor], rate=layout.LEAST_RATE) for minor in held}}

    def _drop(self, device: int, minors: set[int]) -> set[int]:
        """Remove classes; returns those that others hold."""
        held = {minor for minor in minors if not self._trees.drop(device, minor)}
        # perhaps one was held by another that has gone since
        return {minor for minor in held if not self._trees.drop(device, minor)}

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
            # most are the same object, which is known at once
            if old is not new and old != new and new.rate >= old.rate:
                self._put(device, minor, new, old, after[WHOLE])

    def _put(self, device: int, minor: int, new: Share, old: Share | None, whole: Share) -> None:
        self._trees.put(device, minor, new, old)
        if old and new.queue == old.queue:
            return
        if new.cuts:
            # where it can have none, the server's reading says so
            self._trees.put_queue(device, minor, frame=whole.quantum, limit=new.queue)
        else:
            self._trees.put_plain_queue(device, minor, has_other=old is not None)

    def view(self) -> View:
        """For reading one server: its classes are looked up one by one, when they are needed.

        :raises HostCannot: see ``shaped``
        :raises HostRefused: no uplink is there now, or nft refuses to list the rules
        """
        return self._view(self.shaped(), self._trees.share, index_of, filters.redirects)

    def snapshot(self) -> View:
        """For reading many servers: everything is listed once.

        :raises HostCannot, HostRefused: as ``view``
        """
        shaped = self.shaped()
        counted = {device: self._trees.read_counted(device) for device in shaped}
        # not from pyroute2, which takes a millisecond of CPU for each device
        indexes = {name: index for index, name in socket.if_nameindex()}
        redirecting = {each for each in filters.devices() if filters.redirects(each)}
        def share(device: int, minor: int) -> Share | None:
            found = counted.get(device, {}).get(minor)
            return found[0] if found else None

        return replace(
            self._view(shaped, share, indexes.get, redirecting.__contains__), counted=counted)

    def _view(
        self, shaped: set[int], share: FindShare, index: FindIndex, redirects: Redirects
    ) -> View:
        uplinks, missing = self._looked_up
        rules = self._table.read() if shaped else None
        return self.view_class(
            uplinks, missing, shaped, rules, share, index, redirects, self._table.marks,
            self._capacity)

    @staticmethod
    def settings(there: Layout, minors: Mapping[str, int]) -> dict[str, Setting]:
        """Those that the listed classes stand for, by server."""
        found = {}
        for server, minor in minors.items():
            for tree in there.trees.values():
                if minor in tree and WHOLE in tree:
                    found[server] = _setting(minor, tree)
        return {server: setting for server, setting in found.items() if setting}


def _setting(minor: int, tree: Tree) -> Setting:
    share, whole = tree[minor], tree[WHOLE]
    setting = Setting(
        limit=division.limit_of_share(share, tree.get(layout.STRAYS, whole)),
        guarantee=division.guarantee_of_share(share, whole))
    if minor not in layout.WITH_PRIORITY:
        return setting
    weight = division.weight_of_share(share, whole)
    return replace(setting, priority=division.priority_of_weight(weight))


def index_of(device: str) -> int | None:
    """The index of a device; None when there is none of that name."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return None
