# SPDX-License-Identifier: Apache-2.0
"""The host's uplinks, shared out among its servers by weight.

What the kernel holds is remembered between calls, so that a change need not list hundreds of
classes; where the kernel turns out to be different, everything is listed and tried once more.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyroute2 import IPRoute

from nova_qos import errors
from nova_qos.ability import Ability
from nova_qos.model import UNLIMITED, Interfaces, Neighbours, Reading
from nova_qos.net import layout, uplinks
from nova_qos.net.kernel import Kernel, index_of, minor_of
from nova_qos.net.layout import Layout, Rules
from nova_qos.net.nft import Table

_BYTES_PER_MBIT = 125_000


@dataclass
class _Known:
    """What the kernel holds, whose each class is, and the host's own addresses."""

    layout: Layout
    minors: dict[str, int]
    host_macs: set[str]


class Shaper:
    """A ``Network`` in the network namespace of the calling thread."""

    def __init__(
        self, names: Sequence[str], rate_mbit: int, default_weight: int, table: str = "nova_qos"
    ) -> None:
        """Nothing is touched until a priority is written.

        :param names: the uplinks; none = those of the default route
        :param rate_mbit: what all servers may send together through each uplink, in Mbit/s
        :param default_weight: of a server without a priority, 1 to 99
        """
        self._names = tuple(names)
        self._capacity = rate_mbit * _BYTES_PER_MBIT
        self._default_weight = default_weight
        self._table = Table(table)
        self._found: Sequence[str] = ()
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._known: _Known | None = None
        # None until those that an earlier agent has left in the kernel were looked for
        self._priorities: dict[str, int] | None = None

    def read_priority(self, interfaces: Interfaces) -> Reading:
        with self._kernel(getattr(self._of_thread, "table", self._table)) as kernel:
            return kernel.read_priority(interfaces)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        self._of_thread.table = self._table.seen_once()
        try:
            yield
        finally:
            del self._of_thread.table

    def survey(self) -> Ability:
        """What the host can do with priorities now; nothing is changed, whoever is at work."""
        try:
            with self._kernel() as kernel:
                return kernel.survey()
        except errors.QosError as error:
            return Ability(cannot=error.message.removeprefix("prio: "))

    def write_priority(self, server_uuid: str, priority: int, neighbours: Neighbours) -> None:
        if priority != UNLIMITED and priority not in layout.PRIORITIES:
            raise errors.HostRefused(
                f"prio: {priority} is not accepted: {layout.PRIORITIES[0]} to "
                f"{layout.PRIORITIES[-1]}, or {UNLIMITED} for none")
        with self._kernel() as kernel:
            running = neighbours()
            if server_uuid not in running:
                raise errors.ServerNotRunning("the server has no running domain on this host")
            interfaces = running[server_uuid]
            kernel.require_shapeable(interfaces)
            if self._is_elsewhere(kernel) or self._known is None:
                self._known = self._listed(kernel, running)
            wanted = {**(self._priorities or {}), server_uuid: priority}
            self._bring(kernel, running, wanted)
            reading = kernel.read_priority(interfaces)
            if reading.applied != priority or not reading.effective:
                # somebody has changed what was thought to be there
                self._known = None
                self._bring(kernel, running, wanted)

    def tidy(self, neighbours: Neighbours, mend: bool) -> None:
        self._found = ()
        with self._kernel() as kernel:
            if not mend and self._known is not None and not self._is_elsewhere(kernel):
                # from what was thought to be there: what others have changed stays as it is
                self._known.host_macs = kernel.host_macs()
                self._bring(kernel, neighbours(), self._priorities or {})
                return
            there = kernel.read()
            if not there and not self._priorities:
                self._known = None
                return
            running = neighbours()
            self._known = self._listed(kernel, running, there)
            priorities = self._priorities or {}
            try:
                kernel.shaped()
            except errors.QosError:
                # the uplinks are someone else's now, or gone: nothing of ours may stay behind
                self._bring(kernel, running, {})
                self._priorities = priorities
                raise
            self._bring(kernel, running, priorities)

    def _is_elsewhere(self, kernel: Kernel) -> bool:
        """Whether uplinks have come or gone, or a tree is not where it was thought to be."""
        shaped, present = kernel.shaped(), {each.index for each in kernel.uplinks}
        known = self._known.layout.trees if self._known else {}
        return known.keys() != shaped or bool(shaped and shaped != present)

    @contextmanager
    def _kernel(self, table: Table | None = None) -> Iterator[Kernel]:
        # opened anew each time: a thread may be in another namespace, and it takes a millisecond
        with self._lock, IPRoute() as ipr:
            yield Kernel(ipr, table or self._table, self._uplink_names)

    def _uplink_names(self, ipr: IPRoute) -> Sequence[str]:
        self._found = self._names or self._found or uplinks.of_default_route(ipr)
        return self._found

    def _listed(
        self, kernel: Kernel, running: Mapping[str, Interfaces], there: Layout | None = None
    ) -> _Known:
        there = kernel.read() if there is None else there
        rules = there.rules or Rules()
        minors = {server: minor for server, interfaces in running.items()
                  if (minor := minor_of(interfaces, rules)) is not None}
        if self._priorities is None:
            self._priorities = kernel.priorities(there, minors)
        return _Known(there, minors, kernel.host_macs())

    def _bring(
        self, kernel: Kernel, running: Mapping[str, Interfaces], wanted: Mapping[str, int]
    ) -> None:
        priorities = {server: priority for server, priority in wanted.items()
                      if server in running and priority != UNLIMITED}
        try:
            self._change(kernel, running, priorities)
        except errors.HostRefused:
            # perhaps a device went meanwhile, or someone has taken away what was thought there
            self._known = None
            self._change(kernel, running, priorities)

    def _change(
        self, kernel: Kernel, running: Mapping[str, Interfaces], priorities: dict[str, int]
    ) -> None:
        known, self._known = self._known or self._listed(kernel, running), None
        minors = self._minors(known, running, priorities) if priorities else {}
        weights = {minor: layout.weight_of_priority(priorities[server])
                   if server in priorities else self._default_weight
                   for server, minor in minors.items()}
        after = Layout()
        if priorities:
            weights[layout.STRAYS] = self._default_weight
            after.trees = {each.index: layout.tree(weights, self._capacity, each.mtu)
                           for each in kernel.uplinks}
            after.rules = _rules(running, minors, known.host_macs, set(after.trees))
        kernel.bring(known.layout, after)
        self._known = _Known(after, minors, known.host_macs)
        self._priorities = priorities

    def _minors(
        self, known: _Known, running: Mapping[str, Interfaces], priorities: Mapping[str, int]
    ) -> dict[str, int]:
        taken = {minor for tree in known.layout.trees.values() for minor in tree}
        given: dict[int, str] = {}
        for server in running:
            kind = layout.WITH_PRIORITY if server in priorities else layout.WITHOUT_PRIORITY
            minor = known.minors.get(server, -1)
            if minor not in kind or minor in given:
                minor = layout.free_minor(kind, taken)
            given[minor] = server
            taken.add(minor)
        return {server: minor for minor, server in given.items()}


def _rules(
    running: Mapping[str, Interfaces], minors: Mapping[str, int], host_macs: set[str],
    gates: set[int],
) -> Rules:
    rules = Rules(gates=gates, host_macs=host_macs)
    for server, minor in minors.items():
        rules.marks[layout.classid(minor)] = minor
        for each in running[server]:
            # the first of two servers with one address keeps it; their marks tell them apart
            if each.obstacle is None:
                rules.macs.setdefault(each.mac, minor)
            if each.tap is not None and (device := index_of(each.tap)) is not None:
                rules.taps[device] = minor
    return rules
