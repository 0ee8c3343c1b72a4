# SPDX-License-Identifier: Apache-2.0
"""One direction of the servers' traffic, divided among them by classes.

The state of the kernel is cached between calls, so that a change need not list hundreds of classes.
If the kernel differs from the cache, everything is listed and the change tried once more.
"""

import abc
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors, plan
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Ability, Floating, Interfaces, Neighbours, SeenNetwork
from nova_qos.net import division, failures, layout
from nova_qos.net.known import Known
from nova_qos.net.layout import Layout, Rules
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.objects import Objects, index_of
from nova_qos.net.setting import BYTES_PER_KBIT, GUARANTEE, NAMES, PRIORITY, Setting
from nova_qos.net.view import SeenUplinks, View, minor_of

#: How often a reading is tried before it waits for a change to end.
_MOST_LOOKS = 3
_Seen = TypeVar("_Seen")
_LOG = logging.getLogger(__name__)
_UNIT = "kbit/s"
#: The kernel counts bytes.
BYTES_PER_MBIT = 1000 * BYTES_PER_KBIT


class Direction(abc.ABC):
    """A ``Network`` in the network namespace of the calling thread, for traffic one way.

    Reading takes no lock. Where a change came in between, it reads again, and waits for a change to
    end only if changes keep coming.
    """

    def __init__(
        self, capacity: int, default_weight: int, guarantee: str, marks: Marks
    ) -> None:
        """Nothing is touched until a setting is written.

        :param capacity: what all servers may take together, in bytes/s
        :param default_weight: of a server without a priority, 1 to 99
        :param guarantee: the resource that messages about guarantees name
        :param marks: the bits of a packet's mark to use; they bound the number of classes
        """
        self._capacity = capacity
        self._default_weight = default_weight
        self._guarantee, self._marks = guarantee, marks
        self._lock = threading.Lock()
        # written under the lock alone: the number of changes that began or ended, which is odd
        # while one is under way
        self._changes = 0
        self._known: Known | None = None
        # the classes that others hold, by device
        self._held: dict[int, list[str]] = {}
        # None until those that an earlier agent has left in the kernel were looked for
        self._settings: dict[str, Setting] | None = None

    @property
    def _weight_of_strays(self) -> int:
        """Of the packets together that no server is known for."""
        return self._default_weight

    @abc.abstractmethod
    def _opened(self, kernel: Netlink, remember: bool) -> Objects:
        """:param remember: keep what was found out about the devices; under the lock only"""

    @abc.abstractmethod
    def _rules(
        self, running: Mapping[str, Interfaces], minors: Mapping[str, int], devices: set[int]
    ) -> Rules:
        """What is to choose these classes of servers, on these devices."""

    # not every direction needs the following three
    def _hear(self, floating: Floating | None) -> None:  # noqa: B027
        """What is told at each tidying; devices may be others now."""

    def _look_around(self, objects: Objects) -> None:  # noqa: B027
        """Find out anew what rules need beside the servers; under the lock."""

    def _learn(self, rules: Rules, minors: Mapping[str, int]) -> None:  # noqa: B027
        """Take over what an earlier agent has left in the rules; under the lock."""

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        def look(objects: Objects) -> Mapping[str, Reading]:
            objects.require_shapeable(interfaces)
            settings = self._settings or {}
            return objects.view().read(
                interfaces, settings.get(server_uuid, Setting()), self._why_less(settings))

        return self._steady(look)

    def snapshot(self) -> SeenNetwork:
        settings = self._settings or {}
        try:
            seen: View | errors.QosError = self._steady(Objects.snapshot)
        except (errors.HostCannot, errors.HostRefused) as error:
            seen = error
        return SeenUplinks(seen, settings, self._why_less(settings))

    def abilities(self) -> Mapping[str, Ability]:
        try:
            with self._objects() as objects:
                ability = objects.ability()
        except errors.QosError as error:
            ability = Ability(cannot=error.message.removeprefix("prio: "))
        return {PRIORITY: ability, **{
            name: replace(ability, warnings=()) for name in NAMES if name != PRIORITY}}

    @property
    def capacity_kbit(self) -> int | None:
        return self._capacity // BYTES_PER_KBIT

    def admit(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        guarantee = values.get(GUARANTEE, UNLIMITED)
        if guarantee == UNLIMITED:
            return
        running = neighbours()
        plan.require_left(
            self._guarantee, _UNIT, guarantee,
            (each.guarantee // BYTES_PER_KBIT for server, each in (self._settings or {}).items()
             if server in running and server != server_uuid),
            self._capacity // BYTES_PER_KBIT)

    def write(
        self, server_uuid: str, values: Mapping[str, int], neighbours: Neighbours
    ) -> None:
        priority = values.get(PRIORITY, UNLIMITED)
        if priority != UNLIMITED and priority not in division.PRIORITIES:
            raise errors.HostRefused(
                f"prio: {priority} is not accepted: {division.PRIORITIES[0]} to "
                f"{division.PRIORITIES[-1]}, or {UNLIMITED} for none")
        with self._lock, self._objects(remember=True) as objects:
            running = neighbours()
            if server_uuid not in running:
                raise errors.ServerNotRunning("the server has no running domain on this host")
            interfaces = running[server_uuid]
            objects.require_shapeable(interfaces)
            if self._is_elsewhere(objects) or self._known is None:
                self._known = self._listed(objects, running)
            setting = (self._settings or {}).get(server_uuid, Setting()).changed(values)
            wanted = {**(self._settings or {}), server_uuid: setting}
            if not self._change_one(objects, running, server_uuid, setting):
                self._bring(objects, running, wanted)
            readings = objects.view().read(interfaces, setting, None)
            if any(not readings[name].holds(value) or not readings[name].effective
                   for name, value in values.items()):
                # somebody has changed what was remembered
                self._known = None
                self._bring(objects, running, wanted)

    def tidy(
        self, neighbours: Neighbours, correct: bool, floating: Floating | None
    ) -> None:
        with self._lock, self._objects(remember=True) as objects:
            self._hear(floating)
            if not correct and self._known is not None and self._is_in_place(objects):
                # from what is remembered: what others have changed stays as it is
                self._look_around(objects)
                self._bring(objects, neighbours(), self._settings or {})
                return
            there = objects.read()
            if not there and not self._settings:
                self._known = None
                objects.withdraw()
                # readings then need not look for the uplinks
                with suppress(errors.HostCannot, errors.HostRefused):
                    objects.shaped()
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

    def _is_in_place(self, objects: Objects) -> bool:
        """Whether the trees are where they were remembered to be, and nobody else's there."""
        try:
            return not self._is_elsewhere(objects)
        except (errors.HostCannot, errors.HostRefused):
            return False

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
        try:
            # opened anew each time: a thread may be in another namespace, and it takes a
            # millisecond
            with Netlink() as kernel:
                yield self._opened(kernel, remember)
        except NetlinkError as error:
            raise failures.of_netlink(error, "to list devices or routes") from error
        except OSError as error:
            raise errors.HostRefused(
                f"prio: cannot list the network's devices and routes: {error}") from error

    def _listed(
        self, objects: Objects, running: Mapping[str, Interfaces], there: Layout | None = None
    ) -> Known:
        there = objects.read() if there is None else there
        rules = there.rules or Rules()
        minors = {server: minor for server, interfaces in running.items()
                  if (minor := minor_of(interfaces, rules, index_of)) is not None}
        if self._settings is None:
            self._settings = objects.settings(there, minors)
        self._learn(rules, minors)
        self._look_around(objects)
        return Known(there, minors)

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

    def _change_one(
        self, objects: Objects, running: Mapping[str, Interfaces], server: str, setting: Setting
    ) -> bool:
        """Change the class of one server where no other class and no rule is concerned, so that it
        takes no longer among hundreds; whether it was so, and is done."""
        known, settings = self._known, self._settings or {}
        before = settings.get(server, Setting())
        if (known is None or known.running != running or not before or not setting
                or before.has_priority != setting.has_priority
                or before.shares != setting.shares):
            return False
        after = known.with_wish(
            server, setting.wish(self._default_weight), self._capacity, objects.uplinks)
        if after is None:
            return False
        self._known = None
        try:
            self._carry_out(objects, known.layout, after.layout)
        except errors.HostRefused:
            return False
        self._known, self._settings = after, {**settings, server: setting}
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
        wishes = {minor: settings.get(server, Setting()).wish(self._default_weight)
                  for server, minor in minors.items()}
        if is_shared:
            wishes[layout.STRAYS] = division.Wish(self._weight_of_strays)
        after = Layout()
        if settings:
            objects.provide(running)
            make = division.tree if is_shared else division.tree_of_limits
            after.trees = {each.index: make(wishes, self._capacity, each.mtu)
                           for each in objects.uplinks}
            after.rules = self._rules(running, minors, set(after.trees))
        self._carry_out(objects, known.layout, after)
        if not settings:
            objects.withdraw()
        self._tell_held(after, set(wishes))
        self._known = Known(after, minors, dict(running), wishes)
        self._settings = settings

    def _tell_held(self, there: Layout, ours: set[int]) -> None:
        held = {device: names for device, tree in there.trees.items()
                if (names := layout.held_by_others(tree, ours))}
        if held != self._held:
            for device, names in held.items():
                _LOG.warning("Device %d has classes that another program holds, by a filter or by "
                             "classes below: %s", device, ", ".join(names))
        self._held = held

    def _why_less(self, settings: Mapping[str, Setting]) -> str | None:
        return plan.overdrawn(
            self._guarantee, _UNIT,
            (each.guarantee // BYTES_PER_KBIT for each in settings.values()),
            self._capacity // BYTES_PER_KBIT)

    def _minors(
        self, known: Known, running: Iterable[str], settings: Mapping[str, Setting]
    ) -> dict[str, int]:
        taken = {minor for tree in known.layout.trees.values() for minor in tree}
        given: dict[int, str] = {}
        for server in running:
            setting = settings.get(server, Setting())
            kind = (self._marks.with_priority if setting.has_priority
                    else self._marks.without_priority)
            minor = known.minors.get(server, -1)
            if minor not in kind or minor in given:
                minor = layout.free_minor(kind, taken)
            given[minor] = server
            taken.add(minor)
        return {server: minor for minor, server in given.items()}
