# SPDX-License-Identifier: Apache-2.0
"""Packets that a router of the host sends for servers, without the mark and the address of theirs:
on the real kernel."""

import pytest

from nova_qos.net.outbound import Outbound
from tests.net.bench import SiteBench
from tests.net.conftest import MakeBench
from tests.net.picture import STRAYS, class_bytes
from tests.net.test_marks_of_others import PACKETS, bytes_of, send_some
from tools.bed.site import UPLINK

FRAMES = PACKETS * 1042
#: Makes the rules choose a packet's class by its sender's card and by its mark alone.
_EARLIER = """\
flush chain netdev nova_qos {chain}
delete map netdev nova_qos by_address
table netdev nova_qos {{
    chain {chain} {{
        ether saddr != @host_macs meta priority set 5ca1:fffe
        meta priority set ether saddr map @by_mac
        meta priority set meta mark & 0x1fff map @by_mark
    }}
}}
"""


@pytest.fixture
def bench(make_bench: MakeBench) -> SiteBench:
    """A server with a priority and one without, each with a floating IP, and one without that."""
    bench = make_bench("router", [1, 1, 1])
    bench.floating = {
        bench.uuids[number]: [bench.site.guests[number].nics[0].floating_ip] for number in (0, 1)}
    bench.prioritize(0, 5)
    return bench


def strays(bench: SiteBench) -> int:
    return class_bytes(bench.host, UPLINK)[STRAYS]


def test_floating_ips_choose_the_class(bench: SiteBench) -> None:
    send_some(bench, 0)
    assert (bytes_of(bench, 0), strays(bench) >= FRAMES) == (0, True)
    bench.tidy()
    for number in (0, 1):
        others, before = strays(bench), bytes_of(bench, number)
        send_some(bench, number)
        assert bytes_of(bench, number) >= before + FRAMES
        assert strays(bench) - others < FRAMES
    # a set in between knows them, too
    bench.prioritize(1, 20)
    before = bytes_of(bench, 1)
    send_some(bench, 1)
    assert bytes_of(bench, 1) >= before + FRAMES


def test_a_floating_ip_that_was_taken_away(bench: SiteBench) -> None:
    bench.tidy()
    bench.floating.clear()
    bench.tidy()
    before = strays(bench)
    send_some(bench, 0)
    assert bytes_of(bench, 0) == 0
    assert strays(bench) >= before + FRAMES


def test_an_agent_that_starts_keeps_what_is_there(bench: SiteBench) -> None:
    """It learns of floating IPs by its first check, which may have to wait for nova."""
    bench.tidy()
    bench.shaper = Outbound(bench.uplinks, 80, 50)
    with bench.host.inside():
        bench.shaper.tidy(bench.neighbours, True, None)
    bench.prioritize(1, 20)
    for number in (0, 1):
        before = bytes_of(bench, number)
        send_some(bench, number)
        assert bytes_of(bench, number) >= before + FRAMES


def test_what_cannot_be_told_apart_is_said(bench: SiteBench) -> None:
    bench.tidy()
    before = strays(bench)
    send_some(bench, 2)
    assert strays(bench) >= before + FRAMES
    with bench.host.inside():
        warnings = bench.shaper.abilities()["net_priority"].warnings
    said = [each for each in warnings if "came neither from a known server" in each]
    assert len(said) == 1
    assert int(said[0].split()[0]) >= PACKETS
    assert f"packets on {UPLINK} " in said[0]


def test_a_table_of_an_earlier_release(bench: SiteBench) -> None:
    """Without the map of addresses; the agent that comes after it makes one."""
    bench.tidy()
    uplink = bench.host.run("cat", f"/sys/class/net/{UPLINK}/ifindex").strip()
    bench.host.run("nft", "-f", "-", text=_EARLIER.format(chain=f"uplink{uplink}"))
    assert not bench.reading(0).effective
    bench.shaper = Outbound(bench.uplinks, 80, 50)
    bench.tidy()
    assert bench.reading(0).effective
    before = bytes_of(bench, 0)
    send_some(bench, 0)
    assert bytes_of(bench, 0) >= before + FRAMES


