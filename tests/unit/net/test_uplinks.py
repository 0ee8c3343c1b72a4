# SPDX-License-Identifier: Apache-2.0
"""Which wire lies below the default route, on hosts that these machines' kernel cannot build.

Links and routes are pyroute2's own messages, as it decodes them from the kernel.
"""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from nova_qos.core import errors
from nova_qos.net import uplinks
from tests.unit.net import links


def link(
    index: int, name: str, kind: str | None = None, **attributes: int | str
) -> ifinfmsg:
    return links.link(name, kind, index, **attributes)


def route(device: int, length: int = 0, table: int = 254) -> rtmsg:
    message = rtmsg()
    message["dst_len"] = length
    message["attrs"] = [("RTA_TABLE", table), ("RTA_OIF", device)]
    return message


class Netlink:
    """What a host's kernel would answer."""

    def __init__(self, links: list[ifinfmsg], routes: list[rtmsg]) -> None:
        self._links, self._routes = links, routes

    def get_links(self) -> list[ifinfmsg]:
        return self._links

    def link(self, name: str | None = None, index: int = 0) -> ifinfmsg | None:
        return next((each for each in self._links
                     if index == each["index"] or name == each.get_attr("IFLA_IFNAME")), None)

    def get_routes(self, family: int) -> Iterator[Any]:
        return iter(self._routes if family == socket.AF_INET else [])


CARD = link(2, "eth0")


@pytest.mark.parametrize(
    ("links", "device", "found"),
    [
        ([CARD], 2, ["eth0"]),
        ([CARD, link(3, "eth0.7", "vlan", link=2)], 3, ["eth0"]),
        ([link(2, "eth0", master=5), link(4, "tap1", "tun", master=5), link(5, "br0", "bridge")],
         5, ["eth0"]),
        ([link(2, "bond0", "bond", master=5), link(6, "eth1", master=2),
          link(5, "br0", "bridge")], 5, ["bond0"]),
        ([link(2, "eth0", master=9), link(9, "ovs-system", "openvswitch"),
          link(10, "br-ex", "openvswitch"), link(11, "vxlan", "vxlan", master=9)],
         10, ["eth0"]),
    ],
    ids=["card", "vlan", "bridge", "bridge over bond", "open vswitch"],
)
def test_wire_below_the_default_route(
    links: list[ifinfmsg], device: int, found: list[str]
) -> None:
    host = Netlink(links, [route(device), route(99, length=24), route(98, table=255)])
    assert uplinks.of_default_route(host) == found


SWITCHED = [link(9, "ovs-system", "openvswitch"), link(10, "br-ex", "openvswitch")]


def port(index: int, port_name: str | None, switch_id: str | None = "0a1b") -> ifinfmsg:
    """A port of Open vSwitch that a card which switches in hardware has made."""
    named = {} if port_name is None else {"phys_port_name": port_name}
    switched = {} if switch_id is None else {"phys_switch_id": switch_id}
    return link(index, f"port{index}", master=9, **named, **switched)


@pytest.mark.parametrize(
    "name", ["pf0vf1", "pf0", "pf1sf88", "c1pf0vf3", "0", "17"])
def test_what_stands_for_a_guest_is_no_uplink(name: str) -> None:
    host = Netlink([*SWITCHED, port(2, "p0"), port(3, name)], [route(10)])
    assert uplinks.of_default_route(host) == ["port2"]
    with pytest.raises(errors.HostRefused, match="uplinks"):
        uplinks.of_default_route(Netlink([*SWITCHED, port(3, name)], [route(10)]))


def test_ports_that_are_wires() -> None:
    host = Netlink(
        [*SWITCHED, port(2, "p0"), port(3, "p1s2"), port(4, None), port(5, "7", switch_id=None)],
        [route(10)])
    assert uplinks.of_default_route(host) == ["port2", "port3", "port4", "port5"]


@pytest.mark.parametrize(
    "host",
    [Netlink([CARD], []), Netlink([CARD, link(5, "br-ex", "tun")], [route(5)]),
     Netlink([link(1, "lo")], [route(1)])],
    ids=["no route", "switch in user space", "loopback"],
)
def test_an_unknown_uplink_asks_for_the_option(host: Netlink) -> None:
    with pytest.raises(errors.HostRefused, match="uplinks"):
        uplinks.of_default_route(host)


@pytest.mark.parametrize(
    ("name", "said"),
    [("eth0", None), ("eth0.7", None), ("lo", "no packet leaves the host"),
     ("br0", "br0 is a bridge"), ("br-ex", "br-ex is a bridge"),
     ("br0.7", "br0.7 lies on bridge br0"), ("upper", "upper lies on bridge br0")])
def test_uplink_whose_queue_packets_do_not_pass(name: str, said: str | None) -> None:
    host = Netlink([
        link(1, "lo"), CARD, link(3, "eth0.7", "vlan", link=2), link(4, "br0", "bridge"),
        link(5, "br-ex", "openvswitch"), link(6, "br0.7", "vlan", link=4),
        link(7, "upper", "macvlan", link=6)], [])
    found = uplinks.find(host, name)
    assert found is not None
    assert (found.obstacle or "").startswith(said or "")
    assert (found.obstacle is None) == (said is None)
