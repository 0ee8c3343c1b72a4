# SPDX-License-Identifier: Apache-2.0
"""Limits and guarantees of real traffic, counted by the kernel's classes."""

import pytest

from nova_qos.core.units import UNLIMITED
from tests.net.bench import RATE_MBIT, Bench, SiteBench
from tests.net.conftest import MakeBench, MakeQuiet
from tests.net.picture import STRAYS, WHOLE, class_bytes, class_of, classes, look, root
from tests.net.traffic import MEASURED_S, MUCH_MBIT, Clock, send, send_from_host
from tools.bed.site import UPLINK, Path

# A sender that does not get the processor leaves its share to the others, as it should.
busy = pytest.mark.flaky(reruns=2)

_MBIT = 1000
_PATHS: tuple[Path, ...] = ("bridge", "hop", "vxlan")


def change(bench: Bench, number: int, **mbit: int) -> None:
    """Set limit and guarantee of a server in Mbit/s, UNLIMITED for none."""
    values = {f"net_{name}": each if each == UNLIMITED else each * _MBIT
              for name, each in mbit.items()}
    with bench.host.inside():
        bench.shaper.write(bench.uuids[number], values, bench.neighbours)


def held(bench: Bench, number: int) -> dict[str, float | None]:
    """What is read of a server, in Mbit/s; everything must be effective."""
    with bench.host.inside():
        readings = bench.readings(number)
    assert all(each.effective for each in readings.values()), readings
    return {name.removeprefix("net_"): each.applied if each.applied in (None, UNLIMITED)
            else each.applied / _MBIT for name, each in readings.items() if name != "net_priority"}


def own_class(bench: Bench, number: int) -> str:
    name = class_of(bench.host, bench.servers[bench.uuids[number]][0].mac)
    assert name is not None
    return name


def sent_mbit(bench: SiteBench, clock: Clock, begin_s: float, end_s: float) -> dict[str, float]:
    """What the uplink has sent of each class, in Mbit/s."""
    clock.wait_until(begin_s)
    before, began = class_bytes(bench.host, UPLINK), clock.now()
    clock.wait_until(end_s)
    after, ended = class_bytes(bench.host, UPLINK), clock.now()
    return {name: (after[name] - before[name]) * 8e-6 / (ended - began) for name in after}


@busy
@pytest.mark.parametrize("mbit", [5, 50])
@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.resources("net_limit")
def test_a_limit_is_exact_and_holds_nobody_else(
    make_bench: MakeBench, path: Path, mbit: int
) -> None:
    bench = make_bench(path, [1, 1])
    change(bench, 0, limit=mbit)
    clock = Clock()
    limited, free = [send(clock, bench.site, guest, 9, most_mbit=MUCH_MBIT)
                     for guest in bench.site.guests]
    sent = sent_mbit(bench, clock, 2, 8)[own_class(bench, 0)]
    print(f"limit {mbit} Mbit/s over a {path}: {sent:.3f} Mbit/s sent, "
          f"{limited.mbit(2, 8):.2f} arrived; of the other, {free.mbit(2, 8):.0f}")
    assert sent == pytest.approx(mbit, rel=0.02)
    # all that htb_rate would let everybody have together is not what the other gets
    assert free.mbit(2, 8) > 1.2 * RATE_MBIT


@busy
@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.resources("net_guarantee", "net_priority")
def test_a_guarantee_beside_weights(make_bench: MakeBench, path: Path) -> None:
    bench = make_bench(path, [1, 1, 1])
    for number, weight in enumerate((25, 50, 25)):
        bench.weigh(number, weight)
    change(bench, 0, guarantee=40)
    names = [own_class(bench, number) for number in range(3)]
    clock = Clock()
    for guest in bench.site.guests:
        send(clock, bench.site, guest, MEASURED_S + 4, greedy=True)
    sent = sent_mbit(bench, clock, 2, 2 + MEASURED_S)
    rates = [sent[name] for name in names]
    floors = [each.rate / 1e6 for each in map(classes(bench.host, UPLINK).__getitem__, names)]
    # what strays leave is lent by weight, since nobody else uses it
    left = RATE_MBIT - sum(floors)
    ideal = [floor + left * weight / 100 for floor, weight
             in zip(floors, (25, 50, 25), strict=True)]
    print(f"guarantee 40 of {RATE_MBIT}, weights 25:50:25 over a {path}: "
          + ", ".join(f"{each:.2f}" for each in rates) + " Mbit/s; ideal "
          + ", ".join(f"{each:.2f}" for each in ideal))
    assert rates[0] >= 40 * 0.97
    assert rates == pytest.approx(ideal, rel=0.03)


@busy
@pytest.mark.resources("net_limit", "net_priority")
def test_a_limit_beside_weights(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1, 1])
    for number, weight in enumerate((50, 50, 25)):
        bench.weigh(number, weight)
    change(bench, 0, limit=10)
    names = [own_class(bench, number) for number in range(3)]
    clock = Clock()
    for guest in bench.site.guests:
        send(clock, bench.site, guest, 8, greedy=True)
    sent = sent_mbit(bench, clock, 2, 7)
    rates = [sent[name] for name in names]
    print("limit 10, the others 2:1: " + ", ".join(f"{each:.2f}" for each in rates))
    assert rates == pytest.approx([10, 46.67, 23.33], rel=0.03)


@busy
def test_a_limited_server_does_not_slow_the_host(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1])
    change(bench, 0, limit=5)
    clock = Clock()
    host = send_from_host(clock, bench.site, 4, udp_mbit=160)
    assert host.mbit(1, 3.5) > 150


def test_a_limit_alone_makes_a_class_alone(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(3, "up0", "up1")
    change(bench, 1, limit=5)
    for uplink in bench.uplinks:
        found = classes(bench.host, uplink)
        assert set(found) == {WHOLE, own_class(bench, 1)}
        mine = found[own_class(bench, 1)]
        assert (mine.rate, mine.ceil) == (5_000_000, 5_000_000)
        assert found[WHOLE].ceil > 10**12
    assert held(bench, 1) == {"limit": 5, "guarantee": UNLIMITED}
    assert [held(bench, number)["limit"] for number in (0, 2)] == [UNLIMITED] * 2
    change(bench, 1, limit=UNLIMITED)
    for uplink in bench.uplinks:
        assert "5ca1" not in root(bench.host, uplink)


def test_the_total_comes_and_goes_in_place(make_quiet: MakeQuiet) -> None:
    """The tree is not made anew, so that packets which wait in it are not lost."""
    bench = make_quiet(3)
    change(bench, 0, limit=5)
    bench.host.run("tc", "class", "add", "dev", "up0", "parent", WHOLE, "classid", "5ca1:abc",
                   "htb", "rate", "8bit")
    alone = look(bench)
    bench.prioritize(1, 20)
    found = classes(bench.host, "up0")
    assert {STRAYS, "5ca1:abc"} <= set(found)
    assert found[WHOLE].ceil == RATE_MBIT * 10**6
    assert held(bench, 0) == {"limit": 5, "guarantee": UNLIMITED}
    bench.prioritize(1, UNLIMITED)
    assert look(bench).classes["up0"].keys() == alone.classes["up0"].keys()
    assert classes(bench.host, "up0")[WHOLE].ceil > 10**12


def test_a_new_agent_finds_what_was_set(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(4)
    bench.prioritize(0, 20)
    change(bench, 1, limit=5, guarantee=3)
    change(bench, 2, guarantee=30)
    before = look(bench)
    bench.restart_agent()
    bench.tidy()
    assert look(bench) == before
    assert held(bench, 2) == {"limit": UNLIMITED, "guarantee": 30}
    assert held(bench, 1)["limit"] == 5
    # what is only a little of a fair part leaves no trace, and is put in again when it is looked at
    change(bench, 1, guarantee=3)
    assert held(bench, 1) == {"limit": 5, "guarantee": 3}
    assert look(bench) == before


def test_what_another_program_changes_is_put_right(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    change(bench, 0, limit=5, guarantee=2)
    before = look(bench)
    for rate, ceil in (("2mbit", "9mbit"), ("1mbit", "5mbit")):
        bench.host.run("tc", "class", "change", "dev", "up0", "parent", WHOLE, "classid",
                       own_class(bench, 0), "htb", "rate", rate, "ceil", ceil)
        with bench.host.inside():
            readings = bench.readings(0)
        assert not (readings["net_limit"].holds(5 * _MBIT)
                    and readings["net_guarantee"].holds(2 * _MBIT))
        bench.tidy()
        assert look(bench) == before


def test_a_server_that_ends_frees_what_it_was_guaranteed(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    change(bench, 0, guarantee=60)
    change(bench, 1, guarantee=20)
    with bench.host.inside(), pytest.raises(Exception, match="has promised 60000 to others"):
        bench.shaper.admit(bench.uuids[1], {"net_guarantee": 21 * _MBIT}, bench.neighbours)
    bench.stop_server(0)
    bench.tidy()
    with bench.host.inside():
        bench.shaper.admit(bench.uuids[1], {"net_guarantee": 80 * _MBIT}, bench.neighbours)
