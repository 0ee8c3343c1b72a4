# SPDX-License-Identifier: Apache-2.0
"""The outbound traffic of servers: each uplink is divided among them by weight.

The state of the kernel is cached between calls, so that a change need not list hundreds of classes.
If the kernel differs from the cache, everything is listed and the change tried once more.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors, plan
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability, Floating, Interfaces, Neighbours
from nova_qos.net import failures, layout, uplinks
from nova_qos.net.layout import WHOLE, Layout, Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.nft import Table
from nova_qos.net.objects import Objects, Setting, index_of
from nova_qos.net.view import (
    BYTES_PER_KBIT,
    GUARANTEE,
    LIMIT,
    NAMES,
    PRIORITY,
    SeenUplinks,
    View,
    minor_of,
)

#: How often a reading is tried before it waits for a change to end.
_MOST_LOOKS = 3
_Seen = TypeVar("_Seen")
_LOG = logging.getLogger(__name__)
_BYTES_PER_MBIT = 1000 * BYTES_PER_KBIT
_UNIT = "kbit/s"
#: Bits of a mark that neutron, kube-proxy and Calico leave free.
DEFAULT_MARK_MASK = 0x1FFF


@dataclass
class _Known:
    """What the kernel holds, whose each class is, the host's own addresses, and the servers that it
    was made for; none where it was listed."""

    layout: Layout
    minors: dict[str, int]
    host_macs: set[str]
    running: Mapping[str, Interfaces] = field(default_factory=dict)


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
        self._settings: dict[str, Setting] | None = None
        # None until somebody tells them, or those that an earlier agent has left were looked for
        self._floating: Floating | None = None

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        def look(objects: Objects) -> Mapping[str, Reading]:
            objects.require_shapeable(interfaces)
            guaranteed = self._guaranteed()
            return objects.view().read(
                interfaces, guaranteed.get(server_uuid, 0), self._why_less(guaranteed))

        return self._steady(look)

    def snapshot(self) -> SeenUplinks:
        guaranteed = self._guaranteed()
        try:
            seen: View | errors.QosError = self._steady(Objects.snapshot)
        except (errors.HostCannot, errors.HostRefused) as error:
            seen = error
        return SeenUplinks(seen, guaranteed, self._why_less(guaranteed))

    def abilities(self) -> Mapping[str, Ability]:
        try:
            with self._objects() as objects:
                ability = objects.ability()
        except errors.QosError as error:
            ability = Ability(cannot=error.message.removeprefix("prio: "))
        return {PRIORITY: ability, **{
            name: replace(ability, warnings=()) for name in NAMES if name != PRIORITY}}

    def admit(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        guarantee = values.get(GUARANTEE, UNLIMITED)
        if guarantee == UNLIMITED:
            return
        running = neighbours()
        plan.require_left(
            GUARANTEE, _UNIT, guarantee,
            (each for server, each in self._guaranteed().items()
             if server in running and server != server_uuid),
            self._capacity // BYTES_PER_KBIT)

    def write(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        priority = values.get(PRIORITY, UNLIMITED)
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
            setting = _changed((self._settings or {}).get(server_uuid, Setting()), values)
            wanted = {**(self._settings or {}), server_uuid: setting}
            if not self._relimit(objects, running, server_uuid, setting):
                self._bring(objects, running, wanted)
            readings = objects.view().read(
                interfaces, setting.guarantee // BYTES_PER_KBIT, None)
            if any(not readings[name].holds(value) or not readings[name].effective
                   for name, value in values.items()):
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
                self._bring(objects, neighbours(), self._settings or {})
                return
            there = objects.read()
            if not there and not self._settings:
                self._known = None
                return
            running = neighbours()
            self._known = self._listed(objects, running, there)
            settings = self._settings or {}
            try:
                objects.shaped()
            except errors.QosError:
                # the uplinks are gone, or another program has them: nothing of ours may stay
                self._bring(objects, running, {})
                self._settings = settings
                raise
            self._bring(objects, running, settings)

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
                yield Objects(kernel, self._table, names, self._capacity)
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
        if self._settings is None:
            self._settings = objects.settings(there, minors)
        if self._floating is None:
            self._floating = {
                server: [address for address, of in rules.addresses.items() if of == minor]
                for server, minor in minors.items()}
        return _Known(there, minors, objects.host_macs())

    def _bring(
        self, objects: Objects, running: Mapping[str, Interfaces], wanted: Mapping[str, Setting]
    ) -> None:
        settings = {server: setting for server, setting in wanted.items()
                    if server in running and setting}
        try:
            self._change(objects, running, settings)
        except errors.HostRefused:
            # perhaps a device went meanwhile, or somebody has removed what was remembered
            self._known = None
            self._change(objects, running, settings)

    def _relimit(
        self, objects: Objects, running: Mapping[str, Interfaces], server: str, setting: Setting
    ) -> bool:
        """Change the limit of one server where no other class and no rule is concerned, so that it
        takes no longer among hundreds; whether it was so, and is done."""
        known, settings = self._known, self._settings or {}
        before = settings.get(server, Setting())
        if (known is None or known.running != running or server not in known.minors
                or before.shares or setting.shares or not before.limit or not setting.limit):
            return False
        minor, after = known.minors[server], Layout({}, known.layout.rules)
        for each in objects.uplinks:
            there = known.layout.trees.get(each.index, {})
            own = layout.tree_of_limits({minor: self._wish(setting)}, self._capacity, each.mtu)
            # a total, or frames of another size
            if there.get(WHOLE) != own[WHOLE] or minor not in there:
                return False
            after.trees[each.index] = {**there, minor: own[minor]}
        self._known = None
        try:
            self._carry_out(objects, known.layout, after)
        except errors.HostRefused:
            return False
        self._known = replace(known, layout=after)
        self._settings = {**settings, server: setting}
        return True

    def _carry_out(self, objects: Objects, before: Layout, after: Layout) -> None:
        self._changes += 1
        try:
            objects.change(before, after)
        finally:
            self._changes += 1

    def _change(
        self, objects: Objects, running: Mapping[str, Interfaces], settings: dict[str, Setting]
    ) -> None:
        known, self._known = self._known or self._listed(objects, running), None
        is_shared = any(setting.shares for setting in settings.values())
        # without a total, those that are not limited pass beside the classes
        classed = running if is_shared else {
            server: interfaces for server, interfaces in running.items() if server in settings}
        minors = self._minors(known, classed, settings)
        wishes = {minor: self._wish(settings.get(server, Setting()))
                  for server, minor in minors.items()}
        if is_shared:
            wishes[layout.STRAYS] = layout.Wish(self._default_weight)
        after = Layout()
        if settings:
            make = layout.tree if is_shared else layout.tree_of_limits
            after.trees = {each.index: make(wishes, self._capacity, each.mtu)
                           for each in objects.uplinks}
            after.rules = _rules(running, minors, self._floating or {}, self._marks)
            after.rules.host_macs, after.rules.gates = known.host_macs, set(after.trees)
        self._carry_out(objects, known.layout, after)
        self._tell_held(after, set(wishes))
        self._known = _Known(after, minors, known.host_macs, dict(running))
        self._settings = settings

    def _wish(self, setting: Setting) -> layout.Wish:
        weight = (self._default_weight if setting.priority == UNLIMITED
                  else layout.weight_of_priority(setting.priority))
        return layout.Wish(weight, setting.guarantee, setting.limit)

    def _guaranteed(self) -> dict[str, int]:
        """What each server asks to be guaranteed, in kbit/s."""
        return {server: setting.guarantee // BYTES_PER_KBIT
                for server, setting in (self._settings or {}).items() if setting.guarantee}

    def _tell_held(self, there: Layout, ours: set[int]) -> None:
        held = {device: names for device, tree in there.trees.items()
                if (names := layout.held_by_others(tree, ours))}
        if held != self._held:
            for device, names in held.items():
                _LOG.warning("Device %d has classes that another program holds, by a filter or by "
                             "classes below: %s", device, ", ".join(names))
        self._held = held

    def _why_less(self, guaranteed: Mapping[str, int]) -> str | None:
        return plan.overdrawn(
            GUARANTEE, _UNIT, guaranteed.values(), self._capacity // BYTES_PER_KBIT)

    def _minors(
        self, known: _Known, running: Iterable[str], settings: Mapping[str, Setting]
    ) -> dict[str, int]:
        taken = {minor for tree in known.layout.trees.values() for minor in tree}
        given: dict[int, str] = {}
        for server in running:
            has_priority = settings.get(server, Setting()).priority != UNLIMITED
            kind = self._marks.with_priority if has_priority else self._marks.without_priority
            minor = known.minors.get(server, -1)
            if minor not in kind or minor in given:
                minor = layout.free_minor(kind, taken)
            given[minor] = server
            taken.add(minor)
        return {server: minor for minor, server in given.items()}


def _changed(setting: Setting, values: Mapping[str, int]) -> Setting:
    """The setting with some values as the host has them."""
    rates = {name: BYTES_PER_KBIT * max(0, values[name])
             for name in (LIMIT, GUARANTEE) if name in values}
    return Setting(values.get(PRIORITY, setting.priority), rates.get(LIMIT, setting.limit),
                   rates.get(GUARANTEE, setting.guarantee))


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
