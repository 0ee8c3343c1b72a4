# SPDX-License-Identifier: Apache-2.0
"""What our objects in the kernel do with a server's packets. Pure: from what was listed."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nova_qos.core import errors, plan
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Figures, Interfaces
from nova_qos.net import division, layout, traffic
from nova_qos.net.layout import NO_TOTAL, WHOLE, Rules, Share
from nova_qos.net.marks import Marks
from nova_qos.net.setting import BYTES_PER_KBIT, GUARANTEE, LIMIT, NAMES, PRIORITY, Setting
from nova_qos.net.traffic import Counted
from nova_qos.net.uplinks import Uplink

#: The class of a device, both by number; None when there is none.
FindShare = Callable[[int, int], Share | None]
#: The index of a device by its name; None when there is none.
FindIndex = Callable[[str], int | None]
#: The class of a server and that of the whole, by the name of the uplink.
Classes = Mapping[str, tuple[Share, Share]]
#: Whether a filter sends some of a device's incoming packets elsewhere; the device by number.
Redirects = Callable[[int], bool]


@dataclass(frozen=True)
class View:
    """Our objects at one time.

    ``uplinks`` are there now, ``missing`` are the names of those that are not. ``shaped`` are the
    devices with a tree of ours; without any, ``rules`` is None. ``capacity`` is in bytes/s.
    ``counted`` are all classes, by device, where they were listed.
    """

    uplinks: Sequence[Uplink]
    missing: Sequence[str]
    shaped: set[int]
    rules: Rules | None
    share: FindShare
    index: FindIndex
    redirects: Redirects
    marks: Marks
    capacity: int
    counted: Mapping[int, Mapping[int, tuple[Share, Counted]]] = field(default_factory=dict)

    def read(
        self, interfaces: Interfaces, setting: Setting, why_less: str | None
    ) -> dict[str, Reading]:
        """What the class of these interfaces' packets holds, by resource; of the priority, the
        details have the weight. Limit and guarantee are in kbit/s.

        :param setting: what was requested: a class does not show a guarantee that is less than its
            part by weight, nor a class that is lost a limit
        :param why_less: why a guarantee may be kept in part only
        :raises HostCannot: see ``require``
        """
        self.require(interfaces)
        minor = minor_of(interfaces, self.rules, self.index) if self.rules else None
        if self.rules is None or minor is None:
            return _readings_of_none(setting)
        classes = self._classes(minor)
        faults = [*self._faults_of_uplinks(classes),
                  *self._faults_of_gates(self.rules),
                  *self._faults_of_rules(self.rules, minor, interfaces)]
        limits = [division.limit_of_share(*each) for each in classes.values()]
        readings = {
            PRIORITY: self._priority(minor, classes),
            LIMIT: Reading(min((each // BYTES_PER_KBIT for each in limits if each),
                               default=UNLIMITED)),
            GUARANTEE: _guarantee(setting, classes, why_less)}
        if not faults:
            return readings
        asked = {PRIORITY: minor in layout.WITH_PRIORITY, GUARANTEE: setting.guarantee > 0,
                 LIMIT: readings[LIMIT].applied != UNLIMITED or setting.limit > 0}
        return {name: replace(reading, effective=False, reason="; ".join(faults), details={})
                if asked[name] else Reading(UNLIMITED) for name, reading in readings.items()}

    def figures_of(self, interfaces: Interfaces) -> Figures:
        """See ``host.SeenNetwork``."""
        minor = minor_of(interfaces, self.rules, self.index) if self.rules else None
        if minor is None:
            return {}
        return traffic.of_server({
            each.name: self.counted[each.index][minor] for each in self.uplinks
            if minor in self.counted.get(each.index, {})})

    def figures(self) -> Figures:
        """See ``host.SeenNetwork``."""
        return traffic.of_uplinks({
            each.name: self.counted[each.index] for each in self.uplinks
            if each.index in self.counted})

    def require(self, interfaces: Interfaces) -> None:
        """:raises HostCannot: see ``require_shapeable``"""
        require_shapeable(interfaces, {each.name for each in self.uplinks})

    def _priority(self, minor: int, classes: Classes) -> Reading:
        weight = min((division.weight_of_share(*each) for each in classes.values()), default=0)
        is_shared = any(whole.ceil != NO_TOTAL for _share, whole in classes.values())
        details = {"weight": weight} if is_shared else {}
        if minor not in layout.WITH_PRIORITY or not weight:
            return Reading(UNLIMITED, details=details)
        return Reading(division.priority_of_weight(weight), details=details)

    def _classes(self, minor: int) -> Classes:
        """Those alone that are as they were made."""
        classes = {}
        for each in self.uplinks:
            share, whole = self.share(each.index, minor), self.share(each.index, WHOLE)
            if share and whole and division.is_sound(share, whole, each.mtu, self.capacity):
                classes[each.name] = (share, whole)
        return classes

    def _faults_of_uplinks(self, classes: Container[str]) -> Iterator[str]:
        for name in self.missing:
            yield f"there is no uplink {name} now"
        for each in self.uplinks:
            if each.obstacle:
                yield each.obstacle
            if each.name not in classes or each.index not in self.shaped:
                yield f"the server's class on uplink {each.name} is missing or was changed"

    def _faults_of_gates(self, rules: Rules) -> Iterator[str]:
        for each in self.uplinks:
            if each.index not in rules.gates:
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
    settings: Mapping[str, Setting]
    why_less: str | None

    def read(self, server_uuid: str, interfaces: Interfaces) -> Mapping[str, Reading]:
        if isinstance(self.seen, View):
            return self.seen.read(
                interfaces, self.settings.get(server_uuid, Setting()), self.why_less)
        require_interface(interfaces)
        raise type(self.seen)(self.seen.message)

    def figures_of(self, interfaces: Interfaces) -> Figures:
        return self.seen.figures_of(interfaces) if isinstance(self.seen, View) else {}

    def figures(self) -> Figures:
        return self.seen.figures() if isinstance(self.seen, View) else {}

    @property
    def error(self) -> str | None:
        # where another program has the uplink, nothing of ours is there to be listed
        return self.seen.message if isinstance(self.seen, errors.HostRefused) else None


def _readings_of_none(setting: Setting) -> dict[str, Reading]:
    """Of a server without a class."""
    lost = Reading(UNLIMITED, effective=False,
                   reason="the server's class, or what leads there, was taken away")
    asked = {PRIORITY: setting.has_priority, LIMIT: setting.limit > 0,
             GUARANTEE: setting.guarantee > 0}
    return {name: lost if asked[name] else Reading(UNLIMITED) for name in NAMES}


def _guarantee(setting: Setting, classes: Classes, why_less: str | None) -> Reading:
    if not setting.guarantee:
        return Reading(UNLIMITED)
    asked = setting.guarantee // BYTES_PER_KBIT
    rate = min((share.rate for share, _whole in classes.values()), default=0)
    kept = plan.kept(asked, rate / BYTES_PER_KBIT)
    # with less, and no reason for that, another program has changed it
    return plan.reading_of(asked, kept, why_less) if why_less else Reading(kept)


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
