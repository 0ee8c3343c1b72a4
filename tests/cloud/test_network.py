# SPDX-License-Identifier: Apache-2.0
"""Network priorities on the host's uplink, looked at with tc and nft."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.cloud.test_commands import nova
from tools.bed.stack import servers, sharing, tenants, traffic
from tools.bed.stack.host import uplink
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import UPLINK
from tools.bed.stack.servers import Server
from tools.bed.stack.sharing import Sender
from tools.bed.together import together
from tools.bed.uplink import MOST_WEIGHT

SET, GET = "set-net-priority", "get-net-priority"
DONE = (200, {"success": True})
#: The agent follows what happens on its host every 10 s.
FOLLOWS_S = 25
#: The class of what no known server has sent; bytes that a guest sends.
STRAYS, SENT = "5ca1:fffe", 100_000


@pytest.fixture(autouse=True)
def _nothing_is_there(admin: Person, vm1: str, vm2: str) -> Iterator[None]:
    """Neither before nor after a test, whoever has left something."""
    _remove_all(admin)
    yield
    _remove_all(admin)
    assert (uplink.root(), uplink.has_table()) == ("noqueue 0:", False)


def _remove_all(admin: Person) -> None:
    for server in admin.request("GET", "/servers").json()["servers"]:
        status, answer = admin.act(server["id"], "set-qos", {"net_priority": None})
        assert status in (200, 202), answer


def class_of(host: Observer, server: str) -> str:
    """The class that the server's packets are given, by address and by mark."""
    tap, mac = host.interface(server)
    name = uplink.class_of(mac)
    assert name is not None
    assert uplink.mark_of(tap) == name
    assert name in uplink.classes()
    return name


def sent(host: Observer, server: str) -> int:
    """The bytes that the server's class has sent."""
    return uplink.classes()[class_of(host, server)].sent


def tc(*words: str) -> None:
    subprocess.run(["tc", *words], check=True, capture_output=True)


@pytest.mark.parametrize("value", [3, "3"])
@pytest.mark.resources("net_priority")
def test_set_get_and_unset(admin: Person, host: Observer, vm1: str, value: object) -> None:
    assert admin.act(vm1, GET) == (200, {"prio": -1})
    assert admin.act(vm1, SET, {"prio": value}) == DONE
    assert admin.act(vm1, GET) == (200, {"prio": 3})
    qos = admin.act(vm1, "get-qos")[1]["net_priority"]
    assert (qos["requested"], qos["applied"], qos["state"], qos["effective"]) == (
        3, 3, "applied", True)
    assert uplink.root() == "htb 5ca1:"
    before = sent(host, vm1)
    host.guest_available_kib(vm1)
    assert sent(host, vm1) > before
    assert admin.act(vm1, SET, {"prio": -1}) == DONE
    assert admin.act(vm1, GET) == (200, {"prio": -1})
    assert (uplink.root(), uplink.has_table()) == ("noqueue 0:", False)


@pytest.mark.parametrize("value", [99, -2, 1.5])
def test_what_is_no_priority(admin: Person, vm1: str, value: object) -> None:
    assert admin.act(vm1, SET, {"prio": 7}) == DONE
    status, fault = admin.act(vm1, SET, {"prio": value})
    assert status == 400
    message = fault["badRequest"]["message"]
    assert "prio" in message
    assert str(value) in message
    assert re.search(r"\b0 .*to 98\b", message)
    assert admin.act(vm1, GET) == (200, {"prio": 7})


def test_commands(admin: Person, host: Observer, vm1: str, vm2: str) -> None:
    status, printed = nova(admin, "tc-set-net-priority", "vm1", "vm2", "10")
    assert (status, [line.partition(",")[0] for line in printed.splitlines()[:2]]) == (
        0, ["vm1: net_priority 10 prio", "vm2: net_priority 10 prio"])
    assert nova(admin, "tc-set-net-priority", "vm2", "98")[0] == 0
    assert class_of(host, vm1) != class_of(host, vm2)
    status, printed = nova(admin, "tc-get-net-priority", "vm1")
    assert (status, re.search(r"\| prio +\| 10 ", printed) is not None) == (0, True)
    status, printed = nova(admin, "tc-get-net-priorities", "vm1,vm2")
    rows = [line.split() for line in printed.splitlines()]
    shown = {row[1]: row[3] for row in rows if len(row) > 3}
    assert (status, shown["vm1"], shown["vm2"]) == (0, "10", "98")
    assert nova(admin, "tc-set-net-priority", "vm1", "vm2", "-1")[0] == 0
    assert uplink.root() == "noqueue 0:"


def test_others_are_left_in_peace(
    admin: Person, host: Observer, vm1: str, vm2: str
) -> None:
    assert admin.act(vm2, SET, {"prio": 20}) == DONE
    without_a_priority = class_of(host, vm1)
    host.guest_available_kib(vm2)
    before, name = sent(host, vm2), class_of(host, vm2)
    for priority in (5, 70, -1):
        assert admin.act(vm1, SET, {"prio": priority}) == DONE
    # a class that was made anew would have begun to count anew
    assert sent(host, vm2) >= before > 0
    assert class_of(host, vm2) == name
    assert class_of(host, vm1) == without_a_priority
    assert admin.act(vm2, GET) == (200, {"prio": 20})


def test_uplink_that_belongs_to_others(admin: Person, vm1: str) -> None:
    tc("qdisc", "add", "dev", UPLINK, "root", "handle", "1:", "htb")
    try:
        status, fault = admin.act(vm1, SET, {"prio": 3})
        assert status == 501
        assert "the htb queueing discipline 1:" in fault["notImplemented"]["message"]
        assert admin.act(vm1, GET)[0] == 501
        qos = admin.act(vm1, "get-qos")[1]["net_priority"]
        assert (qos["requested"], qos["state"]) == (None, "unsupported")
        assert (uplink.root(), uplink.has_table()) == ("htb 1:", False)
    finally:
        tc("qdisc", "del", "dev", UPLINK, "root")
    assert admin.act(vm1, SET, {"prio": 3}) == DONE


def test_uplink_that_others_take(admin: Person, vm1: str) -> None:
    assert admin.act(vm1, SET, {"prio": 3}) == DONE
    tc("qdisc", "replace", "dev", UPLINK, "root", "handle", "1:", "htb")
    try:
        wait_for(lambda: not uplink.has_table(), FOLLOWS_S, "nothing of ours is left")
        assert uplink.root() == "htb 1:"
    finally:
        tc("qdisc", "del", "dev", UPLINK, "root")
    assert admin.act(vm1, SET, {"prio": 3}) == DONE


def test_tree_that_someone_deletes(admin: Person, host: Observer, vm1: str, vm2: str) -> None:
    for server in (vm1, vm2):
        assert admin.act(server, SET, {"prio": 3}) == DONE
    tc("qdisc", "del", "dev", UPLINK, "root")
    assert admin.act(vm1, SET, {"prio": 4}) == DONE
    assert uplink.root() == "htb 5ca1:"
    assert class_of(host, vm1) != class_of(host, vm2)
    assert [admin.act(server, GET)[1] for server in (vm1, vm2)] == [{"prio": 4}, {"prio": 3}]


def test_server_that_stops(admin: Person, host: Observer, vm1: str, vm2: str) -> None:
    for server in (vm1, vm2):
        assert admin.act(server, SET, {"prio": 3}) == DONE
    mac, name = host.interface(vm2)[1], class_of(host, vm2)
    admin.act(vm2, "os-stop")
    admin.wait_for_status(vm2, "SHUTOFF")
    try:
        wait_for(lambda: uplink.class_of(mac) is None, FOLLOWS_S, "its address is forgotten")
        assert name not in uplink.classes()
        assert admin.act(vm1, GET) == (200, {"prio": 3})
    finally:
        admin.act(vm2, "os-start")
        admin.wait_for_status(vm2, "ACTIVE")


@pytest.mark.resources("net_priority")
def test_hard_reboot(admin: Person, host: Observer, vm1: str, vm2: str) -> None:
    for server in (vm1, vm2):
        assert admin.act(server, SET, {"prio": 3}) == DONE
    status, answer = admin.act(vm2, "reboot", {"type": "HARD"})
    assert status == 202, answer
    admin.wait_for_status(vm2, "ACTIVE")

    def found_again() -> bool:
        tap, mac = host.interface(vm2)
        name = uplink.class_of(mac)
        return name is not None and uplink.mark_of(tap) == name and name in uplink.classes()

    _, mac = host.interface(vm2)

    def passed() -> int:
        """Bytes; the class may be made anew as long as the agent hears of the reboot."""
        found = uplink.classes().get(uplink.class_of(mac) or "")
        return found.sent if found else 0

    wait_for(found_again, FOLLOWS_S, "packets from its new device are marked")
    before = passed()
    wait_for(lambda: passed() not in (0, before), 60, "the guest's packets pass its class")


@pytest.fixture
def routed(admin: Person) -> Iterator[tuple[Server, str]]:
    """A server behind the router, and its floating IP."""
    cloud = tenants.connect()
    uuid = servers.made(cloud, "routed", "m256", tenants.BEHIND)
    try:
        server = servers.awaited(cloud, "routed", uuid)
        with servers.floating_ip(cloud, uuid) as address:
            yield server, address
    finally:
        admin.delete(uuid)


def test_a_floating_ip(admin: Person, host: Observer, routed: tuple[Server, str]) -> None:
    server, address = routed
    assert admin.act(server.uuid, SET, {"prio": 3}) == DONE
    wait_for(lambda: uplink.class_of_address(address) == class_of(host, server.uuid), FOLLOWS_S,
             "the agent has heard of the floating IP")
    before, strays = sent(host, server.uuid), uplink.classes()[STRAYS].sent
    servers.inside(address, f"head -c {SENT} /dev/zero | tr '\\0' x; echo")
    assert sent(host, server.uuid) - before >= SENT
    assert uplink.classes()[STRAYS].sent - strays < SENT


@pytest.mark.resources("net_priority")
def test_three_guests_share_by_weight(admin: Person, host: Observer) -> None:
    three, weights = servers.running(), (39, 26, 15)
    for server, weight in zip(three, weights, strict=True):
        assert admin.act(server.uuid, SET, {"prio": MOST_WEIGHT - weight}) == DONE
    with traffic.streams(Layout.of_environment(), three) as streams:
        senders = [Sender(each.server.name, weight, class_of(host, each.server.uuid), each)
                   for each, weight in zip(streams, weights, strict=True)]
        together(traffic.Stream.start, streams)
        sharing.measure(senders)
        one, *others = senders
        sharing.follow(others, change=one.stream.stop, undo=one.stream.start)
        sharing.follow(senders, change=one.stream.start, undo=one.stream.stop)
