# SPDX-License-Identifier: Apache-2.0
"""Devices vanish, others take away what is ours, rights and programs are missing."""

import random
import sys
from collections.abc import Callable, Mapping
from concurrent import futures

import pytest

from nova_qos.core import errors
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Interfaces
from nova_qos.net.outbound import Outbound
from tests.net.bench import DEFAULT_WEIGHT, QuietBench, tap_lines, uplink_lines
from tests.net.conftest import MakeQuiet
from tests.net.picture import class_of, classes, everything, look, made_anew, root
from tools.bed.site import UPLINK

STRANGE_TABLE = """\
table netdev nova_qos {
    map by_mac {
        type ipv4_addr : classid
    }
}
"""
PRIORITIES = {0: 0, 1: 73}


@pytest.fixture
def bench(make_quiet: MakeQuiet) -> QuietBench:
    bench = make_quiet(4, "up0", "up1")
    for number, priority in PRIORITIES.items():
        bench.prioritize(number, priority)
    return bench


def rewrite(bench: QuietBench) -> None:
    """The same priorities once more."""
    for number, priority in PRIORITIES.items():
        bench.prioritize(number, priority)


REPAIRS = pytest.mark.parametrize("repair", [rewrite, QuietBench.tidy], ids=["write", "tidy"])
Repair = Callable[[QuietBench], None]


@REPAIRS
@pytest.mark.parametrize("agent", ["same agent", "new agent"])
def test_uplink_that_comes_back(bench: QuietBench, repair: Repair, agent: str) -> None:
    bench.host.ip("link del up1")
    reading = bench.reading(0)
    assert (reading.applied, reading.effective) == (0, False)
    assert "no uplink up1" in (reading.reason or "")
    repair(bench)
    assert "5ca1:" in root(bench.host, "up0")
    # another card: its index and address are other ones
    bench.host.ip(*uplink_lines("up1"), "link set up1 address 02:00:00:00:09:01")
    if agent == "new agent":
        bench.restart_agent()
    repair(bench)
    found = look(bench)
    assert found.classes["up0"] == found.classes["up1"]
    assert (bench.reading(0).applied, bench.reading(0).effective) == (0, True)
    assert found == made_anew(bench, PRIORITIES)


def test_no_uplink_at_all(bench: QuietBench) -> None:
    bench.host.ip("link del up0", "link del up1")
    for call in (lambda: bench.prioritize(0, 3), lambda: bench.reading(0)):
        with pytest.raises(errors.HostRefused, match="no uplink up0, up1"):
            call()
    bench.host.ip(*uplink_lines("up0"), *uplink_lines("up1"))
    bench.prioritize(1, PRIORITIES[1])
    bench.prioritize(0, PRIORITIES[0])
    assert look(bench) == made_anew(bench, PRIORITIES)


@REPAIRS
def test_tap_made_anew_under_its_name(bench: QuietBench, repair: Repair) -> None:
    """As a hard reboot does: its index is another one then."""
    bench.host.ip("link del tap1", *tap_lines(1))
    repair(bench)
    found = look(bench)
    assert bench.reading(1).effective
    assert len(found.chains) == 6
    assert found == made_anew(bench, PRIORITIES)


@REPAIRS
def test_tap_that_is_not_there(bench: QuietBench, repair: Repair) -> None:
    bench.host.ip("link del tap1")
    repair(bench)
    reading = bench.reading(1)
    assert (reading.applied, reading.effective) == (73, False)
    assert "tap1" in (reading.reason or "")
    assert bench.reading(0).effective
    bench.host.ip(*tap_lines(1))
    repair(bench)
    assert bench.reading(1).effective
    # a write need not learn the new tap's own address
    bench.tidy()
    assert look(bench) == made_anew(bench, PRIORITIES)


def test_what_others_have_changed_can_be_left(bench: QuietBench) -> None:
    """Tidying without mending follows the servers, and nothing else."""
    (interface,) = bench.servers[bench.uuids[0]]
    bench.host.run(
        "nft", "delete", "element", "netdev", "nova_qos", "by_mac", f"{{ {interface.mac} }}")
    changed = look(bench)
    bench.tidy(correct=False)
    assert look(bench) == changed
    bench.stop_server(2)
    bench.tidy(correct=False)
    assert look(bench).classes["up0"].keys() < changed.classes["up0"].keys()
    assert bench.reading(1).effective
    assert not bench.reading(0).effective
    bench.tidy()
    assert bench.reading(0).effective


def test_tap_that_vanishes_during_the_call(bench: QuietBench) -> None:
    """It is there when the servers are asked for, and gone when its chain is made."""
    def vanishing() -> Mapping[str, Interfaces]:
        found = dict(bench.servers)
        if not tapless:
            bench.host.ip("link del tap2")
            tapless.append("tap2")
        return found

    tapless: list[str] = []
    with bench.host.inside():
        bench.shaper.write(bench.uuids[2], {"net_priority": 5}, vanishing)
    assert tapless
    bench.host.ip(*tap_lines(2))
    bench.tidy()
    assert bench.reading(2).applied == 5
    bench.prioritize(2, UNLIMITED)
    assert look(bench) == made_anew(bench, PRIORITIES)


HARM = {
    "our qdisc": "tc qdisc del dev up0 root",
    "both qdiscs": "tc qdisc del dev up0 root; tc qdisc del dev up1 root",
    "a server's class": "tc class del dev up0 classid 5ca1:10",
    "the class of one without priority": "tc class del dev up1 classid {last}",
    "the strays' class": "tc class del dev up0 classid 5ca1:fffe",
    "a queue": "tc qdisc del dev up0 parent 5ca1:10",
    "a queue that others have made": "tc qdisc replace dev up0 parent 5ca1:10 pfifo limit 1",
    "a queue of our kind that limits":
        "tc qdisc change dev up0 parent 5ca1:10 tbf rate 1mbit burst 2000 limit 20000",
    "precedence":
        "tc class change dev up0 parent 5ca1:1 classid 5ca1:10 htb rate {rate} ceil 80mbit "
        "quantum {quantum} prio 7",
    "rate": "tc class change dev up0 parent 5ca1:1 classid 5ca1:10 htb rate 1mbit ceil 2mbit",
    "ceil": "tc class change dev up0 parent 5ca1:1 classid 5ca1:10 htb rate 1mbit ceil 2mbit "
        "quantum {quantum}",
    "class too many": "tc class add dev up0 parent 5ca1:1 classid 5ca1:777 htb rate 1mbit",
    "address": "nft delete element netdev nova_qos by_mac {{ fa:16:3e:00:00:00 }}",
    "address of one without priority":
        "nft delete element netdev nova_qos by_mac {{ fa:16:3e:00:00:03 }}",
    "mark": "nft delete element netdev nova_qos by_mark {{ 0x10 }}",
    "the host's addresses": "nft flush set netdev nova_qos host_macs",
    "tap's rule": "nft flush chain netdev nova_qos {tap}",
    "tap's chain": "nft flush chain netdev nova_qos {tap}; nft delete chain netdev nova_qos {tap}",
    "uplink's rules": "nft flush chain netdev nova_qos {gate}",
    "uplink's chain":
        "nft flush chain netdev nova_qos {gate}; nft delete chain netdev nova_qos {gate}",
    "one rule too many": "nft add rule netdev nova_qos {gate} meta priority set 5ca1:11",
    "address in another's class":
        "nft delete element netdev nova_qos by_mac {{ fa:16:3e:00:00:01 }}; "
        "nft add element netdev nova_qos by_mac {{ fa:16:3e:00:00:01 : 5ca1:10 }}",
    "table": "nft delete table netdev nova_qos",
    "all": "nft delete table netdev nova_qos; tc qdisc del dev up0 root; "
        "tc qdisc del dev up1 root",
}
#: What is not of the servers that are written: a write does not look for it.
ONLY_TIDY = {
    "the class of one without priority", "the strays' class", "class too many",
    "address of one without priority", "the host's addresses",
}


def do_harm(bench: QuietBench, what: str) -> None:
    names = {
        "tap": f"tap{_index(bench, 'tap1')}", "gate": f"uplink{_index(bench, 'up0')}",
        "last": class_of(bench.host, "fa:16:3e:00:00:03"),
        "quantum": classes(bench.host, "up0")["5ca1:10"].quantum,
        "rate": f"{classes(bench.host, 'up0')['5ca1:10'].rate}bit",
    }
    for command in HARM[what].format(**names).split("; "):
        bench.host.run(*command.split())


def _index(bench: QuietBench, device: str) -> int:
    return int(bench.host.run("cat", f"/sys/class/net/{device}/ifindex"))


@REPAIRS
@pytest.mark.parametrize("what", HARM)
def test_taken_away_by_hand(bench: QuietBench, what: str, repair: Repair) -> None:
    before = look(bench)
    do_harm(bench, what)
    assert look(bench) != before, "no harm was done"
    repair(bench)
    if repair is rewrite and what in ONLY_TIDY:
        assert look(bench) != before, "a write repairs this, too: take it from the list"
        return
    assert look(bench) == before


@REPAIRS
@pytest.mark.parametrize("rate_mbit", [80, 400])
def test_queue_that_others_have_put_in_place(
    make_quiet: MakeQuiet, rate_mbit: int, repair: Repair
) -> None:
    """At once no setting has an effect; above 250 Mbit/s a class has no queue of ours."""
    bench = make_quiet(2)
    bench.shaper = Outbound(bench.uplinks, rate_mbit, DEFAULT_WEIGHT)
    bench.prioritize(0, 0)
    bench.prioritize(1, 73)
    before = look(bench)
    for queue in ("bfifo limit 3000", "pfifo limit 1", "tbf rate 1mbit burst 2000 limit 20000"):
        bench.host.run(*f"tc qdisc replace dev up0 parent 5ca1:10 {queue}".split())
        reading = bench.reading(0)
        assert (reading.applied, reading.effective) == (UNLIMITED, False)
        assert "was changed" in (reading.reason or "")
        with bench.host.inside():
            seen = bench.shaper.snapshot().read(bench.uuids[0], bench.servers[bench.uuids[0]])
        assert seen["net_priority"] == reading
        bench.tidy(correct=False)
        assert look(bench) != before
        repair(bench)
        assert look(bench) == before
        assert bench.reading(0).effective


def test_two_servers_at_once(make_quiet: MakeQuiet) -> None:
    """Many threads, each with a server of its own and all with one in common."""
    bench = make_quiet(6)
    last = {}

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(8):
            last[number] = chance.choice([UNLIMITED, 5, 40, 98])
            bench.prioritize(number, last[number])
            bench.prioritize(5, chance.choice([UNLIMITED, 7]))
            bench.reading(5)
            if chance.random() < 0.3:
                bench.tidy()

    with futures.ThreadPoolExecutor(5) as pool:
        for done in [pool.submit(work, number) for number in range(5)]:
            done.result()
    bench.prioritize(5, 33)
    last[5] = 33
    assert {number: bench.reading(number).applied for number in range(6)} == last
    found = classes(bench.host, UPLINK)
    assert len(found) == 6 + 2
    assert sum(each.rate for name, each in found.items() if name != "5ca1:1") <= 80_000_000


def test_same_server_at_once(bench: QuietBench) -> None:
    with futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(bench.prioritize, 2, n) for n in range(12)]:
            done.result()
    bench.prioritize(2, UNLIMITED)
    assert look(bench) == made_anew(bench, PRIORITIES)


# Runs inside of a host with less than usual, and says how a write ended.
CHILD = """\
import sys
from nova_qos.core import errors
from nova_qos.host import Interface
from nova_qos.net.outbound import Outbound
try:
    Outbound(["up0"], 80, 50).write("one", {"net_priority": 5}, lambda: {
        "one": (Interface(mac="fa:16:3e:00:00:00", tap="tap0"),)})
except errors.QosError as error:
    print(type(error).__name__, error.message)
"""
NO_RIGHT = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
NO_NFT = ("unshare", "--mount", "sh", "-ec",
          'mount --bind /dev/null "$(command -v nft)"; exec "$@"', "sh")


@pytest.mark.parametrize(
    ("less", "said"), [(NO_RIGHT, "CAP_NET_ADMIN"), (NO_NFT, "nft is missing")],
    ids=["no right", "no nft"])
@pytest.mark.parametrize("state", ["nothing there", "priority there"])
def test_host_that_lacks_something(
    make_quiet: MakeQuiet, less: tuple[str, ...], said: str, state: str
) -> None:
    bench = make_quiet(1)
    if state == "priority there":
        bench.prioritize(0, 7)
    before = everything(bench.host)
    answer = bench.host.run(*less, sys.executable, "-c", CHILD)
    print(answer)
    assert answer.startswith("HostCannot ")
    assert said in answer
    assert everything(bench.host) == before


THEIR_FILTER = (
    "tc filter add dev up0 parent 5ca1: protocol all prio 1 u32 match u32 0 0 classid {}")
HELD = {
    "a class of ours": (THEIR_FILTER.format("5ca1:10"),),
    "a class of theirs": (
        "tc class add dev up0 parent 5ca1:1 classid 5ca1:777 htb rate 1mbit",
        THEIR_FILTER.format("5ca1:777")),
    "a class below a class of ours": (
        "tc class add dev up0 parent 5ca1:10 classid 5ca1:777 htb rate 1mbit",
        THEIR_FILTER.format("5ca1:777")),
}


@pytest.mark.parametrize("what", HELD)
@pytest.mark.parametrize("agent", ["same agent", "new agent"])
def test_class_that_others_hold(
    bench: QuietBench, what: str, agent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A filter leads to it, so that it cannot be removed: it stays, and hinders nobody."""
    wanted = look(bench)
    for line in HELD[what]:
        bench.host.run(*line.split())
    if agent == "new agent":
        bench.restart_agent()
    bench.prioritize(0, UNLIMITED)
    bench.prioritize(2, 5)
    bench.prioritize(1, 6)
    bench.tidy()
    found = bench.reading(0), bench.reading(1), bench.reading(2)
    assert [each.applied for each in found] == [UNLIMITED, 6, 5]
    assert all(each.effective for each in found)
    name = HELD[what][-1].split()[-1]
    assert classes(bench.host, "up0")[name].rate <= 1000
    with bench.host.inside():
        ability = bench.shaper.abilities()["net_priority"]
    assert any(name in each and "up0" in each for each in ability.warnings)
    told = [each.getMessage() for each in caplog.records if name in each.getMessage()]
    assert told
    for _ in range(3):
        bench.tidy()
    assert len(told) == sum(name in each.getMessage() for each in caplog.records), "told again"
    bench.prioritize(2, UNLIMITED)
    bench.host.run("tc", "filter", "del", "dev", "up0", "parent", "5ca1:")
    bench.prioritize(1, PRIORITIES[1])
    bench.prioritize(0, PRIORITIES[0])
    bench.tidy()
    assert look(bench) == wanted


def test_class_below_one_of_ours(bench: QuietBench) -> None:
    """It takes the queue of ours with it: that server's priority has no effect, others' have."""
    for line in HELD["a class below a class of ours"]:
        bench.host.run(*line.split())
    bench.prioritize(1, 6)
    bench.tidy()
    assert not bench.reading(0).effective
    assert (bench.reading(1).applied, bench.reading(1).effective) == (6, True)


def test_nft_that_refuses(make_quiet: MakeQuiet) -> None:
    """A table of that name which somebody else has made for something else."""
    bench = make_quiet(1)
    bench.host.run("nft", "-f", "-", text=STRANGE_TABLE)
    with pytest.raises(errors.HostRefused, match=r"nft refused.*by_mac"):
        bench.prioritize(0, 5)
