# SPDX-License-Identifier: Apache-2.0
"""What the kernel counts of the packets of a class, as metrics. Pure: from what was listed."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.host import Figures
from nova_qos.net.layout import NO_TOTAL, STRAYS, WHOLE, Share

# linux/gen_stats.h: gnet_stats_basic (bytes, packets), gnet_stats_queue (packets and bytes that
# wait, packets dropped); tc_htb_xstats: packets within the rate, and beyond it
_BASIC, _QUEUE, _HTB, _PACKETS = (struct.Struct(layout) for layout in ("=QI", "=III", "=II", "=Q"))
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_APP, _TCA_STATS_PKT64 = 1, 3, 4, 8
_KINDS = {WHOLE: "whole", STRAYS: "unknown"}


@dataclass(frozen=True)
class Counted:
    """The counts of a class since it was made, and what waits in it now."""

    sent_bytes: int = 0
    sent_packets: int = 0
    backlog_packets: int = 0
    backlog_bytes: int = 0
    dropped_packets: int = 0
    lent_packets: int = 0
    borrowed_packets: int = 0


def counted(statistics: Mapping[int, bytes]) -> Counted:
    """:param statistics: the attributes in a class's TCA_STATS2"""
    sent = _BASIC.unpack_from(statistics.get(_TCA_STATS_BASIC, bytes(_BASIC.size)))
    if _TCA_STATS_PKT64 in statistics:
        # the count beside the bytes begins again after 32 bits
        sent = (sent[0], *_PACKETS.unpack_from(statistics[_TCA_STATS_PKT64]))
    waiting = _QUEUE.unpack_from(statistics.get(_TCA_STATS_QUEUE, bytes(_QUEUE.size)))
    return Counted(*sent, *waiting, *_HTB.unpack_from(
        statistics.get(_TCA_STATS_APP, bytes(_HTB.size))))


def of_server(classes: Mapping[str, tuple[Share, Counted]]) -> Figures:
    """The metrics of a server.

    :param classes: its own by the name of the uplink
    """
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for uplink, (share, counts) in classes.items():
        named = {
            "sent_bytes_total": counts.sent_bytes, "sent_packets_total": counts.sent_packets,
            "dropped_packets_total": counts.dropped_packets,
            "lent_packets_total": counts.lent_packets,
            "borrowed_packets_total": counts.borrowed_packets,
            "backlog_bytes": counts.backlog_bytes, "backlog_packets": counts.backlog_packets,
            "guaranteed_bytes_per_second": share.rate}
        for name, number in named.items():
            found.setdefault(f"server_uplink_{name}", {})[uplink,] = number
    return found


def of_uplinks(trees: Mapping[str, Mapping[int, tuple[Share, Counted]]]) -> Figures:
    """The metrics of the uplinks, whose classes are by their names."""
    wholes = {uplink: tree[WHOLE][0] for uplink, tree in trees.items() if WHOLE in tree}
    return {
        "uplink_sent_bytes_total": {
            (uplink, kind): tree[minor][1].sent_bytes
            for uplink, tree in trees.items() for minor, kind in _KINDS.items() if minor in tree},
        "uplink_rate_bytes_per_second": {
            (uplink,): whole.ceil for uplink, whole in wholes.items() if whole.ceil != NO_TOTAL}}
