# SPDX-License-Identifier: Apache-2.0
"""The queue of a class: a TBF that limits nothing, but cuts large segments into frames.

Of what every kernel has, TBF alone cuts a segment that is larger than its burst
(net/sched/sch_tbf.c).
"""

import struct

from pyroute2.netlink import NLM_F_DUMP, nla, nlmsg
from pyroute2.netlink.rtnl import RTM_GETQDISC
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from nova_qos.net.layout import NO_QUEUE, STRANGE_QUEUE
from nova_qos.net.netlink import TCA_OPTIONS, Listed, ask, ask_one, attributes

_UNLIMITED_RATE = 10**12
_U32_MAX = 2**32 - 1
_ETHERNET = 1
#: What the kernel lets wait for a device that says nothing else, in frames.
USUAL_FRAMES = 1000
# tc_fifo_qopt, and tc_tbf_qopt, which holds two rates first
_U32, _TBF_PARMS = struct.Struct("=I"), struct.Struct("=8xI12xI")
_TCA_TBF_PARMS = 1


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
    found = ask_one(RTM_GETQDISC, device, parent)
    return NO_QUEUE if found is None else _limit(found)


def limits(device: int) -> dict[int, int]:
    """``limit`` of each queue of a device, by the number of its class.

    :raises OSError: the kernel refuses to list them
    """
    return {each.parent: _limit(each)
            for each in ask(RTM_GETQDISC, NLM_F_DUMP, device) if each.device == device}


def _limit(listed: Listed) -> int:
    options = listed.attributes.get(TCA_OPTIONS, b"")
    match listed.kind:
        case "pfifo" if _U32.unpack_from(options)[0] == USUAL_FRAMES:
            return NO_QUEUE
        case "tbf":
            rate, most = _TBF_PARMS.unpack_from(attributes(options)[_TCA_TBF_PARMS])
            # the kernel tells neither the burst nor, in 32 bits, a rate as large as ours
            return int(most) if rate == _U32_MAX else STRANGE_QUEUE
    return STRANGE_QUEUE


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
