# SPDX-License-Identifier: Apache-2.0
"""The agent starts again with other settings, or servers get other interfaces."""

from collections.abc import Callable

import pytest

from nova_qos.host import Interface
from nova_qos.net.outbound import Outbound
from tests.net.bench import QuietBench, tap_interface, tap_lines
from tests.net.conftest import MakeQuiet
from tests.net.picture import Picture, classes, disciplines, look, root, tables

Repair = Callable[[QuietBench], None]
PRIORITIES = {0: 0, 1: 73}


def made(bench: QuietBench) -> Picture:
    for number, priority in PRIORITIES.items():
        bench.prioritize(number, priority)
    return look(bench)


@pytest.mark.parametrize(
    "repair", [QuietBench.tidy, lambda bench: bench.prioritize(1, 73)], ids=["tidy", "write"])
@pytest.mark.parametrize(
    ("rate_mbit", "default_weight"), [(40, 50), (80, 99), (1, 1), (2000, 50), (100_000, 50)])
def test_other_capacity_or_weight(
    make_quiet: MakeQuiet, repair: Repair, rate_mbit: int, default_weight: int
) -> None:
    bench, model = make_quiet(3), make_quiet(3)
    made(bench)
    for each in (bench, model):
        each.shaper = Outbound(each.uplinks, rate_mbit, default_weight)
    repair(bench)
    found = look(bench)
    assert found == made(model)
    assert found.classes["up0"]["whole"].ceil == rate_mbit * 1_000_000


@pytest.mark.parametrize(
    "repair", [QuietBench.tidy, lambda bench: bench.prioritize(1, 73)], ids=["tidy", "write"])
def test_other_uplinks(make_quiet: MakeQuiet, repair: Repair) -> None:
    """What is no uplink any more is as it was before us."""
    bench = make_quiet(2, "up0", "up1", "up2")
    bench.uplinks = ("up0", "up1")
    bench.restart_agent()
    before = made(bench)
    bench.uplinks = ("up1", "up2")
    bench.restart_agent()
    repair(bench)
    after = look(bench)
    assert root(bench.host, "up0") == "noqueue 0:"
    assert after.classes == {"up1": before.classes["up1"], "up2": before.classes["up0"]}
    assert {each.device for each in after.chains if each.hook == "egress"} == {"up1", "up2"}


def test_interface_plugged_in_and_out(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.prioritize(0, 5)
    before = look(bench)
    bench.host.ip(*tap_lines(9))
    bench.servers[bench.uuids[0]] += (tap_interface(9),)
    assert not bench.reading(0).effective
    bench.tidy()
    assert bench.reading(0).effective
    assert look(bench).macs == {tap_interface(n).mac: "server 0" for n in (0, 9)}
    bench.host.ip("link del tap9")
    bench.servers[bench.uuids[0]] = bench.servers[bench.uuids[0]][:1]
    bench.tidy()
    assert look(bench) == before


def test_two_servers_with_one_address(make_quiet: MakeQuiet) -> None:
    """In two networks that may be: their taps tell them apart."""
    bench = make_quiet(2)
    same = tap_interface(0).mac
    bench.servers[bench.uuids[1]] = (Interface(mac=same, tap="tap1"),)
    bench.prioritize(0, 5)
    bench.prioritize(1, 70)
    marks = {each.device: each.rules for each in look(bench).chains}
    assert marks["tap0"] != marks["tap1"]
    assert bench.reading(0).applied == 5
    assert bench.reading(1).applied == 70
    bench.restart_agent()
    bench.tidy()
    assert (bench.reading(0).applied, bench.reading(1).applied) == (5, 70)


def test_small_capacity_among_many(make_quiet: MakeQuiet) -> None:
    """1 Mbit/s among 200: the smallest guarantee the kernel can keep is above zero."""
    bench = make_quiet(200)
    bench.shaper = Outbound(bench.uplinks, 1, 99)
    bench.prioritize(0, 98)
    found = classes(bench.host, "up0")
    assert len(found) == 202
    guaranteed = [each.rate for name, each in found.items() if name != "5ca1:1"]
    assert min(guaranteed) > 0
    assert sum(guaranteed) <= 1_000_000
    assert bench.reading(0).applied == 98


def test_nothing_is_left_of_many(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(50)
    before = disciplines(bench.host)
    for number in range(50):
        bench.prioritize(number, number)
    bench.restart_agent()
    for number in range(50):
        bench.prioritize(number, -1)
    assert disciplines(bench.host) == before
    assert tables(bench.host) == []
