# SPDX-License-Identifier: Apache-2.0
"""Bad days of limits and guarantees: agents are killed, others limit as well or own the uplink, and
several are set at once."""

import os
import random
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass
from functools import partial

import pytest

from nova_qos.core import errors
from nova_qos.core.units import UNLIMITED
from tests.net.bench import RATE_MBIT, QuietBench, tap_lines
from tests.net.conftest import MakeBench, MakeQuiet
from tests.net.doom import COMPLETE, KILLED, before_change, in_child
from tests.net.picture import STRAYS, WHOLE, Picture, classes, everything, look, root, wipe
from tests.net.test_limits import busy, change, held, own_class, sent_mbit
from tests.net.traffic import Clock, send
from tools.bed.site import UPLINK

_MOST_CHANGES = 200
#: By server, what is set of it, in kbit/s or as a priority.
Settings = Mapping[int, Mapping[str, int]]
LIMIT = {0: {"net_limit": 5000}}
#: All that the host has is a limit, too, and that of more changes nothing.
LARGE = {0: {"net_limit": RATE_MBIT * 1000}, 1: {"net_limit": 200_000}}


@dataclass(frozen=True)
class Case:
    """What is set before, and what of it changes."""

    before: Settings
    change: Settings


CASES = {
    "first limit": Case({}, LIMIT),
    "limit changed": Case(LIMIT, {0: {"net_limit": 9000}}),
    "limit of another": Case(LIMIT, {1: {"net_limit": 9000}}),
    "last limit removed": Case(LIMIT, {0: {"net_limit": UNLIMITED}}),
    "total comes with another's priority": Case(LIMIT, {1: {"net_priority": 20}}),
    "total comes with its own priority": Case(LIMIT, {0: {"net_priority": 20}}),
    "total comes with a guarantee": Case(LIMIT, {1: {"net_guarantee": 30_000}}),
    "total comes beside large limits": Case(LARGE, {2: {"net_guarantee": 30_000}}),
    "total goes with another's priority": Case(
        {**LIMIT, 1: {"net_priority": 20}}, {1: {"net_priority": UNLIMITED}}),
    "total goes with its own priority": Case(
        {0: {"net_limit": 50_000, "net_priority": 20}}, {0: {"net_priority": UNLIMITED}}),
    "total goes with a guarantee": Case(
        {**LIMIT, 1: {"net_guarantee": 30_000}}, {1: {"net_guarantee": UNLIMITED}}),
    "total goes beside large limits": Case(
        {**LARGE, 2: {"net_guarantee": 30_000}}, {2: {"net_guarantee": UNLIMITED}}),
}


def apply(bench: QuietBench, settings: Settings) -> None:
    with bench.host.inside():
        for number, values in settings.items():
            bench.shaper.write(bench.uuids[number], values, bench.neighbours)


def _anew(bench: QuietBench, *settings: Settings) -> Picture:
    wipe(bench)
    for each in settings:
        apply(bench, each)
    return look(bench)


def _act(bench: QuietBench, settings: Settings, doomed: int) -> int:
    before_change(doomed, lambda: os._exit(KILLED))
    apply(bench, settings)
    return COMPLETE


def _possible(case: Case, number: int, name: str) -> set[int]:
    before = case.before.get(number, {}).get(name, UNLIMITED)
    return {UNLIMITED, before, case.change.get(number, {}).get(name, before)}


@pytest.mark.parametrize("name", CASES)
def test_killed(make_quiet: MakeQuiet, name: str) -> None:
    """The next agent finds no setting that nobody requested, and the same change then
    leads to the same end."""
    case = CASES[name]
    bench = make_quiet(4, "up0", "up1")
    wanted = _anew(bench, case.before, case.change)
    for doomed in range(1, _MOST_CHANGES):
        _anew(bench, case.before)
        end = in_child(partial(_act, bench, case.change, doomed))
        assert end in (KILLED, COMPLETE), f"change {doomed}"
        left = look(bench)
        bench.restart_agent()
        bench.tidy()
        with bench.host.inside():
            found = {(number, resource): reading.applied for number in range(4)
                     for resource, reading in bench.readings(number).items()}
        invented = {key: applied for key, applied in found.items()
                    if applied not in _possible(case, *key)}
        assert not invented, f"killed before change {doomed}: {left}"
        # as looks at all servers do
        apply(bench, case.before)
        apply(bench, case.change)
        assert look(bench) == wanted, f"killed before change {doomed}: {left}"
        if end == COMPLETE:
            break
    print(f"{name}: killed before each of {doomed - 1} changes")
    assert doomed > 1


@pytest.mark.parametrize("state", ["nothing there", "limit there"])
def test_an_uplink_that_another_program_owns(make_quiet: MakeQuiet, state: str) -> None:
    """The refusal names the owner, and nothing of ours stays."""
    bench = make_quiet(2)
    if state == "limit there":
        apply(bench, LIMIT)
    bench.host.run("tc", "qdisc", "replace", "dev", "up0", "root", "handle", "1:", "htb")
    before = everything(bench.host)
    for name in ("net_limit", "net_guarantee"):
        with bench.host.inside(), pytest.raises(
                errors.HostCannot, match=r"up0 is controlled by .*htb"):
            bench.shaper.write(bench.uuids[0], {name: 5000}, bench.neighbours)
        with bench.host.inside():
            assert "up0 is controlled by" in str(bench.shaper.abilities()[name].cannot)
    assert everything(bench.host) == before
    bench.host.run("tc", "qdisc", "del", "dev", "up0", "root")
    apply(bench, LIMIT)
    assert held(bench, 0)["limit"] == 5


HARM = {
    "a class": "tc class del dev up0 classid {own}",
    "its queue": "tc qdisc del dev up0 parent {own}",
    "a tree": "tc qdisc del dev up1 root",
    "the rules": "nft delete table netdev nova_qos",
    "its address": "nft delete element netdev nova_qos by_mac {{ fa:16:3e:00:00:00 }}",
    "frames": "ip link set up0 mtu 1400",
}


@pytest.mark.parametrize("what", HARM)
def test_another_limit_after_others_have_changed_something(
    make_quiet: MakeQuiet, what: str
) -> None:
    """What is remembered is no longer so; the write finds out and puts it right."""
    bench = make_quiet(3, "up0", "up1")
    apply(bench, LARGE)
    bench.host.run(*HARM[what].format(own=own_class(bench, 0)).split())
    change(bench, 0, limit=9)
    assert held(bench, 0)["limit"] == 9
    found = look(bench)
    assert found == _anew(bench, LARGE, {0: {"net_limit": 9000}})


def test_another_limit_after_a_tap_was_made_anew(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    apply(bench, LARGE)
    bench.host.ip("link del tap0", *tap_lines(0))
    change(bench, 0, limit=9)
    assert held(bench, 0)["limit"] == 9


def test_limits_set_at_once(make_quiet: MakeQuiet) -> None:
    """Many threads, each with a server of its own and all with one in common."""
    bench = make_quiet(6)
    last: dict[int, int] = {}

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(8):
            last[number] = chance.choice([UNLIMITED, 1, 20, 300])
            change(bench, number, limit=last[number])
            change(bench, 5, limit=chance.choice([UNLIMITED, 7]))
            change(bench, 5, guarantee=chance.choice([UNLIMITED, 3]))
            if chance.random() < 0.3:
                bench.tidy()

    with futures.ThreadPoolExecutor(5) as pool:
        for done in [pool.submit(work, number) for number in range(5)]:
            done.result()
    change(bench, 5, limit=33, guarantee=UNLIMITED)
    last[5] = 33
    assert {number: held(bench, number)["limit"] for number in range(6)} == last
    found = classes(bench.host, UPLINK)
    assert STRAYS not in found
    assert len(found) == 1 + sum(limit != UNLIMITED for limit in last.values())


def test_one_server_s_limit_and_guarantee_at_once(make_quiet: MakeQuiet) -> None:
    """Neither takes the other away."""
    bench = make_quiet(2)
    with futures.ThreadPoolExecutor(2) as pool:
        for limit in range(10, 20):
            both = [pool.submit(change, bench, 0, limit=limit),
                    pool.submit(change, bench, 0, guarantee=limit - 9)]
            for done in both:
                done.result()
            assert held(bench, 0) == {"limit": limit, "guarantee": limit - 9}


def test_a_class_that_is_lost_is_said_of_a_guarantee(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    change(bench, 0, guarantee=20)
    bench.host.run("tc", "class", "del", "dev", "up0", "classid", own_class(bench, 0))
    with bench.host.inside():
        readings = bench.readings(0)
    assert not readings["net_guarantee"].effective
    assert "is missing or was changed" in (readings["net_guarantee"].reason or "")
    bench.tidy()
    assert held(bench, 0)["guarantee"] == 20


# What neutron's agents set on a port with bandwidth limits: what comes from the server is policed,
# what goes to it waits. Not every kernel has tc's action police, so nft drops what is too much.
POLICER = """\
table netdev neutron {{
    chain police {{
        type filter hook ingress device "{}" priority 0; policy accept;
        limit rate over 625 kbytes/second burst 256 kbytes drop
    }}
}}
"""
TBF = "tc qdisc replace dev {} root tbf rate 5mbit burst 15k latency 50ms"


@busy
@pytest.mark.parametrize("when", ["before", "later"])
def test_beside_a_limit_of_neutron(make_bench: MakeBench, when: str) -> None:
    """The lower one holds, whichever came first, and neither agent touches what the other made."""
    bench = make_bench("bridge", [1])
    tap = bench.site.guests[0].nics[0].tap
    assert tap is not None

    def limit_theirs() -> None:
        bench.host.run("nft", "-f", "-", text=POLICER.format(tap))
        bench.host.run(*TBF.format(tap).split())

    def theirs() -> list[str]:
        return [bench.host.run("tc", "qdisc", "show", "dev", tap),
                bench.host.run("nft", "list", "table", "netdev", "neutron")]

    if when == "before":
        limit_theirs()
    change(bench, 0, limit=20)
    if when == "later":
        limit_theirs()
    before = theirs()
    assert held(bench, 0)["limit"] == 20
    clock = Clock()
    sending = send(clock, bench.site, bench.site.guests[0], 7)
    sent = sent_mbit(bench, clock, 2, 6)[own_class(bench, 0)]
    sending.mbit(2, 6)
    print(f"limit 20 beside neutron's of 5 that came {when}: {sent:.2f} Mbit/s")
    assert 0.5 < sent < 6
    change(bench, 0, limit=2)
    clock = Clock()
    sending = send(clock, bench.site, bench.site.guests[0], 7)
    sent = sent_mbit(bench, clock, 2, 6)[own_class(bench, 0)]
    sending.mbit(2, 6)
    print(f"limit 2 beside it: {sent:.2f} Mbit/s")
    assert sent < 2.1
    bench.tidy()
    change(bench, 0, limit=UNLIMITED)
    assert theirs() == before
    assert "5ca1" not in root(bench.host, UPLINK)


@busy
def test_a_limit_below_what_is_being_used(make_bench: MakeBench) -> None:
    """It holds within a second, for a connection that was there before."""
    bench = make_bench("bridge", [1])
    change(bench, 0, limit=50)
    clock = Clock()
    sending = send(clock, bench.site, bench.site.guests[0], 12)
    name = own_class(bench, 0)
    first = sent_mbit(bench, clock, 2, 4)[name]
    change(bench, 0, limit=5)
    second = sent_mbit(bench, clock, 5, 8)[name]
    change(bench, 0, limit=50)
    third = sent_mbit(bench, clock, 9, 11)[name]
    print(f"limit 50, 5, 50: {first:.2f}, {second:.2f}, {third:.2f} Mbit/s; "
          f"all in all {sending.mbit(2, 11):.1f} arrived")
    assert first > 35
    assert second == pytest.approx(5, rel=0.05)
    assert third > 25
    assert classes(bench.host, UPLINK)[WHOLE].ceil > 10**12
