# SPDX-License-Identifier: Apache-2.0
"""The devices through which servers' traffic leaves the host."""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nova_qos.core import errors
from nova_qos.net.netlink import Netlink

_MAIN_TABLE = 254
#: Kinds of devices that stand for a wire; None is a network card.
WIRES = (None, "bond", "team", "vlan")
_SWITCH = "openvswitch"
_BRIDGES = ("bridge", _SWITCH)
# what sends through one device below it
_UPPER = ("vlan", "macvlan", "ipvlan")
_IFF_LOOPBACK = 0x8
# as the kernel names the ports of such a card (Documentation/networking/switchdev.rst)
_FUNCTION, _PHYSICAL = re.compile(r"(c\d+)?pf\d+"), re.compile(r"p\d+(s\d+)?")
_LOOPBACK = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Uplink:
    """A device that is there now; ``obstacle`` says why packets of servers do not pass its queue,
    None when they do."""

    index: int
    name: str
    mtu: int
    obstacle: str | None = None


def find(kernel: Netlink, name: str) -> Uplink | None:
    """The device of that name; None when there is none."""
    link = kernel.link(name)
    return None if link is None else Uplink(
        link["index"], name, link.get_attr("IFLA_MTU"), _obstacle(kernel, link))


def of_default_route(kernel: Netlink) -> list[str]:
    """The devices of the default routes, or the wires below them: a VLAN's lower device, a
    bridge's ports; those of all bridges together where it is one of Open vSwitch's.

    :raises HostRefused: there is no default route, or nothing says which wire is below it
    """
    links = {link["index"]: link for link in kernel.get_links()}
    found = {wire for index in _default_devices(kernel) for wire in _wires(links, index)}
    if not found:
        raise errors.HostRefused(
            "prio: found no uplink: cannot determine the device of the default route; name the "
            "devices in [nova_qos] uplinks")
    return sorted(found)


def host_macs(kernel: Netlink) -> set[str]:
    """The addresses that the host itself may send from."""
    addresses = (link.get_attr("IFLA_ADDRESS") for link in kernel.get_links())
    return {mac for mac in addresses if mac and len(mac) == len(_LOOPBACK) and mac != _LOOPBACK}


def present(kernel: Netlink, names: Sequence[str]) -> tuple[list[Uplink], list[str]]:
    """Those that are there, and the names of those that are not.

    :raises HostRefused: none is there
    """
    found = {name: find(kernel, name) for name in names}
    uplinks = [uplink for uplink in found.values() if uplink]
    missing = [name for name, uplink in found.items() if not uplink]
    if not uplinks:
        raise errors.HostRefused(f"prio: there is no uplink {', '.join(missing)} on this host now")
    return uplinks, missing


def _obstacle(kernel: Netlink, link: Any) -> str | None:
    name = link.get_attr("IFLA_IFNAME")
    if link["flags"] & _IFF_LOOPBACK:
        return f"no packet leaves the host through {name}; name a network card"
    below: Any | None = link
    while below is not None and kind_of(below) in _UPPER and below.get_attr("IFLA_LINK"):
        below = kernel.link(index=below.get_attr("IFLA_LINK"))
    if below is None or kind_of(below) not in _BRIDGES:
        return None
    bridge = below.get_attr("IFLA_IFNAME")
    what = f"{name} is a bridge" if bridge == name else f"{name} lies on bridge {bridge}"
    return (f"{what}: what a bridge forwards does not pass its own queue; name the network card "
            "below it")


def _default_devices(kernel: Netlink) -> Iterator[int]:
    for family in (socket.AF_INET, socket.AF_INET6):
        for route in kernel.get_routes(family=family):
            if route["dst_len"] or route.get_attr("RTA_TABLE") != _MAIN_TABLE:
                continue
            hops = route.get_attr("RTA_MULTIPATH") or []
            yield from (hop["oif"] for hop in hops)
            if (device := route.get_attr("RTA_OIF")) is not None:
                yield device


def kind_of(link: Any) -> str | None:
    """The kind of a device that was listed; None for a network card."""
    information = link.get_attr("IFLA_LINKINFO")
    return None if information is None else information.get_attr("IFLA_INFO_KIND")


def _stands_for_a_guest(link: Any) -> bool:
    """Whether a card that is switched in hardware has it in place of a function of the card."""
    port = link.get_attr("IFLA_PHYS_PORT_NAME")
    if port is None:
        return False
    in_switch = link.get_attr("IFLA_PHYS_SWITCH_ID") is not None
    return bool(_FUNCTION.match(port)) or (in_switch and not _PHYSICAL.fullmatch(port))


def _wires(links: dict[int, Any], index: int) -> Iterator[str]:
    link = links.get(index)
    if link is None or link.get_attr("IFLA_IFNAME") == "lo":
        return
    kind = kind_of(link)
    if kind == "vlan" and link.get_attr("IFLA_LINK") in links:
        yield from _wires(links, link.get_attr("IFLA_LINK"))
    elif kind in _BRIDGES:
        # whichever of Open vSwitch's bridges has a port, the kernel names the datapath as master
        masters = {index} if kind == "bridge" else {
            each for each, other in links.items() if kind_of(other) == _SWITCH}
        for port, other in links.items():
            if other.get_attr("IFLA_MASTER") in masters and kind_of(other) in WIRES:
                yield from _wires(links, port)
    elif kind in (*WIRES, "veth", "macvlan") and not _stands_for_a_guest(link):
        yield link.get_attr("IFLA_IFNAME")
