# SPDX-License-Identifier: Apache-2.0
"""The queue of a class: a TBF that limits nothing, but cuts large segments into frames.

Of what every kernel has, TBF alone cuts a segment that is larger than its burst
(net/sched/sch_tbf.c).
"""

import os
import socket
import struct
from collections.abc import Iterator

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nla, nlmsg
from pyroute2.netlink.rtnl import RTM_GETQDISC
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from nova_qos.net.layout import STRANGE_QUEUE

_UNLIMITED_RATE = 10**12
_U32_MAX = 2**32 - 1
_ETHERNET = 1
# nlmsghdr, tcmsg, nlattr, nlmsgerr and tc_tbf_qopt, of which the last holds two rates first
_HEADER, _TCMSG = struct.Struct("=IHHII"), struct.Struct("=4xi4xI4x")
_ATTRIBUTE, _ERROR, _TBF_PARMS = (struct.Struct(each) for each in ("=HH", "=i", "=8xI12xI"))
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


def limit(rate: int, most: int) -> int:
    """How many bytes may wait in a TBF of this rate; STRANGE_QUEUE when it is none of ours.

    The kernel tells neither its burst nor, in 32 bits, a rate as large as ours.
    """
    return most if rate == _U32_MAX else STRANGE_QUEUE


def limits(device: int) -> dict[int, int]:
    """``limit`` of each queue of a device, by the number of its class.

    Without pyroute2, which takes 0.1 s of a processor for 500 queues.

    :raises OSError: the kernel refuses to list them
    """
    return {parent: _limit(dict(_attributes(attributes)))
            for index, parent, attributes in _listed() if index == device}


def _limit(attributes: dict[int, bytes]) -> int:
    parameters = dict(_attributes(attributes.get(_TCA_OPTIONS, b""))).get(_TCA_TBF_PARMS)
    if attributes[_TCA_KIND] != b"tbf\0" or parameters is None:
        return STRANGE_QUEUE
    return limit(*_TBF_PARMS.unpack_from(parameters))


def _listed() -> Iterator[tuple[int, int, bytes]]:
    """Device, parent and attributes of each queueing discipline."""
    flags = NLM_F_REQUEST | NLM_F_DUMP
    size = _HEADER.size + _TCMSG.size
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(_HEADER.pack(size, RTM_GETQDISC, flags, 0, 0) + bytes(_TCMSG.size))
        while True:
            for kind, message in _messages(kernel.recv(_LARGEST_ANSWER)):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    number = -_ERROR.unpack_from(message)[0]
                    raise OSError(number, os.strerror(number))
                index, parent = _TCMSG.unpack_from(message)
                yield index, parent, message[_TCMSG.size:]


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
