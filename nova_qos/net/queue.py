# SPDX-License-Identifier: Apache-2.0
"""The queue of a class: a TBF that limits nothing, but cuts large segments into frames.

Of what every kernel has, TBF alone cuts a segment that is larger than its burst
(net/sched/sch_tbf.c).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_ECHO,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    nla,
    nlmsg,
)
from pyroute2.netlink.rtnl import RTM_GETQDISC
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from nova_qos.net.layout import NO_QUEUE, STRANGE_QUEUE

_UNLIMITED_RATE = 10**12
_U32_MAX = 2**32 - 1
_ETHERNET = 1
#: What the kernel lets wait for a device that says nothing else, in frames.
USUAL_FRAMES = 1000
# nlmsghdr, tcmsg, nlattr, nlmsgerr and tc_tbf_qopt, of which the last holds two rates first
_HEADER, _TCMSG = struct.Struct("=IHHII"), struct.Struct("=4xi4xI4x")
_ATTRIBUTE, _ERROR, _U32, _TBF_PARMS = (
    struct.Struct(each) for each in ("=HH", "=i", "=I", "=8xI12xI"))
_ALIGN, _TYPE, _LARGEST_ANSWER = 4, 0x3FFF, 1 << 18
_TCA_KIND, _TCA_OPTIONS, _TCA_TBF_PARMS = 1, 2, 1


class TbfMessage(nlmsg):
    """The message that makes a TBF; pyroute2's own knows neither 64-bit rates nor bursts in
    bytes."""

    # not derived from tcmsg: pyroute2 keeps what it made of that class's attributes in the class
    fields = tcmsg.fields
    nla_map = (
        ("TCA_UNSPEC", "none"),
        ("TCA_KIND", "asciiz"),
        ("TCA_OPTIONS", "tbf"),
    )

    class tbf(nla):  # pyroute2 finds it by this name
        nla_map = (
            ("TCA_TBF_UNSPEC", "none"),
            ("TCA_TBF_PARMS", "parameters"),
            ("TCA_TBF_RTAB", "none"),
            ("TCA_TBF_PTAB", "none"),
            ("TCA_TBF_RATE64", "uint64"),
            ("TCA_TBF_PRATE64", "uint64"),
            ("TCA_TBF_BURST", "uint32"),
        )

        class parameters(nla):
            fields = (
                ("rate_cell_log", "B"), ("rate_linklayer", "B"), ("rate_overhead", "H"),
                ("rate_cell_align", "h"), ("rate_mpu", "H"), ("rate", "I"),
                ("peak_cell_log", "B"), ("peak_linklayer", "B"), ("peak_overhead", "H"),
                ("peak_cell_align", "h"), ("peak_mpu", "H"), ("peak", "I"),
                ("limit", "I"), ("buffer", "I"), ("mtu", "I"),
            )


def limit(device: int, parent: int) -> int:
    """How many bytes may wait in the queue of class ``parent``, which has one beside HTB's own;
    NO_QUEUE when it is like HTB's own, STRANGE_QUEUE when it is neither that nor one of ours.

    :raises OSError: the kernel refuses to tell
    """
    try:
        return next((_limit(dict(_attributes(attributes)))
                     for _, _, attributes in _told(NLM_F_ACK | NLM_F_ECHO, device, parent)),
                    NO_QUEUE)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return NO_QUEUE
        raise


def limits(device: int) -> dict[int, int]:
    """``limit`` of each queue of a device, by the number of its class.

    Without pyroute2, which takes 0.1 s of a processor for 500 queues.

    :raises OSError: the kernel refuses to list them
    """
    return {parent: _limit(dict(_attributes(attributes)))
            for index, parent, attributes in _told(NLM_F_DUMP, device) if index == device}


def _limit(attributes: dict[int, bytes]) -> int:
    options = attributes.get(_TCA_OPTIONS, b"")
    match attributes[_TCA_KIND]:
        case b"pfifo\0" if _U32.unpack_from(options)[0] == USUAL_FRAMES:
            return NO_QUEUE
        case b"tbf\0":
            rate, most = _TBF_PARMS.unpack_from(dict(_attributes(options))[_TCA_TBF_PARMS])
            # the kernel tells neither the burst nor, in 32 bits, a rate as large as ours
            return int(most) if rate == _U32_MAX else STRANGE_QUEUE
    return STRANGE_QUEUE


def _told(flags: int, device: int, parent: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Device, parent and attributes of one queueing discipline, or of all."""
    size = _HEADER.size + _TCMSG.size
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(_HEADER.pack(size, RTM_GETQDISC, NLM_F_REQUEST | flags, 0, 0)
                    + _TCMSG.pack(device, parent))
        while True:
            for kind, message in _messages(kernel.recv(_LARGEST_ANSWER)):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    if not (number := -_ERROR.unpack_from(message)[0]):
                        return
                    raise OSError(number, os.strerror(number))
                yield (*_TCMSG.unpack_from(message), message[_TCMSG.size:])


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    while answer:
        length, kind, *_ = _HEADER.unpack_from(answer)
        yield kind, answer[_HEADER.size:length]
        answer = answer[-(-length // _ALIGN) * _ALIGN:]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & _TYPE, data[_ATTRIBUTE.size:length]
        data = data[-(-length // _ALIGN) * _ALIGN:]


def plain_message(device: int, parent: int) -> tcmsg:
    """To make a queue like HTB's own for class ``parent``, on a device of the usual length."""
    made = tcmsg()
    made.update(index=device, parent=parent, handle=0)
    made["attrs"] = [["TCA_KIND", "pfifo"], ["TCA_OPTIONS", {"limit": USUAL_FRAMES}]]
    return made


def message(device: int, parent: int, frame: int, limit: int) -> TbfMessage:
    """To make the queue of class ``parent``.

    :param frame: what no packet on the wire exceeds, in bytes with all headers
    :param limit: bytes that may wait
    """
    made = TbfMessage()
    made.update(index=device, parent=parent, handle=0)
    parameters = {"rate": _U32_MAX, "rate_linklayer": _ETHERNET, "limit": limit}
    made["attrs"] = [
        ["TCA_KIND", "tbf"],
        ["TCA_OPTIONS", {"attrs": [
            ["TCA_TBF_PARMS", parameters],
            ["TCA_TBF_RATE64", _UNLIMITED_RATE],
            ["TCA_TBF_BURST", frame],
        ]}],
    ]
    return made
