# SPDX-License-Identifier: Apache-2.0
"""What our marks do beside those of other programs, on the real kernel."""

import sys
import time

import pytest

from nova_qos.net.outbound import Outbound
from tests.net.bench import DEFAULT_WEIGHT, RATE_MBIT, QuietBench, SiteBench
from tests.net.conftest import MakeBench, MakeQuiet
from tests.net.picture import class_bytes, class_of, look
from tools.bed.namespace import Namespace
from tools.bed.site import BRIDGE, UPLINK, Path

PACKETS = 10
_SEND = """
import socket, sys
for _ in range(int(sys.argv[2])):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes(1000), (sys.argv[1], 9))
"""

#: What neutron's L3 agent does to each packet that enters a router, from an address scope.
ROUTER = """\
table inet router {
    chain scope {
        type filter hook prerouting priority mangle
        meta mark set meta mark & 0x0000ffff | 0x04000000
    }
}
"""
#: What the kubelet and kube-proxy do to what leaves the host with their bits.
KUBERNETES = """\
table inet kubernetes {
    counter dropped { }
    counter masqueraded { }
    chain out {
        type filter hook output priority 0
        meta mark & 0x00008000 == 0x00008000 counter name dropped drop
        meta mark & 0x00004000 == 0x00004000 counter name masqueraded
    }
}
"""
#: Another program's mark on what comes from a server, and who of these packets still has it.
ANOTHER = """\
table netdev another {{
    counter kept {{ }}
    chain in {{
        type filter hook ingress device "tap1" priority -600
        meta mark set {mark}
    }}
    chain out {{
        type filter hook egress device "up0" priority 100
        udp dport 9 meta mark & {others} == {mark} counter name kept
    }}
}}
"""


def send_some(bench: SiteBench, number: int) -> None:
    """Send some packets of a server's to the outside world."""
    guest = bench.site.guests[number]
    guest.namespace.run(sys.executable, "-c", _SEND, bench.site.target(), str(PACKETS))
    time.sleep(0.2)


def bytes_of(bench: SiteBench, number: int) -> int:
    """What has left the host in the server's class."""
    name = class_of(bench.host, bench.site.guests[number].nics[0].mac)
    return class_bytes(bench.host, UPLINK)[str(name)]


def count(bench: SiteBench, name: str) -> int:
    counters = bench.host.run("nft", "list", "counters")
    return int(counters.partition(f"counter {name} {{")[2].split()[1])


@pytest.mark.parametrize("path", ["nat", "vxlan"])
def test_server_without_priority_has_its_class_also_in_a_tunnel(
    make_bench: MakeBench, path: Path
) -> None:
    """Its address is not seen there: without a mark it would pass as the host itself, unshaped."""
    bench = make_bench(path, [1, 1])
    bench.prioritize(0, 5)
    send_some(bench, 1)
    assert bytes_of(bench, 1) > PACKETS * 1000
    before = bytes_of(bench, 1)
    tap = bench.host.run("cat", "/sys/class/net/tap2/ifindex").strip()
    bench.host.run("nft", "flush", "chain", "netdev", "nova_qos", f"tap{tap}")
    send_some(bench, 1)
    assert bytes_of(bench, 1) < before + PACKETS * 100
    assert class_bytes(bench.host, UPLINK)["5ca1:fffe"] < PACKETS * 1000


@pytest.mark.parametrize("number", [0, 1], ids=["with priority", "without"])
def test_routers_of_neutron_leave_our_bits(make_bench: MakeBench, number: int) -> None:
    bench = make_bench("nat", [1, 1])
    bench.prioritize(0, 5)
    bench.host.run("nft", "-f", "-", text=ROUTER)
    send_some(bench, number)
    assert bytes_of(bench, number) > PACKETS * 1000


def test_router_in_a_namespace_of_its_own_is_a_stranger(make_bench: MakeBench) -> None:
    """A veth pair into another namespace clears the mark, and the address is the router's then:
    what it forwards is not told apart, and --check warns of such devices."""
    bench = make_bench("bridge", [1])
    (guest,) = bench.site.guests
    router = Namespace("router")
    try:
        bench.host.ip(
            "link add br-int type bridge forward_delay 0 mcast_snooping 0", "link set br-int up",
            "link set tap1 master br-int",
            f"link add qr type veth peer name inside netns {router.name}",
            f"link add qg type veth peer name outside netns {router.name}",
            "link set qr master br-int up", f"link set qg master {BRIDGE} up")
        router.ip("link set inside up", "address add 10.99.0.1/24 dev inside",
                  "link set outside up", "address add 10.77.0.9/16 dev outside")
        router.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
                   "net.ipv4.conf.inside.rp_filter=0")
        guest.namespace.ip(
            "address flush dev eth0", "address add 10.99.0.5/24 dev eth0",
            "route add default via 10.99.0.1")
        bench.prioritize(0, 5)
        send_some(bench, 0)
        assert bytes_of(bench, 0) < PACKETS * 100
        assert class_bytes(bench.host, UPLINK)["5ca1:fffe"] > PACKETS * 1000
        with bench.host.inside():
            warnings = bench.shaper.abilities()["net_priority"].warnings
        assert any("qg, qr" in each and "other network namespaces" in each for each in warnings)
    finally:
        router.remove()


REDIRECT = ("tc filter add dev tap1 parent ffff: protocol all prio 1 u32 match u32 0 0 action "
            "mirred egress {} dev up0")


def test_packets_that_a_filter_redirects(make_bench: MakeBench) -> None:
    """As Open vSwitch does with hw-offload: they meet no rule of nftables."""
    bench = make_bench("bridge", [1, 1])
    bench.prioritize(0, 5)
    bench.prioritize(1, 6)
    bench.host.run("tc", "qdisc", "add", "dev", "tap1", "ingress")
    for what, effective in (("mirror", True), ("redirect", False)):
        bench.host.run(*REDIRECT.format(what).split())
        reading = bench.reading(0)
        assert (reading.applied, reading.effective) == (5, effective)
        with bench.host.inside():
            seen, ability = bench.shaper.snapshot(), bench.shaper.abilities()["net_priority"]
        assert seen.read(bench.uuids[0], bench.servers[bench.uuids[0]])["net_priority"] == reading
        warned = [each for each in ability.warnings if "tc filter" in each]
        assert bool(warned) != effective
        if effective:
            bench.host.run("tc", "filter", "del", "dev", "tap1", "parent", "ffff:")
    assert "tap1" in warned[0]
    assert "a tc filter redirects packets from device tap1" in (reading.reason or "")
    assert bench.reading(1).effective
    send_some(bench, 0)
    assert bytes_of(bench, 0) < PACKETS * 100


def test_rules_of_kubernetes_meet_no_packet_of_a_server(make_bench: MakeBench) -> None:
    """What leaves in a tunnel passes the host's own output rules with the mark."""
    bench = make_bench("vxlan", [1] * 6)
    bench.prioritize(0, 5)
    bench.host.run("nft", "-f", "-", text=KUBERNETES)
    for number in range(6):
        send_some(bench, number)
        assert bytes_of(bench, number) > PACKETS * 1000
    assert (count(bench, "dropped"), count(bench, "masqueraded")) == (0, 0)


@pytest.mark.parametrize(("mask", "others"), [(0x1FFF, 0xFFFFE000), (0xFF00000, 0xF00FFFFF)])
def test_bits_of_others_survive(make_bench: MakeBench, mask: int, others: int) -> None:
    bench = make_bench("bridge", [1, 1])
    mark = 0xA5A5A5A5 & others
    bench.shaper = Outbound(bench.uplinks, RATE_MBIT, DEFAULT_WEIGHT, mask)
    bench.prioritize(0, 5)
    text = ANOTHER.format(mark=f"{mark:#010x}", others=f"{others:#010x}")
    bench.host.run("nft", "-f", "-", text=text)
    send_some(bench, 0)
    assert count(bench, "kept") == PACKETS
    assert bytes_of(bench, 0) > PACKETS * 1000
    assert bench.reading(0).effective


def test_no_packet_of_a_server_is_in_its_class_on_a_bridge(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1])
    bench.uplinks = (BRIDGE,)
    bench.restart_agent()
    bench.prioritize(0, 5)
    send_some(bench, 0)
    assert class_bytes(bench.host, BRIDGE)["5ca1:10"] == 0
    assert not bench.reading(0).effective


def test_a_mask_that_was_changed(make_quiet: MakeQuiet) -> None:
    """As after a restart of the agent with another option, or from a release with whole marks."""
    bench = make_quiet(3)
    bench.prioritize(0, 5)
    before = look(bench)
    _mark_whole(bench, 1)
    bench.shaper = Outbound(bench.uplinks, RATE_MBIT, DEFAULT_WEIGHT, 0xFF000)
    assert not bench.reading(0).effective
    bench.tidy()
    reading = bench.reading(0)
    assert (reading.applied, reading.effective) == (5, True)
    assert look(bench).classes == before.classes
    rules = bench.host.run("nft", "list", "table", "netdev", "nova_qos")
    assert "meta mark & 0x000ff000 map @by_mark" in rules
    assert "5ca10" not in rules
    bench.restart_agent()
    bench.tidy()
    assert look(bench) == before


def _mark_whole(bench: QuietBench, number: int) -> None:
    """As releases before the option did."""
    tap = bench.host.run("cat", f"/sys/class/net/tap{number}/ifindex").strip()
    bench.host.run("nft", "flush", "chain", "netdev", "nova_qos", f"tap{tap}")
    bench.host.run(*f"nft add rule netdev nova_qos tap{tap} meta mark set 0x5ca18000".split())
    bench.host.run(
        "nft", "add", "element", "netdev", "nova_qos", "by_mark", "{ 0x5ca18000 : 5ca1:8000 }")


def test_more_servers_than_numbers(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(121)
    bench.shaper = Outbound(bench.uplinks, RATE_MBIT, DEFAULT_WEIGHT, 0xFF)
    bench.prioritize(0, 5)
    assert bench.reading(0).effective
