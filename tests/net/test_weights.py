# SPDX-License-Identifier: Apache-2.0
"""The weight that is told of each server is the one that the kernel divides by."""

from collections.abc import Mapping

from nova_qos.core.units import UNLIMITED
from tests.net.bench import DEFAULT_WEIGHT, QuietBench, tap_interface
from tests.net.conftest import MakeQuiet
from tests.net.picture import STRAYS, class_of, classes

PRIORITIES = [0, 73, 98, UNLIMITED, UNLIMITED]
WEIGHTS = [99, 26, 1, DEFAULT_WEIGHT, DEFAULT_WEIGHT]


def made(make_quiet: MakeQuiet) -> QuietBench:
    bench = make_quiet(len(PRIORITIES), "up0", "up1")
    for number, priority in enumerate(PRIORITIES):
        bench.prioritize(number, priority)
    return bench


def of_tc(bench: QuietBench, uplink: str, number: int) -> float:
    """From the quanta, by which HTB lends."""
    found = classes(bench.host, uplink)
    name = class_of(bench.host, tap_interface(number).mac)
    assert name is not None
    return found[name].quantum * DEFAULT_WEIGHT / found[STRAYS].quantum


def told(bench: QuietBench) -> list[Mapping[str, int]]:
    return [bench.reading(number).details for number in range(len(PRIORITIES))]


def test_weights_are_those_of_tc(make_quiet: MakeQuiet) -> None:
    bench = made(make_quiet)
    assert told(bench) == [{"weight": weight} for weight in WEIGHTS]
    for uplink in bench.uplinks:
        assert [of_tc(bench, uplink, number) for number in range(len(PRIORITIES))] == WEIGHTS


def test_many_readings_at_once_are_those_one_by_one(make_quiet: MakeQuiet) -> None:
    bench = made(make_quiet)
    bench.host.ip("link del tap1")
    bench.host.run("nft", "flush", "map", "netdev", "nova_qos", "by_mark")
    one_by_one = [bench.reading(number) for number in range(len(PRIORITIES))]
    assert [each.effective for each in one_by_one] == [False, False, False, True, True]
    with bench.host.inside():
        seen = bench.shaper.snapshot()
    assert [seen.read(each, bench.servers[each])["net_priority"]
            for each in bench.uuids] == one_by_one
    bench.prioritize(0, 5)
    # the rules were repaired, but are as they were seen
    assert not seen.read(bench.uuids[0], bench.servers[bench.uuids[0]])["net_priority"].effective
    assert (bench.reading(0).applied, bench.reading(0).effective) == (5, True)


def test_no_weight_where_nothing_is_divided(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    assert not bench.reading(0).details
    bench.prioritize(0, 5)
    name = class_of(bench.host, tap_interface(1).mac)
    bench.host.run("tc", "class", "del", "dev", "up0", "classid", str(name))
    assert not bench.reading(1).details
    bench.prioritize(0, UNLIMITED)
    assert not bench.reading(0).details
