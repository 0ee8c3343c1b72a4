# SPDX-License-Identifier: Apache-2.0
"""Hosts whose network priorities are set by our code."""

import uuid
from collections.abc import Mapping, Sequence

from nova_qos.core.reading import Reading
from nova_qos.host import Interface, Interfaces
from nova_qos.net.outbound import Outbound
from tools.bed.namespace import Namespace
from tools.bed.site import UPLINK, Guest, Site

RATE_MBIT = 80
#: Of servers without a priority.
DEFAULT_WEIGHT = 50
# a priority p has the weight 99 - p
_NO_WEIGHT = 99


class Bench:
    """Servers by number; calls of ours act inside of the host's namespace."""

    def __init__(
        self,
        host: Namespace,
        servers: Sequence[Interfaces],
        uplinks: Sequence[str] = (UPLINK,),
        rate_mbit: int = RATE_MBIT,
    ) -> None:
        self.host = host
        self.uplinks = uplinks
        self.uuids = [str(uuid.uuid4()) for _ in servers]
        self.servers: dict[str, Interfaces] = dict(zip(self.uuids, servers, strict=True))
        self.floating: dict[str, list[str]] = {}
        self._rate_mbit = rate_mbit
        self.restart_agent()

    def restart_agent(self) -> None:
        """Forget all that our code has in memory."""
        self.shaper = Outbound(self.uplinks, self._rate_mbit, DEFAULT_WEIGHT)

    def neighbours(self) -> Mapping[str, Interfaces]:
        return dict(self.servers)

    def prioritize(self, number: int, priority: int) -> None:
        with self.host.inside():
            self.shaper.write(
                self.uuids[number], {"net_priority": priority}, self.neighbours)

    def weigh(self, number: int, weight: int) -> None:
        self.prioritize(number, _NO_WEIGHT - weight)

    def reading(self, number: int) -> Reading:
        with self.host.inside():
            return self.readings(number)["net_priority"]

    def readings(self, number: int) -> Mapping[str, Reading]:
        """All of them, inside of the namespace."""
        uuid = self.uuids[number]
        return self.shaper.read(uuid, self.servers[uuid])

    def tidy(self, correct: bool = True) -> None:
        with self.host.inside():
            self.shaper.tidy(self.neighbours, correct, self.floating)

    def start_server(self, number: int) -> None:
        """It runs again, with a tap of the same name."""
        self.servers[self.uuids[number]] = (tap_interface(number),)
        self.host.ip(*tap_lines(number))

    def stop_server(self, number: int) -> None:
        """It runs no more; its taps go with it."""
        for each in self.servers.pop(self.uuids[number]):
            if each.tap:
                self.host.ip(f"link del {each.tap}")


class SiteBench(Bench):
    """Guests that can send."""

    def __init__(self, site: Site, rate_mbit: int = RATE_MBIT) -> None:
        super().__init__(site.host, [_interfaces(each) for each in site.guests],
                         rate_mbit=rate_mbit)
        self.site = site


class QuietBench(Bench):
    """Servers with a tap each, as libvirt makes them, and nobody who sends."""

    def __init__(self, host: Namespace, servers: int, uplinks: Sequence[str] = (UPLINK,)) -> None:
        super().__init__(host, [(tap_interface(each),) for each in range(servers)], uplinks)
        self.host.ip(
            *(line for name in uplinks for line in uplink_lines(name)),
            "link add br0 address 02:00:00:00:00:00 type bridge",
            *(line for server in range(servers) for line in tap_lines(server)),
        )


def uplink_lines(name: str) -> tuple[str, str]:
    """Lines for ``ip`` that make an uplink, ``up0`` to ``up9``, with an address of its own."""
    near, far = f"02:00:00:00:01:0{name[2:]}", f"02:00:00:00:02:0{name[2:]}"
    peer = f"peer name {name}-far address {far}"
    return f"link add {name} address {near} type veth {peer}", f"link set {name} up"


def tap_interface(number: int) -> Interface:
    return Interface(mac=f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}", tap=f"tap{number}")


def tap_lines(number: int) -> tuple[str, str]:
    """Lines for ``ip`` that make a server's tap, with an address like libvirt's."""
    tap, mac = f"tap{number}", tap_interface(number).mac.replace("fa", "fe", 1)
    return f"tuntap add name {tap} mode tap", f"link set {tap} address {mac} master br0 up"


def _interfaces(guest: Guest) -> Interfaces:
    return tuple(
        Interface(mac=nic.mac, tap=nic.tap, parent=nic.parent) for nic in guest.nics)
