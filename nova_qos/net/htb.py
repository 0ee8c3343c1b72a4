# SPDX-License-Identifier: Apache-2.0
"""HTB trees of ours on uplinks, over netlink."""

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NLM_F_REQUEST,
)
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTM_GETQDISC, RTM_GETTCLASS, RTM_NEWQDISC, TC_H_ROOT
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from nova_qos.core import errors
from nova_qos.net import failures, queue, traffic
from nova_qos.net.layout import MAJOR, NO_QUEUE, WHOLE, Share, Tree, classid
from nova_qos.net.netlink import (
    TCA_OPTIONS,
    TCA_STATS2,
    Attributes,
    Listed,
    Netlink,
    ask,
    ask_one,
    attributes,
)
from nova_qos.net.traffic import Counted

#: What the kernel must have.
KINDS = ("htb", "tbf")
_ROOT = MAJOR << 16
_VERSION = 3
# Burst of a class at the uplink's rate: large enough that a late timer loses no capacity,
# and no more, since it is sent beyond the rate. Measured: with one packet a busy machine loses
# 1 % of the capacity, with 10 ms the shares of a few seconds are off by 2 %.
_BURST_SECONDS, _LEAST_BURST_BYTES = 0.002, 2000
# tc_htb_opt: rate, ceil, two bursts, quantum, level, prio; each rate is the last of six fields.
_HTB_PARMS = struct.Struct("=8xI8xI8xI4xI")
_TCA_HTB_PARMS, _TCA_HTB_RATE64, _TCA_HTB_CEIL64 = 1, 6, 7
# The kernel keeps a burst as a duration at the class's rate, which must fit into 32 bits.
_LONGEST_BURST_SECONDS = 200


class Trees:
    """The trees of all uplinks; devices are named by their index.

    Methods raise HostCannot and HostRefused; a device or class that is gone is HostRefused, where
    nothing else is said.
    """

    def __init__(self, kernel: Netlink) -> None:
        self._kernel = kernel
        self._has_length: dict[int, bool] = {}

    def is_ours(self, device: int) -> bool:
        """Whether the device has a tree of ours; False = the kernel's default.

        :raises HostCannot: it has something that others have made
        """
        root = self._one(RTM_GETQDISC, device, parent=TC_H_ROOT)
        # the kernel's own defaults have no handle
        if root is None or root.handle == 0:
            return False
        if root.handle == _ROOT and root.kind == "htb":
            return True
        raise errors.HostCannot(
            f"prio: the traffic of uplink {socket.if_indextoname(device)} is controlled by "
            f"{self._owner(device, root)}; remove that, or name another device in "
            "[nova_qos] uplinks")

    def require_kind(self, device: int, kind: str) -> None:
        """Ask whether the kernel would make a root of this kind on a device that has the kernel's
        default; nothing is changed.

        :raises HostCannot: it knows no such kind, or the caller has no right to
        """
        message = tcmsg()
        message.update(index=device, parent=TC_H_ROOT, handle=_ROOT)
        message["attrs"] = [["TCA_KIND", kind]]
        flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
        try:
            self._kernel.changes.nlm_request(message, msg_type=RTM_NEWQDISC, msg_flags=flags)
        except NetlinkError as error:
            # the kernel checks the parameters last, so this error means that it knows the kind
            if error.code != errno.EINVAL:
                raise failures.of_kind(error, kind) from error

    def devices(self) -> set[int]:
        """Every device that has a tree of ours, uplink or not."""
        with _refusing("to list queueing disciplines"):
            return {each.device for each in ask(RTM_GETQDISC, NLM_F_DUMP, 0)
                    if each.handle == _ROOT and each.parent == TC_H_ROOT}

    def share(self, device: int, minor: int) -> Share | None:
        """One class, None when there is none."""
        found = self._one(RTM_GETTCLASS, device, handle=classid(minor))
        if found is None:
            return None
        # that is the handle of the queue, where there is one beside HTB's own
        limit = queue.limit(device, classid(minor)) if found.information else NO_QUEUE
        return _share(found, limit)

    def sent(self, device: int, minor: int) -> int:
        """How many packets a class has sent since it was made; 0 when there is none."""
        found = self._one(RTM_GETTCLASS, device, handle=classid(minor))
        return _counts(found).sent_packets if found else 0

    def read(self, device: int) -> Tree:
        """Every class of the device's tree; none when the device is gone."""
        return {minor: share for minor, (share, _counts) in self.read_counted(device).items()}

    def read_counted(self, device: int) -> dict[int, tuple[Share, Counted]]:
        """The same, each with what it has counted."""
        with _refusing("to list classes"):
            queues = queue.limits(device)
            return {
                each.handle & 0xFFFF: (
                    _share(each, queues.get(each.handle, NO_QUEUE)), _counts(each))
                for each in ask(RTM_GETTCLASS, NLM_F_DUMP, device) if each.handle >> 16 == MAJOR
            }

    def create(self, device: int) -> None:
        """An empty tree: without classes all packets pass at once."""
        message = tcmsg()
        message.update(index=device, parent=TC_H_ROOT, handle=_ROOT)
        options: list[list[Any]] = [
            ["TCA_HTB_INIT", {"version": _VERSION, "rate2quantum": 10, "defcls": 0}]]
        with _refusing(f"a tree on device {device}"):
            if self._has_no_length(device):
                # what has no class, so the host's own packets, would be dropped
                options.append(["TCA_HTB_DIRECT_QLEN", queue.USUAL_FRAMES])
            message["attrs"] = [["TCA_KIND", "htb"], ["TCA_OPTIONS", {"attrs": options}]]
            flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
            self._kernel.changes.nlm_request(message, msg_type=RTM_NEWQDISC, msg_flags=flags)

    def remove(self, device: int) -> None:
        """Take the tree away, if it is there; the kernel puts its default in place."""
        if self.is_ours(device):
            with _refusing(f"to remove the tree of device {device}", gone_is_good=True):
                self._kernel.changes.tc("del", index=device, handle=_ROOT, parent=TC_H_ROOT)

    def put(self, device: int, minor: int, share: Share, before: Share | None) -> None:
        """Make a class, or change the one that is there in place, which disturbs no traffic."""
        parent = _ROOT if minor == WHOLE else classid(WHOLE)
        burst = max(int(share.ceil * _BURST_SECONDS), _LEAST_BURST_BYTES)
        short = max(min(burst, share.rate * _LONGEST_BURST_SECONDS), _LEAST_BURST_BYTES)
        with _refusing(f"class {MAJOR:x}:{minor:x} on device {device}"):
            self._kernel.changes.tc(
                "change-class" if before else "add-class", "htb", device, classid(minor),
                parent=parent, rate=share.rate, ceil=share.ceil, quantum=share.quantum, prio=0,
                burst=short, cburst=burst)

    def put_queue(self, device: int, minor: int, frame: int, limit: int) -> bool:
        """Give a class its queue, which cuts what is larger than a frame, whatever queue it has
        now; sizes in bytes. False when it can have none, since others have made classes below."""
        message = queue.message(device, classid(minor), frame, limit)
        flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
        try:
            with _refusing(f"the queue of class {MAJOR:x}:{minor:x} on device {device}"):
                self._kernel.changes.nlm_request(message, msg_type=RTM_NEWQDISC, msg_flags=flags)
        except errors.HostRefused as error:
            if _errno(error) != errno.EINVAL:
                raise
            return False
        return True

    def put_plain_queue(self, device: int, minor: int, has_other: bool) -> None:
        """Give a class HTB's own queue, or one like it on a device where that holds nothing.

        :param has_other: whether the class has a queue beside HTB's own
        """
        what = f"the queue of class {MAJOR:x}:{minor:x} on device {device}"
        with _refusing(what, gone_is_good=True):
            if device not in self._has_length:
                # asked after the tree is made, at which the kernel gives some devices a length
                self._has_length[device] = not self._has_no_length(device)
            if not self._has_length[device]:
                message = queue.plain_message(device, classid(minor))
                flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
                self._kernel.changes.nlm_request(message, msg_type=RTM_NEWQDISC, msg_flags=flags)
            elif has_other:
                self._kernel.changes.tc("del", index=device, parent=classid(minor))

    def drop(self, device: int, minor: int) -> bool:
        """Take a class away, with the packets that wait in it; False when others hold it: a filter
        leads to it, or it has classes below."""
        try:
            with _refusing(f"to remove class {MAJOR:x}:{minor:x}", gone_is_good=True):
                self._kernel.changes.tc("del-class", index=device, handle=classid(minor))
        except errors.HostRefused as error:
            if _errno(error) != errno.EBUSY:
                raise
            return False
        return True

    def _has_no_length(self, device: int) -> bool:
        """Whether the kernel's queues hold nothing there: they take txqueuelen for their length."""
        link = self._kernel.link(index=device)
        return link is not None and link.get_attr("IFLA_TXQLEN") == 0

    @staticmethod
    def _owner(device: int, root: Listed) -> str:
        kind, major = root.kind, root.handle >> 16
        what = f"the {kind} queueing discipline {major:x}:"
        handles = {each.handle & 0xFFFF for each in ask(RTM_GETTCLASS, NLM_F_DUMP, device)}
        if kind == "htb" and 0xFFFE in handles:
            return f"Open vSwitch ({what}, as OVN and neutron's minimum bandwidth have it made)"
        if kind in ("htb", "hfsc") and major == 1:
            return f"libvirt's bandwidth or Open vSwitch's QoS ({what})"
        return f"an administrator or another program ({what})"

    @staticmethod
    def _one(kind: int, device: int, parent: int = 0, handle: int = 0) -> Listed | None:
        with _refusing("to show a queueing discipline"):
            return ask_one(kind, device, parent, handle)


def _share(listed: Listed, limit: int) -> Share:
    options = attributes(listed.attributes[TCA_OPTIONS])
    rate, ceil, quantum, prio = _HTB_PARMS.unpack_from(options[_TCA_HTB_PARMS])
    return Share(
        rate=_rate64(options, _TCA_HTB_RATE64) or rate,
        ceil=_rate64(options, _TCA_HTB_CEIL64) or ceil,
        quantum=quantum, queue=limit, prio=prio)


def _counts(listed: Listed) -> Counted:
    return traffic.counted(attributes(listed.attributes.get(TCA_STATS2, b"")))


def _rate64(options: Attributes, name: int) -> int:
    """A rate that does not fit into 32 bits; 0 for one that does."""
    return int.from_bytes(options.get(name, b""), sys.byteorder)


def _errno(error: errors.QosError) -> int | None:
    cause = error.__cause__
    return cause.code if isinstance(cause, NetlinkError) else None


@contextmanager
def _refusing(what: str, gone_is_good: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EAGAIN:
            # a list that changes all the time is nobody's refusal
            raise
        raise failures.of_netlink(NetlinkError(error.errno), what) from error
    except NetlinkError as error:
        if not (gone_is_good and failures.is_gone(error)):
            raise failures.of_netlink(error, what) from error
