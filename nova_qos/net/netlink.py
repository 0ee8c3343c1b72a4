# SPDX-License-Identifier: Apache-2.0
"""What the kernel lists of its network, and what it is told.

pyroute2 believes a list also where the kernel marks it as interrupted, because something changed
while it was read: then what was not changed may be missing. It takes a millisecond of a processor
for each question, 0.1 s for a list of 500 queues, and does not know all kinds of filters. So all
questions are asked here; pyroute2 makes the changes.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import (
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_ECHO,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    NLMSG_OVERRUN,
)
from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETROUTE, RTM_GETRULE
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

# nlmsghdr, tcmsg (device, handle, parent, information), nlattr and nlmsgerr
_HEADER, _TCMSG = struct.Struct("=IHHII"), struct.Struct("=4xiIII")
_ATTRIBUTE, _ERROR = struct.Struct("=HH"), struct.Struct("=i")
_ALIGN, _TYPE, _LARGEST_ANSWER = 4, 0x3FFF, 1 << 18
TCA_KIND, TCA_OPTIONS, TCA_STATS2 = 1, 2, 7

# ifinfomsg, whose number is a device's index; rtmsg and fib_rule_hdr, which begin with a family
_IFINFOMSG, _ROUTE_BYTES, _RULE_BYTES = struct.Struct("=4xi8x"), 12, 12
_IFLA_IFNAME = 3
# nfgenmsg; messages and attributes of linux/netfilter/nf_tables.h
_NFGENMSG, _NFPROTO_NETDEV = struct.Struct("=BBH"), 5
_NFT_MSG_GETTABLE, _NFT_MSG_GETGEN, _NFTA_GEN_ID = 10 << 8 | 1, 10 << 8 | 16, 1
_NFTA_TABLE_NAME, _NFTA_TABLE_USE, _NFTA_TABLE_HANDLE = 1, 3, 4
#: How often a list is requested that changes while it is read.
MOST_TRIES = 20

#: The device, tree or class is not there.
GONE = (errno.ENODEV, errno.ENOENT, errno.ENXIO)
Attributes = dict[int, bytes]


@dataclass(frozen=True)
class Listed:
    """A queueing discipline, a class or a filter; ``information`` of a class is the handle of its
    queue."""

    device: int
    handle: int
    parent: int
    information: int
    attributes: Attributes

    @property
    def kind(self) -> str:
        """Its name in ``tc``."""
        return self.attributes.get(TCA_KIND, b"").rstrip(b"\0").decode("ascii", "replace")


class Netlink:
    """The network of the calling thread's namespace, until the context is left.

    Lists hold together: OSError says that one changed each time while it was read.
    """

    def __init__(self) -> None:
        self._changes: IPRoute | None = None

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._changes is not None:
            self._changes.close()

    @property
    def changes(self) -> IPRoute:
        """pyroute2, for changes alone."""
        if self._changes is None:
            self._changes = IPRoute()
            # pyroute2 0.9 forgets to set what its own nlm_request looks at
            self._changes.status["nlm_generator"] = False
        return self._changes

    def link(self, name: str | None = None, index: int = 0) -> Any | None:
        """A device by its name or its index; None when it is not there.

        :raises OSError: the kernel refuses
        """
        request = _IFINFOMSG.pack(index)
        if name is not None:
            request += _named(_IFLA_IFNAME, name)
        try:
            return next(iter(_decoded(RTM_GETLINK, ifinfmsg, request, NLM_F_ACK)), None)
        except OSError as error:
            if error.errno in GONE:
                return None
            raise

    def get_links(self) -> list[Any]:
        """All devices."""
        return _decoded(RTM_GETLINK, ifinfmsg, _IFINFOMSG.pack(0), NLM_F_DUMP)

    def get_routes(self, family: int) -> list[Any]:
        """All routes."""
        return _decoded(RTM_GETROUTE, rtmsg, _of_family(family, _ROUTE_BYTES), NLM_F_DUMP)

    def get_rules(self, family: int) -> list[Any]:
        """All rules that select a table of routes."""
        return _decoded(RTM_GETRULE, fibmsg, _of_family(family, _RULE_BYTES), NLM_F_DUMP)


@dataclass(frozen=True)
class Generation:
    """Of a table of nftables; equal only where nothing has changed in between.

    ``changes`` counts the changes of all tables in the namespace. ``uses`` counts what the table
    holds: before Linux 6.16, a device that goes takes its chains along, and that is no change. Of a
    table that is not there, ``handle`` is None.
    """

    changes: int
    handle: int | None = None
    uses: int = 0


def generation(table: str) -> Generation:
    """That of a table of family netdev.

    :raises OSError: the kernel refuses
    """
    changes = int.from_bytes(_of_nftables(_NFT_MSG_GETGEN, 0, b"")[_NFTA_GEN_ID], "big")
    try:
        told = _of_nftables(
            _NFT_MSG_GETTABLE, _NFPROTO_NETDEV, _named(_NFTA_TABLE_NAME, table))
    except OSError as error:
        if error.errno in GONE:
            return Generation(changes)
        raise
    return Generation(changes, int.from_bytes(told[_NFTA_TABLE_HANDLE], "big"),
                      int.from_bytes(told[_NFTA_TABLE_USE], "big"))


def _of_nftables(kind: int, family: int, request: bytes) -> Attributes:
    answer = next(iter(_answer(
        kind, NLM_F_ACK, _NFGENMSG.pack(family, 0, 0) + request, NETLINK_NETFILTER)))
    return attributes(answer[_HEADER.size + _NFGENMSG.size:])


def _named(kind: int, name: str) -> bytes:
    """An attribute that is a name."""
    value = name.encode() + b"\0"
    size = _ATTRIBUTE.size + len(value)
    return (_ATTRIBUTE.pack(size, kind) + value).ljust(_aligned(size), b"\0")


class Interrupted(Exception):
    """The answer does not hold together."""


def ask(
    kind: int, flags: int, device: int, parent: int = 0, handle: int = 0
) -> Iterator[Listed]:
    """What the kernel lists of traffic control.

    :raises OSError: it refuses, or the list changed each time while it was read
    """
    for message in _answer(kind, flags, _TCMSG.pack(device, handle, parent, 0)):
        body = message[_HEADER.size:]
        device, of, above, information = _TCMSG.unpack_from(body)
        yield Listed(device, of, above, information, attributes(body[_TCMSG.size:]))


def ask_one(kind: int, device: int, parent: int = 0, handle: int = 0) -> Listed | None:
    """One queueing discipline or class; None when it is not there.

    :raises OSError: the kernel refuses
    """
    try:
        # without the echo the kernel acknowledges the question and keeps the answer
        found = ask(kind, NLM_F_ACK | NLM_F_ECHO, device, parent, handle)
        return next((each for each in found if each.kind), None)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def consistent(answers: Callable[[], Iterator[bytes]]) -> list[bytes]:
    """The messages of the kernel's answers, requested again where something changed meanwhile.

    :param answers: asks, and gives one answer after another
    :raises OSError: the kernel refuses, or something changed each time
    """
    for _ in range(MOST_TRIES):
        try:
            return list(_until_done(answers()))
        except Interrupted:
            continue
        except OSError as error:
            # the kernel had more to say than could wait
            if error.errno != errno.ENOBUFS:
                raise
    raise OSError(errno.EAGAIN, "the list changed each time while it was read")


def _decoded(
    kind: int, message: Callable[[bytes], Any], request: bytes, flags: int
) -> list[Any]:
    found = [message(each) for each in _answer(kind, flags, request)]
    for each in found:
        each.decode()
    return found


def _answer(
    kind: int, flags: int, request: bytes, of: int = socket.NETLINK_ROUTE
) -> list[bytes]:
    def answers() -> Iterator[bytes]:
        # a socket for each try: in that of an interrupted one, the rest of its answers waits
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, of) as kernel:
            size = _HEADER.size + len(request)
            kernel.send(_HEADER.pack(size, kind, NLM_F_REQUEST | flags, 0, 0) + request)
            while True:
                yield kernel.recv(_LARGEST_ANSWER)

    return consistent(answers)


def _until_done(answers: Iterator[bytes]) -> Iterator[bytes]:
    for kind, flags, message in chain.from_iterable(map(_messages, answers)):
        if flags & NLM_F_DUMP_INTR or kind == NLMSG_OVERRUN:
            raise Interrupted
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            # a list that the kernel gives up ends with a number, too
            status = message[_HEADER.size:][:_ERROR.size]
            if len(status) == _ERROR.size and (number := -_ERROR.unpack(status)[0]):
                raise OSError(number, os.strerror(number))
            return
        if kind != NLMSG_NOOP:
            yield message


def _of_family(family: int, size: int) -> bytes:
    return bytes([family]).ljust(size, b"\0")


def attributes(data: bytes) -> Attributes:
    """Those that an attribute or a message consists of, by type."""
    return {kind & _TYPE: value for kind, value in _split(data)}


def _messages(answer: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and the whole of each message."""
    while len(answer) >= _HEADER.size:
        length, kind, flags, *_ = _HEADER.unpack_from(answer)
        yield kind, flags, answer[:length]
        answer = answer[_aligned(length):]


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size:length]
        data = data[_aligned(length):]


def _aligned(length: int) -> int:
    return max(_ALIGN, -(-length // _ALIGN) * _ALIGN)
