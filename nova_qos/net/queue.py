# SPDX-License-Identifier: Apache-2.0
"""The queue of a class: a TBF that limits nothing, but cuts large segments into frames.

Of what every kernel has, TBF alone cuts a segment that is larger than its burst
(net/sched/sch_tbf.c).
"""

from pyroute2.netlink import nla, nlmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

_UNLIMITED_RATE = 10**12
_U32_MAX = 2**32 - 1
_ETHERNET = 1


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
