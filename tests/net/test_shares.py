# SPDX-License-Identifier: Apache-2.0
"""Real traffic shares the uplink by weight, whatever carries it."""

from collections.abc import Sequence

import pytest

from tests.net.bench import DEFAULT_WEIGHT, RATE_MBIT
from tests.net.conftest import MakeBench
from tests.net.picture import class_bytes
from tests.net.traffic import Clock, Flow, send, send_from_host
from tools.bed.site import UPLINK, Path

# A sender that does not get the processor leaves its share to the others, as it should; a share
# that is wrong is wrong three times. Each further attempt is reported.
pytestmark = pytest.mark.flaky(reruns=2)

THESIS = (39, 26, 15)
#: Those of the first three servers.
CLASSES = ("5ca1:10", "5ca1:11", "5ca1:12")
PATHS = (("bridge", 4), ("bridge", 6), ("hop", 4), ("nat", 4), ("nat", 6), ("vxlan", 4),
         ("macvlan", 4))
TOLERANCE = 0.05
# Of 1514 bytes on the wire TCP carries 1448, over IPv6 in a VXLAN tunnel 1370.
LEAST_PAYLOAD = 0.88


def check_shares(
    what: str, flows: Sequence[Flow], weights: Sequence[int], begin: float, end: float
) -> None:
    """Each has its weight's part of what all have, and all together have the capacity."""
    check_figures(f"{what}, {begin:.1f} to {end:.1f} s",
                  [flow.mbit(begin, end) for flow in flows], weights)


def check_figures(what: str, arrived: Sequence[float], weights: Sequence[int]) -> None:
    whole = sum(arrived)
    off = [
        mbit / (whole * weight / sum(weights)) - 1
        for mbit, weight in zip(arrived, weights, strict=True)
    ]
    figures = ", ".join(
        f"{weight}: {mbit:.2f} ({part:+.1%})"
        for weight, mbit, part in zip(weights, arrived, off, strict=True)
    )
    report = f"{what}, Mbit/s by weight: {figures}; together {whole:.1f}"
    print(report)
    assert LEAST_PAYLOAD * RATE_MBIT < whole < 1.02 * RATE_MBIT, report
    assert max(map(abs, off)) < TOLERANCE, report


@pytest.mark.parametrize(("path", "version"), PATHS)
@pytest.mark.resources("net_priority")
def test_three_servers_one_stops_and_comes_back(
    make_bench: MakeBench, path: Path, version: int
) -> None:
    bench = make_bench(path, [1, 1, 1])
    for number, weight in enumerate(THESIS):
        bench.weigh(number, weight)
    clock = Clock()
    first, second, third = bench.site.guests
    steady = [send(clock, bench.site, each, 8, version=version) for each in (first, second)]
    stops = send(clock, bench.site, third, 3, version=version)
    clock.wait_until(5)
    late = send(clock, bench.site, third, 3, version=version)

    check_shares("all busy", [*steady, stops], THESIS, 1, 2.7)
    quiet = stops.last_arrival()
    assert quiet < late.began - 1.5
    check_shares("one stopped", steady, THESIS[:2], quiet + 1, late.began - 0.2)
    check_shares("it came back", [*steady, late], THESIS, late.began + 1, late.began + 2.8)


@pytest.mark.parametrize("path", ["bridge", "nat"])
def test_flood_from_the_host_is_neither_starved_nor_counted(
    make_bench: MakeBench, path: Path
) -> None:
    """Behind a source NAT the servers' packets have the host's own address."""
    flood_mbit = 160
    bench = make_bench(path, [1, 1, 1])
    for number, weight in enumerate(THESIS):
        bench.weigh(number, weight)
    clock = Clock()
    flood = send_from_host(clock, bench.site, 5, flood_mbit)
    flows = [send(clock, bench.site, guest, 5) for guest in bench.site.guests]
    check_shares("beside the flood", flows, THESIS, 1, 4.7)
    sent, arrived = flood.sent_mbit(1, 4.7), flood.mbit(1, 4.7)
    print(f"of a flood of {sent:.1f} Mbit/s arrived {arrived:.1f}")
    assert sent > 1.5 * RATE_MBIT
    assert arrived > 0.97 * sent


@pytest.mark.parametrize(
    ("weights", "protocol"),
    [((50, 50), "tcp"), ((10, 1), "tcp"), ((98, 1), "tcp"), ((10, 1), "udp"), ((98, 1), "udp")],
    ids=str)
@pytest.mark.resources("net_priority")
def test_two_servers(make_bench: MakeBench, weights: tuple[int, int], protocol: str) -> None:
    udp_mbit = 90 if protocol == "udp" else None
    bench = make_bench("bridge", [1, 1])
    for number, weight in enumerate(weights):
        bench.weigh(number, weight)
    clock = Clock()
    flows = [send(clock, bench.site, guest, 6, udp_mbit=udp_mbit) for guest in bench.site.guests]
    check_shares(protocol, flows, weights, 2, 5.5)


@pytest.mark.resources("net_priority")
def test_twenty_servers(make_bench: MakeBench) -> None:
    weights = range(4, 100, 5)
    assert len(weights) == 20
    bench = make_bench("bridge", [1] * len(weights))
    for number, weight in enumerate(weights):
        bench.weigh(number, weight)
    clock = Clock()
    flows = [send(clock, bench.site, guest, 8) for guest in bench.site.guests]
    check_shares("twenty", flows, weights, 2, 7.5)


@pytest.mark.resources("net_priority")
def test_tcp_that_fills_every_queue(make_bench: MakeBench) -> None:
    """What arrives in order comes in bursts then; what left the uplink does not."""
    bench = make_bench("bridge", [1, 1, 1])
    for number, weight in enumerate(THESIS):
        bench.weigh(number, weight)
    clock = Clock()
    for guest in bench.site.guests:
        send(clock, bench.site, guest, 7, greedy=True)
    clock.wait_until(2)
    before = class_bytes(bench.host, UPLINK)
    clock.wait_until(6)
    after = class_bytes(bench.host, UPLINK)
    sent = [(after[name] - before[name]) * 8 / 4e6 for name in CLASSES]
    check_figures("sent from 2 to 6 s", sent, THESIS)
    assert sum(sent) == pytest.approx(RATE_MBIT, rel=0.02)


@pytest.mark.resources("net_priority")
def test_large_capacity(make_bench: MakeBench) -> None:
    """Above a capacity, large segments are not cut any more."""
    bench = make_bench("bridge", [1, 1], rate_mbit=400)
    for number, weight in enumerate((10, 1)):
        bench.weigh(number, weight)
    clock = Clock()
    large, small = [send(clock, bench.site, guest, 5, greedy=True) for guest in bench.site.guests]
    ratio = large.mbit(1, 4.7) / small.mbit(1, 4.7)
    print(f"{large.mbit(1, 4.7):.0f} and {small.mbit(1, 4.7):.0f} Mbit/s, ratio {ratio:.2f}")
    assert ratio == pytest.approx(10, rel=TOLERANCE)


def test_servers_without_priority_and_strangers_have_the_default_weight(
    make_bench: MakeBench,
) -> None:
    """The third guest is no server that the host knows: no mark, an unknown address."""
    bench = make_bench("bridge", [1, 1, 1])
    del bench.servers[bench.uuids[2]]
    bench.weigh(0, 99)
    clock = Clock()
    flows = [send(clock, bench.site, guest, 5) for guest in bench.site.guests]
    check_shares("default weight", flows, (99, DEFAULT_WEIGHT, DEFAULT_WEIGHT), 1, 4)
    strays = class_bytes(bench.host, UPLINK)["5ca1:fffe"]
    assert strays * 8 / 1e6 > flows[2].mbit(0, 4) * 4


def test_interfaces_of_a_server_share_its_class(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [2, 1])
    bench.weigh(0, 30)
    bench.weigh(1, 30)
    two, one = bench.site.guests
    clock = Clock()
    flows = [send(clock, bench.site, two, 5, nic=nic) for nic in two.nics]
    flows.append(send(clock, bench.site, one, 5))
    first, second, other = [flow.mbit(1, 4) for flow in flows]
    check_figures("two interfaces and one", [first + second, other], (30, 30))
    assert min(first, second) > 5


def test_server_that_spoofs_an_address_gains_nothing(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1])
    bench.weigh(0, 75)
    bench.weigh(1, 15)
    victim, spoofer = bench.site.guests
    bench.site.disguise(spoofer, victim.nics[0].mac)
    clock = Clock()
    flows = [send(clock, bench.site, guest, 5, udp_mbit=90) for guest in bench.site.guests]
    check_shares("the second under the address of the first", flows, (75, 15), 1, 4)
    arrived = sum(flow.mbit(0, 4) for flow in flows) * 4e6 / 8
    assert bench.site.seen_bytes() > arrived, "the disguise does not work"


def test_change_does_not_interrupt_the_others(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1, 1, 1])
    for number, weight in enumerate((*THESIS, 20)):
        bench.weigh(number, weight)
    clock = Clock()
    flows = [send(clock, bench.site, guest, 8) for guest in bench.site.guests[:3]]
    clock.wait_until(3)
    for step, priority in enumerate((0, 98, -1, 50, -1, 3, 40, 84)):
        bench.prioritize(3, priority)
        clock.wait_until(3 + 0.25 * (step + 1))
    bench.weigh(2, 60)
    changed = clock.now()

    check_shares("before", flows, THESIS, 1, 3)
    check_shares("the third with 60", flows, (*THESIS[:2], 60), changed + 0.5, 7.5)
    for number, flow in enumerate(flows):
        assert flow.silences(1, 7.5) == [], f"server {number}"
        assert flow.retransmits(1, 7.5) < 20, f"server {number}"


def test_uplink_whose_frames_grow(make_bench: MakeBench) -> None:
    """A queue that cuts for small frames takes no large ones: seen, and mended by a tidy."""
    bench = make_bench("bridge", [1])
    bench.weigh(0, 50)
    (guest,) = bench.site.guests
    bench.host.ip(f"link set {UPLINK} mtu 9000", "link set tap1 mtu 9000")
    bench.site.outside.ip("link set ext0 mtu 9000")
    guest.namespace.ip("link set eth0 mtu 9000")
    assert not bench.reading(0).effective
    bench.tidy()
    assert bench.reading(0).effective
    clock = Clock()
    flow = send(clock, bench.site, guest, 2, udp_mbit=40, datagram_bytes=8000)
    assert flow.mbit(0.5, 1.5) > 30
