# SPDX-License-Identifier: Apache-2.0
"""What tc and nft show after our writes: all that is wanted, and nothing of others touched."""

import fcntl
import json
import re
import socket
import struct
from dataclasses import replace

import pytest

from nova_qos.core import errors
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Interface
from nova_qos.net.outbound import Outbound
from tests.net.bench import DEFAULT_WEIGHT, RATE_MBIT, QuietBench, tap_interface
from tests.net.conftest import MakeQuiet
from tests.net.picture import (
    Chain,
    class_bytes,
    classes,
    disciplines,
    everything,
    look,
    root,
    tables,
)
from tools.bed.site import UPLINK

_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x1002
CAPACITY = RATE_MBIT * 1_000_000
GATE_RULES = (
    "ether saddr != @host_macs meta priority set 5ca1:fffe",
    "meta priority set ether saddr map @by_mac",
    "meta priority set ip saddr map @by_address",
    "meta priority set meta mark & 0x00001fff map @by_mark",
)


@pytest.fixture
def bench(make_quiet: MakeQuiet) -> QuietBench:
    """Four servers on two uplinks; the weights are 99, 26, 50 and 50."""
    bench = make_quiet(4, "up0", "up1")
    bench.prioritize(0, 0)
    bench.prioritize(1, 73)
    return bench


@pytest.mark.parametrize("uplink", ["up0", "up1"])
def test_tree(bench: QuietBench, uplink: str) -> None:
    picture = look(bench)
    found = dict(picture.classes[uplink])
    whole = found.pop("whole")
    weights = {"server 0": 99, "server 1": 26, "server 2": DEFAULT_WEIGHT,
               "server 3": DEFAULT_WEIGHT, "strays": DEFAULT_WEIGHT}
    assert picture.roots[uplink] == "htb 5ca1:"
    assert (whole.parent, whole.rate, whole.ceil) == ("root", CAPACITY, CAPACITY)
    assert found.keys() == weights.keys()
    for name, each in found.items():
        assert (each.parent, each.ceil, each.prio) == ("5ca1:1", CAPACITY, 0), name
        assert each.quantum * 99 == found["server 0"].quantum * weights[name], name
        assert each.rate == pytest.approx(
            found["server 0"].rate * weights[name] / 99, rel=0.001), name
        assert each.quantum >= 1514, name
    assert 0.95 * CAPACITY < sum(each.rate for each in found.values()) <= CAPACITY


def test_trees_of_all_uplinks_are_equal(bench: QuietBench) -> None:
    found = look(bench).classes
    assert found["up0"] == found["up1"]


def test_numbers_tell_who_has_a_priority(bench: QuietBench) -> None:
    numbers = sorted(int(name.partition(":")[2], 16) for name in classes(bench.host, UPLINK))
    assert [each < 0x8000 for each in numbers] == [True, True, True, False, False, False]
    assert numbers[0] == 1
    assert numbers[-1] == 0xFFFE


def test_host_traffic_passes_by_the_classes(bench: QuietBench) -> None:
    shown = json.loads(bench.host.run("tc", "-j", "qdisc", "show", "dev", UPLINK))
    ours = next(each for each in shown if each.get("root"))
    assert int(ours["options"]["default"], 16) == 0


def test_rules(bench: QuietBench) -> None:
    picture = look(bench)
    names = [f"server {number}" for number in range(4)]
    links = json.loads(bench.host.run("ip", "-j", "link"))
    assert picture.macs == {tap_interface(number).mac: names[number] for number in range(4)}
    assert picture.marks == {f"of {name}": name for name in names}
    assert picture.host_macs == {
        each["address"] for each in links if each["link_type"] == "ether"}
    assert picture.chains == tuple(sorted([
        *(Chain("egress", uplink, GATE_RULES) for uplink in bench.uplinks),
        *(Chain("ingress", f"tap{number}", (f"meta mark set of server {number}",))
          for number in range(4)),
    ]))


def test_several_interfaces(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(3)
    first, _, third = bench.servers.values()
    bench.stop_server(1)
    bench.servers = {bench.uuids[0]: (*first, *third)}
    bench.prioritize(0, 5)
    picture = look(bench)
    assert picture.classes[UPLINK].keys() == {"whole", "strays", "server 0"}
    assert picture.macs == {each.mac: "server 0" for each in (*first, *third)}
    assert {each.device: each.rules for each in picture.chains if each.hook == "ingress"} == {
        "tap0": ("meta mark set of server 0",), "tap2": ("meta mark set of server 0",)}


def test_interface_without_tap_is_known_by_its_address(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    mac = "52:54:00:00:00:01"
    bench.host.ip(f"link add link {UPLINK} name macvtap0 address {mac} type macvtap mode bridge",
                  "link set macvtap0 up")
    bench.servers[bench.uuids[0]] = (Interface(mac=mac, parent=UPLINK),)
    bench.prioritize(0, 5)
    picture = look(bench)
    assert picture.macs == {mac: "server 0"}
    assert [each.hook for each in picture.chains] == ["egress"]
    assert (bench.reading(0).applied, bench.reading(0).effective) == (5, True)


def test_uplinks_of_different_frame_size(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2, "up0", "up1")
    bench.host.ip("link set up1 mtu 9000")
    bench.prioritize(0, 0)
    small, large = (look(bench).classes[uplink] for uplink in bench.uplinks)
    assert large["strays"].quantum >= 9014 * DEFAULT_WEIGHT
    for found in (small, large):
        assert found["server 0"].quantum * DEFAULT_WEIGHT == found["strays"].quantum * 99


@pytest.mark.parametrize("kind", ["veth", "tap", "multiqueue tap"])
def test_last_priority_taken_brings_the_original_back(make_quiet: MakeQuiet, kind: str) -> None:
    bench = make_quiet(2)
    if kind != "veth":
        several = "multi_queue" if "multi" in kind else ""
        bench.host.ip(f"link del {UPLINK}", f"tuntap add name {UPLINK} mode tap {several}",
                      f"link set {UPLINK} up")
    before = disciplines(bench.host)
    bench.prioritize(0, 3)
    bench.prioritize(1, 4)
    bench.prioritize(0, UNLIMITED)
    assert root(bench.host, UPLINK) == "htb 5ca1:"
    bench.prioritize(1, UNLIMITED)
    assert disciplines(bench.host) == before
    assert tables(bench.host) == []


@pytest.mark.parametrize("rate_mbit", [80, 400])
def test_uplink_whose_queues_would_hold_nothing(make_quiet: MakeQuiet, rate_mbit: int) -> None:
    """The kernel's queues take the device's length, 0: whatever waits would be dropped."""
    bench = make_quiet(1)
    bench.host.ip(
        f"link del {UPLINK}", f"tuntap add name {UPLINK} mode tap",
        f"link set {UPLINK} address 02:00:00:00:01:00 txqueuelen 0 up")
    bench.shaper = Outbound((UPLINK,), rate_mbit, DEFAULT_WEIGHT)
    with bench.host.inside(), open("/dev/net/tun", "rb", buffering=0) as tap:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH", UPLINK.encode(), _TAP_WITHOUT_HEADER))
        bench.prioritize(0, 5)
        bench.host.ip(f"link set {UPLINK} up")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((UPLINK, 0))
            for sender in ("02:00:00:00:01:00", tap_interface(0).mac):
                frame = bytes.fromhex(f"02000000eeee{sender.replace(':', '')}0800") + bytes(100)
                for _ in range(10):
                    wire.send(frame)
        sent = class_bytes(bench.host, UPLINK)["5ca1:10"]
    shown = bench.host.run("tc", "-s", "qdisc", "show", "dev", UPLINK)
    assert re.findall(r"dropped (\d+)", shown) == ["0"] * 3
    assert sent >= 1000
    assert "direct_qlen 1000" in shown
    assert (bench.reading(0).applied, bench.reading(0).effective) == (5, True)
    before = look(bench)
    bench.host.run("tc", "qdisc", "replace", "dev", UPLINK, "parent", "5ca1:10", "bfifo")
    assert not bench.reading(0).effective
    bench.tidy()
    assert look(bench) == before


def test_last_server_with_a_priority_that_stops_brings_the_original_back(
    make_quiet: MakeQuiet,
) -> None:
    bench = make_quiet(2)
    before = root(bench.host, UPLINK)
    bench.prioritize(0, 3)
    bench.stop_server(0)
    bench.tidy()
    assert root(bench.host, UPLINK) == before
    assert tables(bench.host) == []


def test_nothing_is_made_before_the_first_priority(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(2)
    before = disciplines(bench.host)
    bench.tidy()
    bench.prioritize(0, UNLIMITED)
    assert bench.reading(0).applied == UNLIMITED
    assert disciplines(bench.host) == before
    assert tables(bench.host) == []


@pytest.mark.parametrize("priority", [0, 1, 49, 97, 98])
def test_reading(make_quiet: MakeQuiet, priority: int) -> None:
    """Another agent that knows nothing reads the same from the kernel."""
    bench = make_quiet(2)
    bench.prioritize(0, priority)
    for _ in range(2):
        reading = bench.reading(0)
        assert (reading.applied, reading.effective, reading.reason) == (priority, True, None)
        assert bench.reading(1).applied == UNLIMITED
        bench.restart_agent()
    bench.prioritize(0, 98 - priority)
    assert bench.reading(0).applied == 98 - priority


@pytest.mark.parametrize("priority", [-2, 99, 1000])
def test_no_such_priority(make_quiet: MakeQuiet, priority: int) -> None:
    bench = make_quiet(1)
    with pytest.raises(errors.HostRefused, match="0 to 98"):
        bench.prioritize(0, priority)
    assert tables(bench.host) == []


@pytest.mark.parametrize(
    "interface",
    [
        Interface(mac="fa:16:3e:00:00:00", obstacle="SR-IOV hands the guest a card of its own"),
        Interface(mac="fa:16:3e:00:00:00", tap="tap0", parent="elsewhere0"),
    ],
    ids=["obstacle", "other parent"],
)
def test_interface_that_cannot_be_shaped(make_quiet: MakeQuiet, interface: Interface) -> None:
    bench = make_quiet(2)
    usual = bench.servers[bench.uuids[0]]
    before = everything(bench.host)
    bench.servers[bench.uuids[0]] = (*usual, replace(interface, mac="fa:16:3e:00:0f:0f"))
    why = interface.obstacle or "elsewhere0"
    with pytest.raises(errors.HostCannot, match=why) as refused:
        bench.prioritize(0, 5)
    assert "fa:16:3e:00:0f:0f" in refused.value.message
    with pytest.raises(errors.HostCannot, match=why):
        bench.reading(0)
    assert everything(bench.host) == before
    # it is no hindrance to others
    bench.prioritize(1, 5)
    assert "fa:16:3e:00:0f:0f" not in look(bench).macs or not interface.obstacle
    assert bench.reading(1).effective


def test_server_without_interface(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.servers[bench.uuids[0]] = ()
    with pytest.raises(errors.HostCannot, match="no network interface"):
        bench.prioritize(0, 5)


def test_server_that_does_not_run(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.stop_server(0)
    with pytest.raises(errors.ServerNotRunning):
        bench.prioritize(0, 5)
    assert tables(bench.host) == []


def test_uplink_of_the_default_route(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1, "up0", "up1")
    bench.uplinks = ()
    bench.restart_agent()
    with pytest.raises(errors.HostRefused, match="default route"):
        bench.prioritize(0, 5)
    bench.host.ip("address add 10.1.1.1/24 dev up1", "route add default via 10.1.1.2")
    bench.prioritize(0, 5)
    assert root(bench.host, "up1") == "htb 5ca1:"
    assert root(bench.host, "up0") == "noqueue 0:"


def test_addresses_of_the_host_that_come_and_go(make_quiet: MakeQuiet) -> None:
    bench = make_quiet(1)
    bench.prioritize(0, 5)
    bench.host.ip("link add late type veth peer name late-far")
    bench.tidy()
    links = json.loads(bench.host.run("ip", "-j", "link", "show", "late"))
    assert links[0]["address"] in look(bench).host_macs
    bench.host.ip("link del late")
    bench.tidy()
    assert links[0]["address"] not in look(bench).host_macs
