# SPDX-License-Identifier: Apache-2.0
"""What our objects in the kernel do with a server's packets. Pure: from what was listed."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Interfaces
from nova_qos.net import layout
from nova_qos.net.layout import WHOLE, Rules, Share
from nova_qos.net.marks import Marks
from nova_qos.net.uplinks import Uplink

#: The resource whose value the classes hold.
NAME = "net_priority"
#: The class of a device, both by number; None when there is none.
FindShare = Callable[[int, int], Share | None]
#: The index of a device by its name; None when there is none.
FindIndex = Callable[[str], int | None]
#: Whether a filter sends some of a device's incoming packets elsewhere; the device by number.
Redirects = Callable[[int], bool]


@dataclass(frozen=True)
class View:
    """Our objects at one time.

    ``uplinks`` are there now, ``missing`` are the names of those that are not. ``shaped`` are the
    devices with a tree of ours; without any, ``rules`` is None.
    """

    uplinks: Sequence[Uplink]
    missing: Sequence[str]
    shaped: set[int]
    rules: Rules | None
    share: FindShare
    index: FindIndex
    redirects: Redirects
    marks: Marks

    def read(self, interfaces: Interfaces) -> Reading:
        """The priority of these interfaces' packets; details: the weight of their class.

        :raises HostCannot: see ``require_shapeable``
        """
        require_shapeable(interfaces, {each.name for each in self.uplinks})
        minor = minor_of(interfaces, self.rules, self.index) if self.rules else None
        if self.rules is None or minor is None:
            return Reading(UNLIMITED)
        weights = self._weights(minor)
        faults = [*self._faults_of_uplinks(weights, self.rules),
                  *self._faults_of_rules(self.rules, minor, interfaces)]
        weight = min(weights.values(), default=0)
        details = {"weight": weight} if weight and not faults else {}
        if minor not in layout.WITH_PRIORITY:
            return Reading(UNLIMITED, details=details)
        return Reading(
            layout.priority_of_weight(weight) if weight else UNLIMITED,
            effective=not faults, reason="; ".join(faults) or None, details=details)

    def _weights(self, minor: int) -> dict[str, int]:
        weights = {}
        for each in self.uplinks:
            share, whole = self.share(each.index, minor), self.share(each.index, WHOLE)
            if share and whole and layout.is_sound(share, whole, each.mtu):
                weights[each.name] = layout.weight_of_share(share, whole)
        return weights

    def _faults_of_uplinks(self, weights: dict[str, int], rules: Rules) -> Iterator[str]:
        for name in self.missing:
            yield f"there is no uplink {name} now"
        for each in self.uplinks:
            if each.obstacle:
                yield each.obstacle
            if each.name not in weights or each.index not in self.shaped:
                yield f"the server's class on uplink {each.name} is missing or was changed"
            elif each.index not in rules.gates:
                yield f"no rule selects classes on uplink {each.name}"

    def _faults_of_rules(
        self, rules: Rules, minor: int, interfaces: Interfaces
    ) -> Iterator[str]:
        for each in interfaces:
            if rules.macs.get(each.mac) != minor:
                yield f"no rule selects the server's class for packets from {each.mac}"
            if each.tap is not None:
                device = self.index(each.tap)
                if device is None:
                    yield f"there is no device {each.tap} now"
                elif rules.taps.get(device) != minor:
                    yield f"packets from device {each.tap} are not marked"
                elif self.redirects(device):
                    yield (f"a tc filter redirects packets from device {each.tap} past the rules "
                           "that select their class")
        if rules.marks.get(self.marks.of(minor)) != minor:
            yield "no rule selects the server's class for its mark"


@dataclass(frozen=True)
class SeenUplinks:
    """A ``SeenNetwork``: what was listed once, or why it could not be."""

    seen: View | errors.QosError

    def read(self, interfaces: Interfaces) -> Mapping[str, Reading]:
        if isinstance(self.seen, View):
            return {NAME: self.seen.read(interfaces)}
        require_interface(interfaces)
        raise type(self.seen)(self.seen.message)


def require_interface(interfaces: Interfaces) -> None:
    """:raises HostCannot: there is none."""
    if not interfaces:
        raise errors.HostCannot("prio: the server has no network interface")


def require_shapeable(interfaces: Interfaces, uplinks: Container[str]) -> None:
    """:raises HostCannot: packets of these interfaces never pass one of these uplinks as such."""
    require_interface(interfaces)
    for each in interfaces:
        outside = each.parent is not None and each.parent not in uplinks
        why = each.obstacle or (f"{each.parent} is not in [nova_qos] uplinks" if outside else None)
        if why:
            raise errors.HostCannot(
                f"prio: the host cannot shape the traffic of interface {each.mac}: {why}")


def minor_of(interfaces: Interfaces, rules: Rules, index: FindIndex) -> int | None:
    """The class of a server: the one that its tap's packets are marked with, else the one of its
    address, which another network's server may have too; None when it has none."""
    for each in interfaces:
        device = index(each.tap) if each.tap else None
        if device in rules.taps:
            return rules.taps[device]
    return next((rules.macs[each.mac] for each in interfaces if each.mac in rules.macs), None)
