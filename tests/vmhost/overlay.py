# SPDX-License-Identifier: Apache-2.0
"""This machine as a compute host whose guests' packets pass Open vSwitch in the kernel.

``ThisMachine`` is the host of a ``tools.bed.site.Site``; the service of the machine's own serves
it.
"""

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from tools.bed.errors import TestbedError
from tools.bed.namespace import Namespace
from tools.bed.processes import wait_until
from tools.bed.site import EAGER, UPLINK, Guest, Nic, Site

#: Guest's tap straight in br-int; or in a Linux bridge of its own, which a veth pair joins to
#: br-int, as nova and neutron plug with iptables_hybrid.
Plug = Literal["straight", "hybrid"]
#: What carries packets from br-int to the outside world: tunnels of the uplink's address, or of
#: one on br-ex, which has the uplink as a port; a flat network, or a VLAN, on br-ex.
Carrier = Literal["vxlan", "geneve", "vxlan over br-ex", "flat", "vlan"]

_KEY, _VLAN = 42, 7
# A queue of neutron's; then all that comes is taken to the firewall and back.
_FLOWS_OF_ML2 = """\
table=0,priority=10,ip,actions=set_queue:0,ct(table=60)
table=0,priority=0,actions=set_queue:0,NORMAL
table=60,priority=10,ct_state=+trk+new,ip,actions=ct(commit),NORMAL
table=60,priority=0,actions=NORMAL
"""
_ARRIVALS = """\
table netdev arrivals {{
    {counters}
    chain in {{
        type filter hook ingress device "{device}" priority 0
        {rules}
    }}
}}
"""
_BEGUN_BYTES, _PATIENCE_S = 30_000, 60


class ThisMachine(Namespace):
    """A second name for the machine's own network namespace, which its Open vSwitch serves."""

    def __init__(self) -> None:
        # unlike those of namespaces that were made: in a left over one all processes are ended
        self.name = f"this-machine-{os.getpid()}-{secrets.token_hex(3)}"
        self._started = []
        subprocess.run(["ip", "netns", "attach", self.name, str(os.getpid())], check=True)


class OvsSite(Site):
    """A guest for each of ``plugs``, this machine between them and the uplink.

    Raises TestbedError.
    """

    def __init__(self, carrier: Carrier, plugs: Sequence[Plug]) -> None:
        self.carrier = carrier
        self._plugs = plugs
        self._made: list[str] = []
        super().__init__("vxlan" if self._in_tunnel else "bridge", [1] * len(plugs))
        self._count_arrivals()

    def ovs(self, *words: str) -> str:
        """Run ovs-vsctl."""
        return self.host.run("ovs-vsctl", *words)

    def set_qos(self, kind: str, *settings: str) -> None:
        """Give the uplink a QoS of Open vSwitch's."""
        self.ovs("set", "port", UPLINK, "qos=@new", "--", "--id=@new", "create", "qos",
                 f"type={kind}", *settings)

    def add_flows_of_ml2(self) -> None:
        """As neutron's qos extension and its firewall have them in br-int."""
        self.host.run(
            "ovs-ofctl", "-O", "OpenFlow14", "replace-flows", "br-int", "-", text=_FLOWS_OF_ML2)

    @contextlib.contextmanager
    def all_sending(self) -> Iterator[None]:
        """Every guest sends as much as it can; entered when something of each has arrived."""
        senders = [self._send(each) for each in self.guests]
        try:
            if not wait_until(lambda: min(self._arrived()) > _BEGUN_BYTES, _PATIENCE_S):
                raise TestbedError(f"of some guest too little arrives: {self._arrived()} bytes")
            yield
            assert all(each.poll() is None for each in senders)
        finally:
            for each in senders:
                each.kill()
                each.wait()

    def arriving_mbit(self, seconds: float) -> list[float]:
        """What arrives outside of each guest from now on."""
        began, before = time.monotonic(), self._arrived()
        time.sleep(seconds)
        ended, after = time.monotonic(), self._arrived()
        return [(late - early) * 8e-6 / (ended - began)
                for early, late in zip(before, after, strict=True)]

    def remove(self) -> None:
        for bridge in ("br-int", "br-tun", "br-ex"):
            self.ovs("--if-exists", "del-br", bridge)
        for device in (UPLINK, *self._made):
            with contextlib.suppress(TestbedError):
                self.host.ip(f"link del {device}")
        super().remove()

    @property
    def _in_tunnel(self) -> bool:
        return self.carrier not in ("flat", "vlan")

    def _namespace(self, label: str) -> Namespace:
        if label != "host":
            return super()._namespace(label)
        self._all.append(machine := ThisMachine())
        return machine

    def _join_outside(self) -> None:
        self.host.ip(
            f"link add {UPLINK} type veth peer name ext0 netns {self.outside.name}",
            f"link set {UPLINK} up",
        )
        self.outside.ip("link set ext0 up", "address add 10.77.0.1/16 dev ext0")
        self.ovs("add-br", "br-int")
        home = UPLINK
        if self.carrier not in ("vxlan", "geneve"):
            home = "br-ex"
            self.ovs("add-br", home, "--", "add-port", home, UPLINK)
        self.host.ip(f"link set {home} up", f"address add 10.77.0.2/16 dev {home}")
        self._join_tunnel() if self._in_tunnel else self._join_provider()

    def _join_tunnel(self) -> None:
        kind = "geneve" if self.carrier == "geneve" else "vxlan"
        self.ovs(
            "add-br", "br-tun", *_patch("br-int", "patch-tun", "br-tun", "patch-int"),
            "--", "add-port", "br-tun", "tun0", "--", "set", "interface", "tun0", f"type={kind}",
            "options:remote_ip=10.77.0.1", "options:local_ip=10.77.0.2", f"options:key={_KEY}")
        far = (f"geneve id {_KEY} remote 10.77.0.2" if kind == "geneve" else
               f"vxlan id {_KEY} dstport 4789 dev ext0 local 10.77.0.1 remote 10.77.0.2")
        self.outside.ip(f"link add in0 type {far}", "link set in0 up",
                        "address add 10.78.0.1/16 dev in0")

    def _join_provider(self) -> None:
        self.ovs(*_patch("br-int", "int-br-ex", "br-ex", "phy-br-ex")[1:])
        if self.carrier == "vlan":
            self.outside.ip(
                "address del 10.77.0.1/16 dev ext0",
                f"link add link ext0 name in0 type vlan id {_VLAN}", "link set in0 up",
                "address add 10.77.0.1/16 dev in0")

    def _plug(self, namespace: Namespace, nic: Nic) -> None:
        tap, port = str(nic.tap), str(nic.tap)
        mtu = 1450 if self._in_tunnel else 1500
        self.host.ip(
            f"link add {tap} type veth peer name {nic.device} address {nic.mac} mtu {mtu} "
            f"netns {namespace.name}", f"link set {tap} up")
        self._made.append(tap)
        if self._plugs[nic.number - 1] == "hybrid":
            port = self._bridge(nic)
        tag = [f"tag={_VLAN}"] if self.carrier == "vlan" else []
        self.ovs("add-port", "br-int", port, *tag)
        namespace.ip(f"link set {nic.device} up",
                     f"address add {nic.addresses[0]}/16 dev {nic.device}")

    def _bridge(self, nic: Nic) -> str:
        qbr, qvb, qvo = (f"{kind}{nic.number}" for kind in ("qbr", "qvb", "qvo"))
        self.host.ip(
            f"link add {qbr} type bridge forward_delay 0 mcast_snooping 0",
            f"link set {qbr} up",
            f"link add {qvb} type veth peer name {qvo}",
            f"link set {qvb} master {qbr} up",
            f"link set {qvo} up",
            f"link set {nic.tap} master {qbr}",
        )
        self._made += [qbr, qvb]
        return qvo

    def _count_arrivals(self) -> None:
        nics = [nic for guest in self.guests for nic in guest.nics]
        self.outside.run("nft", "-f", "-", text=_ARRIVALS.format(
            device="ext0" if self.carrier == "flat" else "in0",
            counters="; ".join(f"counter {nic.tap} {{ }}" for nic in nics),
            rules="; ".join(f"ether saddr {nic.mac} counter name {nic.tap}" for nic in nics)))

    def _arrived(self) -> list[int]:
        """Bytes by guest."""
        listed = json.loads(self.outside.run("nft", "-j", "list", "counters"))["nftables"]
        counters = {each["counter"]["name"]: each["counter"]["bytes"]
                    for each in listed if "counter" in each}
        return [counters[nic.tap] for each in self.guests for nic in each.nics]

    def _send(self, guest: Guest) -> "subprocess.Popen[str]":
        (nic,) = guest.nics
        return guest.namespace.start(
            *EAGER, "iperf3", "--client", self.target(), "--port", str(nic.port),
            "--congestion", "cubic", "--time", "600")


def _patch(one: str, port: str, other: str, peer: str) -> list[str]:
    words = []
    for bridge, near, far in ((one, port, peer), (other, peer, port)):
        words += ["--", "add-port", bridge, near, "--", "set", "interface", near, "type=patch",
                  f"options:peer={far}"]
    return words
