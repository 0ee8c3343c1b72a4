# SPDX-License-Identifier: Apache-2.0
"""What metrics say of a server's class is what tc says."""

import re

import pytest

from nova_qos.host import Figures
from tests.net.bench import Bench
from tests.net.conftest import MakeBench, MakeQuiet
from tests.net.picture import class_of
from tests.net.test_marks_of_others import PACKETS, send_some
from tools.bed.site import UPLINK


def figures(bench: Bench, number: int) -> Figures:
    with bench.host.inside():
        seen = bench.shaper.snapshot()
        return seen.figures_of(bench.servers[bench.uuids[number]])


_SHOWN = re.compile(
    r"class htb .*? rate (?P<rate>\d+)(?P<unit>[KM]?)bit .*\n Sent (?P<bytes>\d+) "
    r"bytes (?P<packets>\d+) pkt \(dropped (?P<dropped>\d+),.*\) *\n "
    r"backlog (?P<waiting_bytes>\d+)b (?P<waiting>\d+)p.*\n "
    r"lended: (?P<lent>\d+) borrowed: (?P<borrowed>\d+)")


#: Metrics of a class, and what tc calls the same.
NAMED = {
    "server_uplink_sent_bytes_total": "bytes", "server_uplink_sent_packets_total": "packets",
    "server_uplink_dropped_packets_total": "dropped",
    "server_uplink_backlog_bytes": "waiting_bytes", "server_uplink_backlog_packets": "waiting",
    "server_uplink_lent_packets_total": "lent", "server_uplink_borrowed_packets_total": "borrowed"}


def shown(bench: Bench, name: str) -> dict[str, float]:
    """A class as tc has it; its JSON lacks what HTB tells."""
    listed = bench.host.run("tc", "-s", "class", "show", "dev", UPLINK)
    match = _SHOWN.match(listed[listed.index(f"class htb {name} "):])
    assert match is not None, listed
    found = match.groupdict()
    factor = {"": 1, "K": 1000, "M": 10**6}[found.pop("unit")]
    numbers = {key: float(number) for key, number in found.items()}
    return numbers | {"rate": numbers["rate"] * factor / 8}


def test_counts_of_a_server(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1])
    bench.prioritize(0, 5)
    for number in 0, 1:
        send_some(bench, number)
        name = class_of(bench.host, bench.site.guests[number].nics[0].mac)
        # a packet of the kernel's own, such as of IPv6, may come at any time
        before, found, after = (
            shown(bench, str(name)), figures(bench, number), shown(bench, str(name)))
        got = {key: numbers[UPLINK,] for key, numbers in found.items()}
        assert before["packets"] >= PACKETS
        assert before["bytes"] >= PACKETS * 1000
        rate = got.pop("server_uplink_guaranteed_bytes_per_second")
        assert rate == pytest.approx(before["rate"], rel=0.01)
        assert got.keys() == NAMED.keys()
        for key, tc_name in NAMED.items():
            assert before[tc_name] <= got[key] <= after[tc_name], key


def test_counts_of_an_uplink(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1])
    bench.prioritize(0, 5)
    send_some(bench, 0)
    before = shown(bench, "5ca1:1")["bytes"]
    with bench.host.inside():
        found = bench.shaper.snapshot().figures()
    after = shown(bench, "5ca1:1")["bytes"]
    assert found["uplink_rate_bytes_per_second"] == {(UPLINK,): 80e6 / 8}
    sent = found["uplink_sent_bytes_total"]
    assert PACKETS * 1000 <= before <= sent[UPLINK, "whole"] <= after
    assert sent[UPLINK, "unknown"] <= shown(bench, "5ca1:fffe")["bytes"]


def test_servers_that_are_only_limited_have_no_total(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    with bench.host.inside():
        bench.shaper.write(bench.uuids[0], {"net_limit": 8000}, bench.neighbours)
        seen = bench.shaper.snapshot()
        assert seen.figures()["uplink_rate_bytes_per_second"] == {}
    assert figures(bench, 0)["server_uplink_sent_bytes_total"] == {(UPLINK,): 0}
    assert figures(bench, 1) == {}
    assert seen.error is None


def test_nothing_is_set(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    with bench.host.inside():
        seen = bench.shaper.snapshot()
    assert (figures(bench, 0), seen.error) == ({}, None)
    assert seen.figures() == {"uplink_sent_bytes_total": {}, "uplink_rate_bytes_per_second": {}}


def test_an_uplink_that_has_gone_and_one_of_others(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.host.run("tc", "qdisc", "add", "dev", UPLINK, "root", "handle", "7:", "htb")
    with bench.host.inside():
        assert bench.shaper.snapshot().error is None
    bench.host.ip(f"link del {UPLINK}")
    with bench.host.inside():
        assert UPLINK in str(bench.shaper.snapshot().error)
