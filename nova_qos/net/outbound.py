# SPDX-License-Identifier: Apache-2.0
"""The outbound traffic of servers: each uplink is divided among them by weight.

The state of the kernel is cached between calls, so that a change need not list hundreds of classes.
If the kernel differs from the cache, everything is listed and the change tried once more.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability, Floating, Interfaces, Neighbours
from nova_qos.net import failures, layout, uplinks
from nova_qos.net.layout import Layout, Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.nft import Table
from nova_qos.net.objects import Objects, index_of
from nova_qos.net.view import NAME, SeenUplinks, minor_of

#: How often a reading is tried before it waits for a change to end.
_MOST_LOOKS = 3
_Seen = TypeVar("_Seen")
_LOG = logging.getLogger(__name__)
_BYTES_PER_MBIT = 125_000
#: Bits of a mark that neutron, kube-proxy and Calico leave free.
DEFAULT_MARK_MASK = 0x1FFF


@dataclass
class _Known:
    """What the kernel holds, whose each class is, and the host's own addresses."""

    layout: Layout
    minors: dict[str, int]
    host_macs: set[str]


class Outbound:
    """A ``Network`` in the network namespace of the calling thread.

    Reading takes no lock. Where a change came in between, it reads again, and waits for a change to
    end only if changes keep coming.
    """

    def __init__(
        self, names: Sequence[str], rate_mbit: int, default_weight: int,
        mark_mask: int = DEFAULT_MARK_MASK, table: str = "nova_qos",
    ) -> None:
        """Nothing is touched until a priority is written.

        :param names: the uplinks; none = those of the default route
        :param rate_mbit: what all servers may send together through each uplink, in Mbit/s
        :param default_weight: of a server without a priority, 1 to 99
        :param mark_mask: the bits of a packet's mark to use
        """
        self._names = tuple(names)
        self._capacity = rate_mbit * _BYTES_PER_MBIT
        self._default_weight = default_weight
        self._marks = Marks(mark_mask)
        self._table = Table(table, self._marks)
        self._lock = threading.Lock()
        # written under the lock alone: the uplinks as they were found last, and the number of
        # changes that began or ended, which is odd while one is under way
        self._found: Sequence[str] = ()
        self._changes = 0
        self._known: _Known | None = None
        # the classes that others hold, by device
        self._held: dict[int, list[str]] = {}
        # None until those that an earlier agent has left in the kernel were looked for
        self._priorities: dict[str, int] | None = None
        # None until somebody tells them, or those that an earlier agent has left were looked for
        self._floating: Floating | None = None

    def read(self, interfaces: Interfaces) -> Mapping[str, Reading]:
        def look(objects: Objects) -> Reading:
            objects.require_shapeable(interfaces)
            return objects.view().read(interfaces)

        return {NAME: self._steady(look)}

    def snapshot(self) -> SeenUplinks:
        try:
            return SeenUplinks(self._steady(Objects.snapshot))
        except (errors.HostCannot, errors.HostRefused) as error:
            return SeenUplinks(error)

    def abilities(self) -> Mapping[str, Ability]:
        try:
            with self._objects() as objects:
                return {NAME: objects.ability()}
        except errors.QosError as error:
            return {NAME: Ability(cannot=error.message.removeprefix("prio: "))}

    def write(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        priority = values[NAME]
        if priority != UNLIMITED and priority not in layout.PRIORITIES:
            raise errors.HostRefused(
                f"prio: {priority} is not accepted: {layout.PRIORITIES[0]} to "
                f"{layout.PRIORITIES[-1]}, or {UNLIMITED} for none")
        with self._lock, self._objects(remember=True) as objects:
            running = neighbours()
            if server_uuid not in running:
                raise errors.ServerNotRunning("the server has no running domain on this host")
            interfaces = running[server_uuid]
            objects.require_shapeable(interfaces)
            if self._is_elsewhere(objects) or self._known is None:
                self._known = self._listed(objects, running)
            wanted = {**(self._priorities or {}), server_uuid: priority}
            self._bring(objects, running, wanted)
            reading = objects.view().read(interfaces)
            if reading.applied != priority or not reading.effective:
                # somebody has changed what was remembered
                self._known = None
                self._bring(objects, running, wanted)

    def tidy(
        self, neighbours: Neighbours, correct: bool, floating: Floating | None
    ) -> None:
        with self._lock, self._objects(remember=True) as objects:
            self._found = ()
            if floating is not None:
                self._floating = floating
            if not correct and self._known is not None and not self._is_elsewhere(objects):
                # from what is remembered: what others have changed stays as it is
                self._known.host_macs = objects.host_macs()
                self._bring(objects, neighbours(), self._priorities or {})
                return
            there = objects.read()
            if not there and not self._priorities:
                self._known = None
                return
            running = neighbours()
            self._known = self._listed(objects, running, there)
            priorities = self._priorities or {}
            try:
                objects.shaped()
            except errors.QosError:
                # the uplinks are gone, or another program has them: nothing of ours may stay
                self._bring(objects, running, {})
                self._priorities = priorities
                raise
            self._bring(objects, running, priorities)

    def _is_elsewhere(self, objects: Objects) -> bool:
        """Whether uplinks have come or gone, or a tree is not where it was remembered to be."""
        shaped, present = objects.shaped(), {each.index for each in objects.uplinks}
        known = self._known.layout.trees if self._known else {}
        return known.keys() != shaped or bool(shaped and shaped != present)

    def _steady(self, look: Callable[[Objects], _Seen]) -> _Seen:
        """What is seen while nothing of ours changes."""
        for _ in range(_MOST_LOOKS):
            before = self._changes
            with self._objects() as objects:
                seen = look(objects)
            if before % 2 == 0 and before == self._changes:
                return seen
        with self._lock, self._objects() as objects:
            return look(objects)

    @contextmanager
    def _objects(self, remember: bool = False) -> Iterator[Objects]:
        """:param remember: keep the names of the uplinks; under the lock only"""
        def names(kernel: Netlink) -> Sequence[str]:
            found = self._names or self._found or uplinks.of_default_route(kernel)
            if remember:
                self._found = found
            return found

        try:
            # opened anew each time: a thread may be in another namespace, and it takes a
            # millisecond
            with Netlink() as kernel:
                yield Objects(kernel, self._table, names)
        except NetlinkError as error:
            raise failures.of_netlink(error, "to list devices or routes") from error
        except OSError as error:
            raise errors.HostRefused(
                f"prio: cannot list the network's devices and routes: {error}") from error

    def _listed(
        self, objects: Objects, running: Mapping[str, Interfaces], there: Layout | None = None
    ) -> _Known:
        there = objects.read() if there is None else there
        rules = there.rules or Rules()
        minors = {server: minor for server, interfaces in running.items()
                  if (minor := minor_of(interfaces, rules, index_of)) is not None}
        if self._priorities is None:
            self._priorities = objects.priorities(there, minors)
        if self._floating is None:
            self._floating = {
                server: [address for address, of in rules.addresses.items() if of == minor]
                for server, minor in minors.items()}
        return _Known(there, minors, objects.host_macs())

    def _bring(
        self, objects: Objects, running: Mapping[str, Interfaces], wanted: Mapping[str, int]
    ) -> None:
        priorities = {server: priority for server, priority in wanted.items()
                      if server in running and priority != UNLIMITED}
        try:
            self._change(objects, running, priorities)
        except errors.HostRefused:
            # perhaps a device went meanwhile, or somebody has removed what was remembered
            self._known = None
            self._change(objects, running, priorities)

    def _change(
        self, objects: Objects, running: Mapping[str, Interfaces], priorities: dict[str, int]
    ) -> None:
        known, self._known = self._known or self._listed(objects, running), None
        minors = self._minors(known, running, priorities) if priorities else {}
        weights = {minor: layout.weight_of_priority(priorities[server])
                   if server in priorities else self._default_weight
                   for server, minor in minors.items()}
        after = Layout()
        if priorities:
            weights[layout.STRAYS] = self._default_weight
            after.trees = {each.index: layout.tree(weights, self._capacity, each.mtu)
                           for each in objects.uplinks}
            after.rules = _rules(running, minors, self._floating or {}, self._marks)
            after.rules.host_macs, after.rules.gates = known.host_macs, set(after.trees)
        self._changes += 1
        try:
            objects.change(known.layout, after)
        finally:
            self._changes += 1
        self._tell_held(after, set(weights))
        self._known = _Known(after, minors, known.host_macs)
        self._priorities = priorities

    def _tell_held(self, there: Layout, ours: set[int]) -> None:
        held = {device: names for device, tree in there.trees.items()
                if (names := layout.held_by_others(tree, ours))}
        if held != self._held:
            for device, names in held.items():
                _LOG.warning("Device %d has classes that another program holds, by a filter or by "
                             "classes below: %s", device, ", ".join(names))
        self._held = held

    def _minors(
        self, known: _Known, running: Mapping[str, Interfaces], priorities: Mapping[str, int]
    ) -> dict[str, int]:
        taken = {minor for tree in known.layout.trees.values() for minor in tree}
        given: dict[int, str] = {}
        for server in running:
            kind = (self._marks.with_priority if server in priorities
                    else self._marks.without_priority)
            minor = known.minors.get(server, -1)
            if minor not in kind or minor in given:
                minor = layout.free_minor(kind, taken)
            given[minor] = server
            taken.add(minor)
        return {server: minor for minor, server in given.items()}


def _rules(
    running: Mapping[str, Interfaces], minors: Mapping[str, int], floating: Floating, marks: Marks
) -> Rules:
    rules = Rules()
    # in one request: one by one they take longer than all the rest
    indexes = {name: index for index, name in socket.if_nameindex()}
    for server, minor in minors.items():
        rules.marks[marks.of(minor)] = minor
        for address in floating.get(server, ()):
            rules.addresses[address] = minor
        for each in running[server]:
            # the first of two servers with one address keeps it; their marks tell them apart
            if each.obstacle is None:
                rules.macs.setdefault(each.mac, minor)
            if each.tap in indexes:
                rules.taps[indexes[each.tap]] = minor
    return rules
