# SPDX-License-Identifier: Apache-2.0
"""What the kernel lists of its network.

pyroute2 believes a list also where the kernel marks it as interrupted, because something changed
while it was read: then what was not changed may be missing. It takes 0.1 s of a processor for 500
queues, and does not know all kinds of filters.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import (
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    NLMSG_OVERRUN,
)
from pyroute2.netlink.rtnl import (
    RTM_GETLINK,
    RTM_GETQDISC,
    RTM_GETROUTE,
    RTM_GETRULE,
    RTM_GETTCLASS,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

# nlmsghdr, tcmsg, nlattr and nlmsgerr
_HEADER, _TCMSG = struct.Struct("=IHHII"), struct.Struct("=4xi4xI4x")
_ATTRIBUTE, _ERROR = struct.Struct("=HH"), struct.Struct("=i")
_ALIGN, _TYPE, _LARGEST_ANSWER = 4, 0x3FFF, 1 << 18
TCA_KIND, TCA_OPTIONS = 1, 2

# of ifinfomsg, rtmsg and fib_rule_hdr, which all begin with a family
_LINK_BYTES, _ROUTE_BYTES, _RULE_BYTES = 16, 12, 12
#: How often a list is requested that changes while it is read.
MOST_TRIES = 20

Attributes = dict[int, bytes]


class Lists(IPRoute):
    """pyroute2's, with lists that hold together.

    :raises OSError: a list changed each time while it was read
    """

    def get_links(self) -> list[Any]:
        return _decoded(RTM_GETLINK, ifinfmsg, bytes(_LINK_BYTES))

    def get_routes(self, family: int) -> list[Any]:
        return _decoded(RTM_GETROUTE, rtmsg, _of_family(family, _ROUTE_BYTES))

    def get_rules(self, family: int) -> list[Any]:
        return _decoded(RTM_GETRULE, fibmsg, _of_family(family, _RULE_BYTES))

    def get_qdiscs(self) -> list[Any]:
        return _decoded(RTM_GETQDISC, tcmsg, _TCMSG.pack(0, 0))

    def get_classes(self, index: int) -> list[Any]:
        return _decoded(RTM_GETTCLASS, tcmsg, _TCMSG.pack(index, 0))


class Interrupted(Exception):
    """The answer does not hold together."""


def ask(kind: int, flags: int, device: int, parent: int = 0) -> Iterator[
        tuple[int, int, Attributes]]:
    """Device, parent and attributes of each object that the kernel answers.

    :raises OSError: it refuses, or the list changed each time while it was read
    """
    for message in _answer(kind, flags, _TCMSG.pack(device, parent)):
        body = message[_HEADER.size:]
        yield (*_TCMSG.unpack_from(body), attributes(body[_TCMSG.size:]))


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


def _decoded(kind: int, message: Callable[[bytes], Any], request: bytes) -> list[Any]:
    found = [message(each) for each in _answer(kind, NLM_F_DUMP, request)]
    for each in found:
        each.decode()
    return found


def _answer(kind: int, flags: int, request: bytes) -> list[bytes]:
    def answers() -> Iterator[bytes]:
        # a socket for each try: in that of an interrupted one, the rest of its answers waits
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
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
