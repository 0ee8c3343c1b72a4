# SPDX-License-Identifier: Apache-2.0
"""The device of ours whose classes divide what servers receive, and the rules that lead there."""

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import chain

from pyroute2.netlink.exceptions import NetlinkError

from nova_qos.core import errors
from nova_qos.host import Ability, Interfaces
from nova_qos.net import failures
from nova_qos.net.htb import KINDS
from nova_qos.net.layout import Rules
from nova_qos.net.netlink import Netlink
from nova_qos.net.nft import Table
from nova_qos.net.objects import RECEIVER, Objects, index_of
from nova_qos.net.uplinks import Uplink, kind_of
from nova_qos.net.view import View, require_interface

_KIND = "ifb"
_LOOPBACK = "lo"
# In frames; the kernel's default of 32 is less than a segment that a guest's card takes.
_QUEUE_FRAMES = 1000
_LEAST_MTU = 1500
_IFF_UP = 0x1
# ifreq of netdevice(7): a device's name and its MTU
_IFREQ, _SIOCGIFMTU = struct.Struct("=16si20x"), 0x8921


class ReceiverView(View):
    """A ``View`` whose only uplink is the device of ours."""

    def require(self, interfaces: Interfaces) -> None:
        """:raises HostCannot: see ``require_tap``"""
        require_tap(interfaces)

    def _faults_of_gates(self, rules: Rules) -> Iterator[str]:
        if not self.uplinks:
            yield f"device {RECEIVER} has gone, so the server receives nothing from outside"

    def _faults_of_rules(
        self, rules: Rules, minor: int, interfaces: Interfaces
    ) -> Iterator[str]:
        for each in interfaces:
            device = self.index(each.tap or "")
            if device is None:
                yield f"there is no device {each.tap} now"
            elif rules.taps.get(device) != minor:
                yield f"packets to device {each.tap} are not forwarded to the server's class"


class Receiver(Objects):
    """The device, its classes, and the rules, in the network namespace of the calling thread.

    The rules hold the device's index, and what they forward to a device that has gone is lost. So
    it is made before them, and goes after them.
    """

    view_class = ReceiverView

    def __init__(self, kernel: Netlink, table: Table, capacity: int) -> None:
        """:param capacity: what servers may receive together, in bytes/s"""
        super().__init__(kernel, table, lambda kernel: (RECEIVER,), capacity)

    @cached_property
    def _looked_up(self) -> tuple[list[Uplink], list[str]]:
        link = self._kernel.link(RECEIVER)
        if link is None:
            return [], []
        if kind_of(link) != _KIND:
            raise errors.HostCannot(
                f"prio: another program has made a device {RECEIVER}, of kind "
                f"{kind_of(link) or 'network card'}; rename it")
        shut = None if link["flags"] & _IFF_UP else (
            f"device {RECEIVER} is shut, so the server receives nothing from outside")
        return [Uplink(link["index"], RECEIVER, link.get_attr("IFLA_MTU"), shut)], []

    def provide(self, running: Mapping[str, Interfaces]) -> None:
        """See ``Objects.provide``."""
        mtu = max((_LEAST_MTU, *_mtus(running)))
        for there in self.uplinks:
            if there.mtu != mtu or there.obstacle:
                self._tell("set", index=there.index, mtu=mtu, state="up")
        if not self.uplinks:
            self._tell("add", ifname=RECEIVER, kind=_KIND, mtu=mtu, txqlen=_QUEUE_FRAMES)
            self._tell("set", index=index_of(RECEIVER), state="up")
        self._look_again()

    def withdraw(self) -> None:
        """See ``Objects.withdraw``."""
        # by its name and kind it is ours, unless somebody has put it to another use
        with suppress(errors.HostCannot):
            for there in self.uplinks:
                self._trees.is_ours(there.index)
                self._tell("del", index=there.index)
        self._look_again()

    def require_shapeable(self, interfaces: Interfaces) -> None:
        """:raises HostCannot: see ``require_tap``"""
        require_tap(interfaces)

    def ability(self) -> Ability:
        """See ``Objects.ability``."""
        loopback = index_of(_LOOPBACK) or 1
        if not self.shaped():
            self._require_kind()
            for kind in KINDS:
                self._trees.require_kind(loopback, kind)
        self._table.rehearse(loopback)
        return Ability(how=f"before the servers' taps, by device {RECEIVER}")

    def _is_of_this(self, device: int) -> bool:
        return device == index_of(RECEIVER)

    def _look_again(self) -> None:
        self.__dict__.pop("_looked_up", None)

    def _require_kind(self) -> None:
        """Ask whether the kernel would make such a device; nothing is changed."""
        try:
            # no device can have this name, which the kernel finds out after it has looked for the
            # kind
            self._kernel.changes.link("add", ifname="/", kind=_KIND)
        except NetlinkError as error:
            if error.code == errno.EOPNOTSUPP:
                raise errors.HostCannot(
                    f"prio: this kernel has no devices of kind {_KIND}: load the module {_KIND}"
                ) from error
            if error.code != errno.EINVAL:
                raise failures.of_netlink(error, f"a device of kind {_KIND}") from error

    def _tell(self, command: str, **values: object) -> None:
        try:
            self._kernel.changes.link(command, **values)
        except NetlinkError as error:
            if error.code == errno.EOPNOTSUPP:
                raise errors.HostCannot(
                    f"prio: this kernel has no devices of kind {_KIND}: load the module {_KIND}"
                ) from error
            raise failures.of_netlink(error, f"device {RECEIVER}") from error


def require_tap(interfaces: Interfaces) -> None:
    """:raises HostCannot: packets to one of these interfaces pass no tap of the host."""
    require_interface(interfaces)
    for each in interfaces:
        if each.tap is None:
            why = each.obstacle or "it has no tap on the host"
            raise errors.HostCannot(
                f"prio: the host cannot control what interface {each.mac} receives: {why}")


def _mtus(running: Mapping[str, Interfaces]) -> Iterator[int]:
    # not from pyroute2, which takes a millisecond of CPU for each device
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for each in chain.from_iterable(running.values()):
            # a tap may have gone meanwhile
            with suppress(OSError):
                request = _IFREQ.pack((each.tap or "").encode(), 0)
                yield _IFREQ.unpack(fcntl.ioctl(asking, _SIOCGIFMTU, request))[1]
