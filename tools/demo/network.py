# SPDX-License-Identifier: Apache-2.0
"""The evaluation's network experiment: three servers send at once, one stops, and comes back."""

from collections.abc import Sequence

from tools.bed.stack.config import HTB_RATE_MBIT
from tools.bed.stack.layout import Layout
from tools.bed.stack.network import UPLINK
from tools.bed.together import together
from tools.demo import scenario, sharing, tables, traffic, uplink
from tools.demo.command import Command
from tools.demo.errors import DemoFailed
from tools.demo.observer import Observer
from tools.demo.servers import Server
from tools.demo.sharing import Sender

_SET, _GET = "tc-set-net-priority", "tc-get-net-priority"
_REMOVED = -1
_WEIGHTLESS = 99


def perform(
    layout: Layout, nova: Command, observer: Observer, three: Sequence[Server], first: int
) -> int:
    """All steps, numbered from ``first``; how many they were.

    :raises DemoFailed: someone got more or less than its weight says
    """
    if uplink.has_table():  # an earlier run came to a bad end
        _remove(nova, three)
    original = uplink.root()
    weights = [_WEIGHTLESS - priority for priority in scenario.NET_PRIORITIES]
    _title(first, f"weights {', '.join(map(str, weights))} of {HTB_RATE_MBIT} Mbit/s")
    classes = _give(nova, observer, three)
    with traffic.streams(layout, observer, three) as streams:
        senders = [Sender(stream.server.name, weight, name, stream)
                   for stream, weight, name in zip(streams, weights, classes, strict=True)]
        together(traffic.Stream.start, streams)
        print(f"  all three send through {UPLINK}, Mbit/s:", flush=True)
        sharing.measure(senders)
        one, *others = senders
        _title(first + 1, f"{one.name} stops: the others take what it leaves")
        sharing.follow(others, change=one.stream.stop, undo=one.stream.start)
        _title(first + 2, f"{one.name} comes back")
        sharing.follow(senders, change=one.stream.start, undo=one.stream.stop)
    _title(first + 3, "no priorities any more")
    _remove(nova, three)
    table = "a table" if uplink.has_table() else "no table"
    print(f"  root qdisc of {UPLINK}: {uplink.root()}; nft: {table} of ours", flush=True)
    if uplink.root() != original or uplink.has_table():
        raise DemoFailed(f"the uplink had {original} before, and no table of ours")
    return 4


def _title(number: int, what: str) -> None:
    print(f"\n{number}. network priority: {what}", flush=True)


def _give(nova: Command, observer: Observer, three: Sequence[Server]) -> list[str]:
    """Set the priorities, see that they are there, and return the class of each server."""
    print(f"  root qdisc of {UPLINK}: {uplink.root()}")
    for server, priority in zip(three, scenario.NET_PRIORITIES, strict=True):
        nova.show(_SET, server.name, str(priority))
    print(f"  root qdisc of {UPLINK}: {uplink.root()}")
    shown = together(lambda server: nova.number("prio", _GET, server.name), three)
    names = [_class(observer.mac_address(server)) for server in three]
    classes = uplink.classes()
    tables.show(
        ("server", "asked", f"nova {_GET}", "nft: class of its MAC", "tc: rate", "ceil"),
        [(server.name, asked, priority, name, classes[name].rate, classes[name].ceil)
         for server, asked, priority, name
         in zip(three, scenario.NET_PRIORITIES, shown, names, strict=True)])
    if tuple(shown) != scenario.NET_PRIORITIES:
        raise DemoFailed(f"{scenario.NET_PRIORITIES} asked for, nova shows {shown}")
    return names


def _class(mac: str) -> str:
    name = uplink.class_of(mac)
    if name is None:
        raise DemoFailed(f"nft shows no class for {mac}")
    return name


def _remove(nova: Command, three: Sequence[Server]) -> None:
    nova.show(_SET, *(server.name for server in three), str(_REMOVED))
