# SPDX-License-Identifier: Apache-2.0
"""A host, its guests and the outside world as network namespaces, joined as clouds join them."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .errors import TestbedError
from .namespace import Namespace
from .processes import wait_until

#: How guests' packets reach the uplink: over one bridge; over a veth pair between two bridges,
#: as under OVS' hybrid plug; routed behind the host's own address; inside of a VXLAN tunnel;
#: through a router in a namespace of its own, as neutron makes them, that gives the packets of each
#: guest its floating IP; by devices of their own on top of the uplink, without any tap.
Path = Literal["bridge", "hop", "nat", "vxlan", "router", "macvlan"]

BRIDGE = "br0"
UPLINK = "up0"
_FIRST_PORT = 5201
#: Before a command that sends or receives: on a busy machine it has to keep pace.
EAGER = ("nice", "-n", "-15")
_SERVER = (*EAGER, "iperf3", "--server", "--json", "--interval", "0.1")
_TUNNEL_MTU = 1450
_NAT = """\
table inet testnat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname "up0" masquerade
    }
}
"""
_FLOATING = """\
table ip floating {{
    map addresses {{
        type ipv4_addr : ipv4_addr
        elements = {{ {addresses} }}
    }}
    chain out {{
        type nat hook postrouting priority srcnat
        oifname "qg" snat to ip saddr map @addresses
        oifname "qg" masquerade
    }}
}}
"""
_DISGUISE = """\
table netdev disguise {{
    chain out {{
        type filter hook egress device "{device}" priority 0
        ether saddr set {mac}
    }}
}}
"""
_COUNTER = """\
table netdev senders {{
    counter seen {{ }}
    chain in {{
        type filter hook ingress device "ext0" priority 0
        ether saddr {mac} counter name seen
    }}
}}
"""


@dataclass(frozen=True)
class Nic:
    """One interface of a guest: ``device`` on its side, ``tap`` or ``parent`` on the host's."""

    number: int
    device: str
    mac: str
    tenant: int
    tap: str | None
    parent: str | None

    @property
    def port(self) -> int:
        """Where the outside world listens for what this interface sends."""
        return _FIRST_PORT + self.number

    @property
    def addresses(self) -> tuple[str, str]:
        return f"10.{self.tenant}.1.{self.number}", f"fd{self.tenant}::1:{self.number}"

    @property
    def floating_ip(self) -> str:
        """The source address that a router gives its packets."""
        return f"10.77.2.{self.number}"


@dataclass(frozen=True)
class Guest:
    """A server's inside: a namespace of its own with its interfaces."""

    namespace: Namespace
    nics: tuple[Nic, ...]


class Site:
    """Guests, the host between them and the uplink, and the outside world with iperf3 servers.

    ``nics`` gives the number of interfaces of each guest. The host reaches the outside world
    with an address of its own on every path, and there is a server for what it sends.
    """

    def __init__(self, path: Path, nics: Iterable[int]) -> None:
        self.path = path
        self._tenant = 78 if path in ("nat", "vxlan", "router") else 77
        self._all: list[Namespace] = []
        try:
            self.host = self._namespace("host")
            self.outside = self._namespace("outside")
            self._join_outside()
            numbers = itertools.count(1)
            self.guests = [
                self._add_guest(tuple(itertools.islice(numbers, count))) for count in nics
            ]
            if path == "router":
                self._let_float()
            self._listen()
        except BaseException:
            self.remove()
            raise

    def target(self, version: int = 4) -> str:
        """The outside world's address for guests."""
        return f"10.{self._outside_net}.0.1" if version == 4 else f"fd{self._outside_net}::1"

    @property
    def host_target(self) -> str:
        """The outside world's address for the host itself."""
        return "10.77.0.1"

    @property
    def host_port(self) -> int:
        """Where the outside world listens for what the host itself sends."""
        return _FIRST_PORT

    def remove(self) -> None:
        for namespace in self._all:
            namespace.remove()

    @property
    def _outside_net(self) -> int:
        return self._tenant if self.path == "vxlan" else 77

    def _namespace(self, label: str) -> Namespace:
        namespace = Namespace(label)
        self._all.append(namespace)
        return namespace

    def _join_outside(self) -> None:
        self.host.ip(
            f"link add {UPLINK} type veth peer name ext0 netns {self.outside.name}",
            f"link add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0",
            f"link set {UPLINK} up",
            f"link set {BRIDGE} up",
        )
        self.outside.ip("link set ext0 up", *_addresses("ext0", 77, 1))
        getattr(self, f"_join_{self.path}")()

    def _join_bridge(self) -> None:
        self.host.ip(f"link set {UPLINK} master {BRIDGE}", *_addresses(BRIDGE, 77, 2))

    def _join_hop(self) -> None:
        self.host.ip(
            "link add br-int type bridge forward_delay 0 mcast_snooping 0",
            "link set br-int up",
            "link add qvb type veth peer name qvo",
            f"link set qvb master {BRIDGE} up",
            "link set qvo master br-int up",
            f"link set {UPLINK} master br-int",
            *_addresses("br-int", 77, 2),
        )

    def _join_nat(self) -> None:
        self.host.ip(*_addresses(UPLINK, 77, 2), *_addresses(BRIDGE, 78, 1))
        forwarding = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.host.run("sysctl", "-q", "-w", *forwarding)
        self.host.run("nft", "-f", "-", text=_NAT)

    def _join_vxlan(self) -> None:
        vxlan = "link add vx0 type vxlan id 42 dstport 4789"
        self.host.ip(
            *_addresses(UPLINK, 77, 2),
            f"{vxlan} dev {UPLINK} local 10.77.0.2 remote 10.77.0.1",
            f"link set vx0 master {BRIDGE} up",
        )
        self.outside.ip(
            f"{vxlan} dev ext0 local 10.77.0.1 remote 10.77.0.2",
            "link set vx0 up",
            *_addresses("vx0", 78, 1),
        )

    def _join_router(self) -> None:
        self.router = self._namespace("router")
        self.host.ip(
            "link add br-ex type bridge forward_delay 0 mcast_snooping 0",
            "link set br-ex up",
            f"link set {UPLINK} master br-ex",
            *_addresses("br-ex", 77, 2),
            f"link add to-qr type veth peer name qr netns {self.router.name}",
            f"link set to-qr master {BRIDGE} up",
            f"link add to-qg type veth peer name qg netns {self.router.name}",
            "link set to-qg master br-ex up",
        )
        self.router.ip("link set qr up", "link set qg up", *_addresses("qr", 78, 1),
                       *_addresses("qg", 77, 3))
        self.router.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    def _let_float(self) -> None:
        """All guests but the last have floating IPs."""
        nics = [nic for guest in self.guests[:-1] for nic in guest.nics]
        self.router.ip(*(f"address add {nic.floating_ip}/32 dev qg" for nic in nics))
        self.router.run("nft", "-f", "-", text=_FLOATING.format(addresses=", ".join(
            f"{nic.addresses[0]} : {nic.floating_ip}" for nic in nics)))

    def _join_macvlan(self) -> None:
        self.host.ip(*_addresses(UPLINK, 77, 2))

    def _add_guest(self, numbers: tuple[int, ...]) -> Guest:
        namespace = self._namespace(f"guest{numbers[0]}")
        nics = []
        for position, number in enumerate(numbers):
            mac = f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}"
            place = (None, UPLINK) if self.path == "macvlan" else (f"tap{number}", None)
            nic = Nic(number, f"eth{position}", mac, self._tenant, *place)
            self._plug(namespace, nic)
            nics.append(nic)
        # With two interfaces in one network, each is to answer for itself alone.
        namespace.run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1")
        return Guest(namespace, tuple(nics))

    def _plug(self, namespace: Namespace, nic: Nic) -> None:
        mtu = _TUNNEL_MTU if self.path == "vxlan" else 1500
        guest_end = f"{nic.device} address {nic.mac} mtu {mtu} netns {namespace.name}"
        if nic.tap is None:
            self.host.ip(f"link add link {nic.parent} {guest_end} type macvlan mode bridge")
        else:
            self.host.ip(
                f"link add {nic.tap} type veth peer name {guest_end}",
                f"link set {nic.tap} master {BRIDGE} up",
            )
        ipv4, ipv6 = nic.addresses
        namespace.ip(
            f"link set {nic.device} up",
            f"address add {ipv4}/16 dev {nic.device}",
            f"address add {ipv6}/64 dev {nic.device} nodad",
        )
        if self.path in ("nat", "router"):
            via = f"dev {nic.device} metric {nic.number}"
            namespace.ip(f"route add default via 10.78.0.1 {via}")
            namespace.ip(f"route add default via fd78::1 {via}")

    def disguise(self, guest: Guest, mac: str) -> None:
        """Let all of a guest's packets carry another's address; count what arrives outside."""
        (nic,) = guest.nics
        guest.namespace.run("nft", "-f", "-", text=_DISGUISE.format(device=nic.device, mac=mac))
        # what is sent to either guest goes on reaching it
        port = ("dev", str(nic.tap))
        self.host.run("bridge", "link", "set", *port, "learning", "off")
        self.host.run("bridge", "fdb", "replace", nic.mac, *port, "master", "static")
        self.outside.run("nft", "-f", "-", text=_COUNTER.format(mac=mac))

    def seen_bytes(self) -> int:
        """What has arrived outside under the address given to ``disguise``."""
        listed = json.loads(self.outside.run("nft", "-j", "list", "counters"))["nftables"]
        return int(next(each["counter"]["bytes"] for each in listed if "counter" in each))

    def _listen(self) -> None:
        ports = [self.host_port, *(nic.port for guest in self.guests for nic in guest.nics)]
        for port in ports:
            # a server's intervals are its own, whatever the client asks for
            self.outside.start(*_SERVER, "--port", str(port))
        if not wait_until(lambda: self._listening() >= set(ports), 20):
            raise TestbedError(f"iperf3 does not listen on {set(ports) - self._listening()}")

    def _listening(self) -> set[int]:
        lines = self.outside.run("ss", "-Hltn").splitlines()
        return {int(line.split()[3].rpartition(":")[2]) for line in lines}


def _addresses(device: str, net: int, last: int) -> tuple[str, str]:
    return (
        f"address add 10.{net}.0.{last}/16 dev {device}",
        f"address add fd{net}::{last}/64 dev {device} nodad",
    )
