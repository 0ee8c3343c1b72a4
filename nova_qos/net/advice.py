# SPDX-License-Identifier: Apache-2.0
"""What on this host may keep network priorities from having their effect, or disturb others.

For ``--check``: each warning is a sentence; nothing is changed.
"""

import socket
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from nova_qos.net import filters
from nova_qos.net.marks import Marks
from nova_qos.net.netlink import Netlink
from nova_qos.net.uplinks import WIRES, Uplink, kind_of

_FAST_MBIT = 10_000
_MOST_NAMES = 5
_DEVICES = Path("/sys/class/net")
_ALL_BITS = 0xFFFFFFFF


def warnings(kernel: Netlink, marks: Marks, uplinks: Collection[Uplink]) -> Iterator[str]:
    """All of them.

    :raises OSError: the kernel refuses to list filters
    """
    links = {link["index"]: link for link in kernel.get_links()}
    used = {each.index for each in uplinks}
    yield from of_rules(kernel, marks)
    yield from of_cards(links[index] for index in used & links.keys())
    redirecting = {each for each in filters.devices() - used if filters.redirects(each)}
    yield from of_redirects(links[index] for index in redirecting & links.keys())
    yield from of_strangers(links[index] for index in links.keys() - used)


def of_cards(uplinks: Iterable[Any], devices: Path = _DEVICES) -> Iterator[str]:
    """Uplinks that lose much by having one queueing discipline."""
    for link in uplinks:
        name, queues = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_NUM_TX_QUEUES") or 1
        speed = _mbit(devices / name)
        if kind_of(link) in WIRES and (queues > 1 or speed >= _FAST_MBIT):
            what = " and ".join([*([f"{queues} transmit queues"] if queues > 1 else []),
                                 *([f"{speed} Mbit/s"] if speed > 0 else [])])
            yield (f"uplink {name} has {what}: while a server of the host has a setting for "
                   "outbound traffic, one HTB tree takes the place of its queues, and all "
                   "processors share its lock for all that leaves by it, also storage and "
                   "migration; measure what it carries")


def of_redirects(links: Iterable[Any]) -> Iterator[str]:
    """Devices whose packets pass by nftables."""
    if names := _names(links):
        yield (f"a tc filter redirects packets from {names} past nftables, as Open vSwitch does "
               "with other_config:hw-offload: network priorities have no effect on these")


def of_strangers(links: Iterable[Any]) -> Iterator[str]:
    """Devices that lead to senders of the host which are no servers."""
    leading = (link for link in links if kind_of(link) == "veth"
               and link.get_attr("IFLA_LINK_NETNSID") is not None)
    if names := _names(leading):
        yield (f"{names} lead into other network namespaces: while a server of the host has a "
               "network priority or guarantee, what routers and containers in there send through "
               "an uplink shares one class of the weight default_net_weight within htb_rate")


def _names(links: Iterable[Any]) -> str:
    names = sorted(link.get_attr("IFLA_IFNAME") for link in links)
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _mbit(device: Path) -> int:
    try:
        return int((device / "speed").read_text())
    except (OSError, ValueError):
        return 0


def of_rules(kernel: Netlink, marks: Marks) -> Iterator[str]:
    """Routing rules that look at bits of ours."""
    for family, name in ((socket.AF_INET, "ip"), (socket.AF_INET6, "ip -6")):
        for rule in kernel.get_rules(family=family):
            mark, mask = rule.get_attr("FRA_FWMARK"), rule.get_attr("FRA_FWMASK")
            if mark is None and mask is None:
                continue
            mask = _ALL_BITS if mask is None else mask
            if common := mask & marks.mask:
                yield (
                    f"'{name} rule' {rule.get_attr('FRA_PRIORITY') or 0} looks at mark "
                    f"{mark or 0:#x}/{mask:#x}: it may route packets of servers by bits that "
                    f"nova-qos sets; choose [nova_qos] mark_mask without {common:#x}")
