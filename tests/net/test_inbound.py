# SPDX-License-Identifier: Apache-2.0
"""What servers receive from outside is divided and limited, and nobody is cut off."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Interface
from tests.net.bench import RATE_MBIT, Bench, tap_lines
from tests.net.conftest import MakeBench, MakeQuiet
from tests.net.doom import COMPLETE, KILLED, before_change, in_child
from tests.net.picture import class_bytes, classes, disciplines, root, tables
from tests.net.receivers import RECEIVER, TABLE, Receivers
from tests.net.test_limits import busy
from tests.net.traffic import MEASURED_S, MUCH_MBIT, Clock, receive
from tools.bed.errors import TestbedError
from tools.bed.namespace import Namespace
from tools.bed.site import Path

_PATHS: tuple[Path, ...] = ("bridge", "hop", "vxlan")


def links(host: Namespace) -> str:
    return host.run("ip", "-br", "link", "show")


def is_clean(host: Namespace) -> bool:
    """Nothing of inbound control is there."""
    return RECEIVER not in links(host) and f"netdev {TABLE}" not in tables(host)


@busy
@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.resources("net_in_priority")
def test_weights(make_bench: MakeBench, path: Path) -> None:
    bench = make_bench(path, [1, 1, 1])
    receivers = Receivers(bench)
    for number, weight in enumerate((80, 40, 20)):
        receivers.set(number, weight=weight)
    clock = Clock()
    flows = [receive(clock, bench.site, guest, 3 + MEASURED_S) for guest in bench.site.guests]
    got = receivers.mbit(clock, 2, 2 + MEASURED_S)
    arrived = [flow.mbit(2, 2 + MEASURED_S) for flow in flows]
    print(f"80 Mbit/s in, 4:2:1 over a {path}: "
          + "/".join(f"{each:.2f}" for each in got.values()) + " Mbit/s, arrived "
          + "/".join(f"{each:.2f}" for each in arrived))
    for number, part in enumerate((4, 2, 1)):
        assert got[number] == pytest.approx(RATE_MBIT * part / 7, rel=0.03)
        assert arrived[number] == pytest.approx(got[number], rel=0.06)


@busy
@pytest.mark.parametrize("mbit", [5, 50])
@pytest.mark.resources("net_in_limit")
def test_a_limit_without_any_total(make_bench: MakeBench, mbit: int) -> None:
    bench = make_bench("bridge", [1, 1])
    receivers = Receivers(bench, None)
    receivers.set(0, limit=mbit)
    assert receivers.applied(0) == {"priority": -1, "limit": mbit, "guarantee": -1}
    clock = Clock()
    limited, free = [receive(clock, bench.site, guest, 9, most_mbit=MUCH_MBIT)
                     for guest in bench.site.guests]
    name = receivers.class_of(0)
    clock.wait_until(2)
    before, began = class_bytes(bench.host, RECEIVER)[name], clock.now()
    clock.wait_until(8)
    mbits = (class_bytes(bench.host, RECEIVER)[name] - before) * 8e-6 / (clock.now() - began)
    print(f"limit {mbit}: {mbits:.3f} Mbit/s, arrived {limited.mbit(2, 8):.2f}, "
          f"the other {free.mbit(2, 8):.0f}")
    assert mbits == pytest.approx(mbit, rel=0.02)
    assert free.mbit(2, 8) > 1.2 * RATE_MBIT


@busy
@pytest.mark.resources("net_in_guarantee", "net_in_priority")
def test_a_guarantee_beside_weights(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1, 1])
    receivers = Receivers(bench)
    for number, weight in enumerate((25, 50, 25)):
        receivers.set(number, weight=weight)
    receivers.set(0, guarantee=40)
    clock = Clock()
    flows = [receive(clock, bench.site, guest, 3 + MEASURED_S) for guest in bench.site.guests]
    got = receivers.mbit(clock, 2, 2 + MEASURED_S)
    print("guarantee 40, weights 1:2:1: " + "/".join(f"{each:.2f}" for each in got.values()))
    assert [got[number] for number in range(3)] == pytest.approx([40, 80 / 3, 40 / 3], rel=0.03)
    assert all(flow.mbit(2, 2 + MEASURED_S) > 10 for flow in flows)


@busy
def test_servers_of_one_host_are_not_slowed(make_bench: MakeBench) -> None:
    """Neither with an outbound class nor without."""
    bench = make_bench("bridge", [1, 1, 1])
    receivers = Receivers(bench)
    receivers.set(0, prio=10, limit=5)
    with bench.host.inside():
        bench.shaper.write(bench.uuids[1], {"net_limit": 500_000}, bench.neighbours)
    inside, *others = bench.site.guests
    inside.namespace.start("iperf3", "--server", "--port", "5555")
    for sender in others:
        answer = sender.namespace.run(
            "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do iperf3 --json --time 2 --port 5555 "
            f"--client {inside.nics[0].addresses[0]} && exit; sleep 0.3; done; exit 1")
        rate = float(answer.split('"sum_received"')[1].split('"bits_per_second":')[1].split(",")[0])
        assert rate > 100e6


def test_everything_comes_and_goes(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(3)
    before = disciplines(bench.host), links(bench.host)
    receivers = Receivers(bench)
    with bench.host.inside():
        assert {name: each.works for name, each in receivers.inbound.abilities().items()} == {
            "net_in_priority": True, "net_in_limit": True, "net_in_guarantee": True}
    assert (disciplines(bench.host), links(bench.host)) == before
    receivers.tidy()
    assert (disciplines(bench.host), links(bench.host)) == before
    assert receivers.applied(0) == {"priority": -1, "limit": -1, "guarantee": -1}
    receivers.set(0, prio=7)
    receivers.set(1, limit=60, guarantee=40)
    assert receivers.applied(0) == {"priority": 7, "limit": -1, "guarantee": -1}
    assert receivers.applied(1) == {"priority": -1, "limit": 60, "guarantee": 40}
    assert "htb 5ca1:" in root(bench.host, RECEIVER)
    # what nobody has set is found again by another agent
    receivers.restart_agent()
    receivers.tidy()
    assert receivers.applied(0) == {"priority": 7, "limit": -1, "guarantee": -1}
    assert receivers.applied(1) == {"priority": -1, "limit": 60, "guarantee": 40}
    receivers.set(0, prio=UNLIMITED)
    assert receivers.applied(1) == {"priority": -1, "limit": 60, "guarantee": 40}
    receivers.set(1, limit=UNLIMITED, guarantee=UNLIMITED)
    assert (disciplines(bench.host), links(bench.host)) == before
    assert is_clean(bench.host)


def test_both_directions(make_quiet: MakeQuiet) -> None:
    """Neither takes the other's classes for its own."""
    bench = make_quiet(3)
    receivers = Receivers(bench)
    receivers.set(0, prio=7)
    bench.prioritize(1, 20)
    held = classes(bench.host, RECEIVER), classes(bench.host, "up0")
    for _ in range(2):
        bench.tidy()
        receivers.tidy()
        assert (classes(bench.host, RECEIVER), classes(bench.host, "up0")) == held
        bench.restart_agent()
        receivers.restart_agent()
    bench.prioritize(1, UNLIMITED)
    assert receivers.applied(0)["priority"] == 7
    receivers.set(0, prio=UNLIMITED)
    assert is_clean(bench.host)


def test_without_a_rate_servers_can_be_limited_alone(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    receivers = Receivers(bench, None)
    for values in {"prio": 5}, {"guarantee": 5}:
        with pytest.raises(errors.HostCannot, match="htb_rate_in is not set"):
            receivers.set(0, **values)
    assert is_clean(bench.host)
    with bench.host.inside():
        abilities = receivers.inbound.abilities()
    assert [each.works for each in abilities.values()] == [False, True, False]
    receivers.set(0, limit=5)
    assert receivers.applied(0)["limit"] == 5
    # what an earlier nova.conf allowed is unset all the same
    receivers.set(0, limit=UNLIMITED, prio=UNLIMITED)
    assert is_clean(bench.host)


HARM: Mapping[str, Callable[[Bench], object]] = {
    "the device": lambda bench: bench.host.ip(f"link del {RECEIVER}"),
    "the device is down": lambda bench: bench.host.ip(f"link set {RECEIVER} down"),
    "the tree": lambda bench: bench.host.run("tc", "qdisc", "del", "dev", RECEIVER, "root"),
    "a class": lambda bench: bench.host.run(
        "tc", "class", "del", "dev", RECEIVER, "classid", "5ca1:10"),
    "the rules": lambda bench: bench.host.run("nft", "delete", "table", "netdev", TABLE),
    "a tap": lambda bench: bench.host.ip("link del tap0", *tap_lines(0)),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("repair", ["tidy", "new agent", "set"])
def test_what_others_take_away_comes_back(make_quiet: MakeQuiet, harm: str, repair: str) -> None:
    bench = make_quiet(3)
    receivers = Receivers(bench)
    receivers.set(0, prio=7, limit=30)
    receivers.set(1, guarantee=40)
    HARM[harm](bench)
    hurt = receivers.readings(0)
    assert hurt["priority"].applied != 7 or not hurt["priority"].effective, hurt
    if repair == "new agent":
        receivers.restart_agent()
        receivers.tidy()
    if repair == "tidy":
        receivers.tidy()
    # as looks at all servers do
    receivers.set(0, prio=7, limit=30)
    receivers.set(1, guarantee=40)
    assert receivers.applied(0) == {"priority": 7, "limit": 30, "guarantee": -1}
    assert receivers.applied(1) == {"priority": -1, "limit": -1, "guarantee": 40}
    text = bench.host.run("nft", "list", "table", "netdev", TABLE)
    assert text.count("fwd to") == text.count(f'fwd to "{RECEIVER}"') == 3


def test_a_guest_receives_again_after_its_device_was_deleted(make_bench: MakeBench) -> None:
    bench = make_bench("bridge", [1, 1])
    receivers = Receivers(bench)
    receivers.set(0, prio=7)
    guest = bench.site.guests[0].namespace
    connect = (sys.executable, "-c", "import socket; socket.create_connection(("
               f"'{bench.site.target()}', {bench.site.host_port}), 2)")
    guest.run(*connect)
    bench.host.ip(f"link del {RECEIVER}")
    assert receivers.readings(0)["priority"].applied == UNLIMITED
    with pytest.raises(TestbedError, match="timed out"):
        guest.run(*connect)
    receivers.tidy()
    guest.run(*connect)
    assert receivers.applied(0)["priority"] == 7


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("is_replaced", [True, False])
def test_no_rule_leads_nowhere_after_a_look(
    make_quiet: MakeQuiet, correct: bool, is_replaced: bool
) -> None:
    """With ``drift = report``, too: what a guest receives is no drift."""
    bench = make_quiet(2)
    receivers = Receivers(bench)
    receivers.set(0, prio=7, limit=30)
    bench.host.ip(f"link del {RECEIVER}")
    if is_replaced:
        bench.host.ip(f"link add {RECEIVER} type veth")
        with pytest.raises(errors.HostCannot, match="another program has made a device"):
            receivers.tidy(correct)
        assert f"netdev {TABLE}" not in tables(bench.host)
        bench.host.ip(f"link del {RECEIVER}")
    receivers.tidy(correct)
    assert receivers.applied(0) == {"priority": 7, "limit": 30, "guarantee": -1}


def test_a_limit_whose_device_has_gone_is_not_effective(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    receivers = Receivers(bench, None)
    receivers.set(0, limit=30)
    bench.host.ip(f"link del {RECEIVER}")
    limit = receivers.readings(0)["limit"]
    assert (limit.applied, limit.effective) == (UNLIMITED, False)
    assert "taken away" in (limit.reason or "")
    assert receivers.readings(1)["limit"] == Reading(UNLIMITED)
    receivers.tidy()
    assert receivers.applied(0)["limit"] == 30


@pytest.mark.parametrize("kind", ["veth", "bridge"])
def test_a_device_of_that_name_is_another_program_s(make_quiet: MakeQuiet, kind: str) -> None:
    bench = make_quiet(1)
    bench.host.ip(f"link add {RECEIVER} type {kind}")
    receivers = Receivers(bench)
    before = links(bench.host), tables(bench.host)
    for call in (partial(receivers.set, 0, prio=5), partial(receivers.readings, 0)):
        with pytest.raises(errors.HostCannot, match="another program has made a device"):
            call()
    receivers.tidy()
    assert (links(bench.host), tables(bench.host)) == before


def test_a_tree_of_another_program_is_left_alone(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.host.ip(f"link add {RECEIVER} type ifb", f"link set {RECEIVER} up")
    bench.host.run("tc", "qdisc", "add", "dev", RECEIVER, "root", "handle", "1:", "htb")
    receivers = Receivers(bench)
    with pytest.raises(errors.HostCannot, match=RECEIVER):
        receivers.set(0, prio=5)
    receivers.tidy()
    assert "htb 1:" in root(bench.host, RECEIVER)
    assert f"netdev {TABLE}" not in tables(bench.host)


def test_a_server_without_a_tap(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.servers[bench.uuids[0]] = (Interface(mac="fa:16:3e:00:00:00", parent="up0"),)
    receivers = Receivers(bench)
    with pytest.raises(errors.HostCannot, match="has no tap"):
        receivers.set(0, prio=5)
    assert is_clean(bench.host)


def test_mtu_of_the_taps(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    bench.host.ip("link set tap1 mtu 9000")
    receivers = Receivers(bench)
    receivers.set(0, prio=5)
    assert "mtu 9000" in bench.host.run("ip", "link", "show", RECEIVER)
    assert receivers.applied(0)["priority"] == 5
    bench.host.ip("link set tap0 mtu 9100")
    receivers.set(1, prio=6)
    assert [receivers.applied(each)["priority"] for each in (0, 1)] == [5, 6]


CASES: Mapping[str, tuple[Mapping[int, Mapping[str, int]], Mapping[int, Mapping[str, int]]]] = {
    "first limit": ({}, {0: {"limit": 5}}),
    "first priority": ({}, {0: {"prio": 5}}),
    "total comes": ({0: {"limit": 5}}, {1: {"prio": 20}}),
    "total goes": ({0: {"limit": 5}, 1: {"prio": 20}}, {1: {"prio": UNLIMITED}}),
    "last goes": ({0: {"prio": 5}}, {0: {"prio": UNLIMITED}}),
    "guarantee": ({0: {"prio": 5}, 1: {"prio": 30}}, {0: {"guarantee": 60}}),
    "guarantee moves": ({0: {"guarantee": 60}}, {0: {"guarantee": 5}, 1: {"guarantee": 70}}),
}


@pytest.mark.parametrize("name", CASES)
def test_killed(make_quiet: MakeQuiet, name: str) -> None:
    """Wherever the agent is killed, no rule leads to a device that is not there, and the same
    change by the next agent leads to the same end."""
    before, change = CASES[name]
    bench = make_quiet(3)
    receivers = Receivers(bench)

    def apply(settings: Mapping[int, Mapping[str, int]]) -> None:
        for number, values in settings.items():
            receivers.set(number, **values)

    def shown() -> tuple[object, ...]:
        host = bench.host
        if is_clean(host):
            return ()
        return (classes(host, RECEIVER), [
            {each: found.applied for each, found in receivers.readings(number).items()}
            for number in range(3)])

    def act(doomed: int) -> int:
        before_change(doomed, lambda: os._exit(KILLED))
        apply(change)
        return COMPLETE

    def anew() -> None:
        receivers.restart_agent()
        bench.host.run("sh", "-c", f"nft delete table netdev {TABLE}; ip link del {RECEIVER}; true")
        apply(before)

    anew()
    apply(change)
    wanted = shown()
    for doomed in range(1, 100):
        anew()
        end = in_child(partial(act, doomed))
        assert end in (KILLED, COMPLETE), f"change {doomed}"
        if f"netdev {TABLE}" in tables(bench.host):
            text = bench.host.run("nft", "list", "table", "netdev", TABLE)
            assert text.count("fwd to") == text.count(f'fwd to "{RECEIVER}"')
            assert "UP" in bench.host.run("ip", "link", "show", RECEIVER) or "fwd" not in text
        receivers.restart_agent()
        receivers.tidy()
        settings = {number: {**before.get(number, {}), **change.get(number, {})}
                    for number in range(3)}
        for number, asked in settings.items():
            if "guarantee" not in asked:
                assert receivers.readings(number)["guarantee"].applied == UNLIMITED
        apply(before)
        apply(change)
        assert shown() == wanted, f"killed before change {doomed}"
        if end == COMPLETE:
            break
    print(f"{name}: killed before each of {doomed - 1} changes")
    assert doomed > 1


def test_an_agent_killed_before_its_first_rule_leaves_no_device(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.host.ip(f"link add {RECEIVER} type ifb")
    receivers = Receivers(bench)
    receivers.tidy()
    assert is_clean(bench.host)
