# SPDX-License-Identifier: Apache-2.0
"""The evaluation's network experiment: three servers send at once, one stops, and comes back."""

from collections.abc import Sequence

from tools.bed import tables
from tools.bed.observer import Observer
from tools.bed.stack import sharing, traffic
from tools.bed.stack.command import Command
from tools.bed.stack.config import HTB_RATE_MBIT
from tools.bed.stack.host import uplink
from tools.bed.stack.layout import Layout
from tools.bed.stack.servers import Server
from tools.bed.stack.sharing import Sender
from tools.bed.together import together
from tools.bed.uplink import MOST_WEIGHT
from tools.demo import scenario
from tools.demo.errors import DemoFailed

_SET, _GET = "tc-set-net-priority", "tc-get-net-priority"
_REMOVED = -1


def perform(
    layout: Layout, nova: Command, observer: Observer, three: Sequence[Server], first: int
) -> int:
    """All steps, numbered from ``first``; how many they were.

    :raises DemoFailed, TestbedError: someone got more or less than its weight says
    """
    original = uplink.root()
    weights = [MOST_WEIGHT - priority for priority in scenario.NET_PRIORITIES]
    _title(first, f"weights {', '.join(map(str, weights))} of {HTB_RATE_MBIT} Mbit/s")
    classes = _give(nova, observer, three)
    with traffic.streams(layout, three) as streams:
        senders = [Sender(stream.server.name, weight, name, stream)
                   for stream, weight, name in zip(streams, weights, classes, strict=True)]
        together(traffic.Stream.start, streams)
        print(f"  all three send through {uplink.device}, Mbit/s:", flush=True)
        sharing.measure(senders)
        one, *others = senders
        _title(first + 1, f"{one.name} stops: the others take what it leaves")
        sharing.follow(others, change=one.stream.stop, undo=one.stream.start)
        _title(first + 2, f"{one.name} comes back")
        sharing.follow(senders, change=one.stream.start, undo=one.stream.stop)
    _title(first + 3, "no priorities any more")
    _remove(nova, three)
    table = "a table" if uplink.has_table() else "no table"
    print(f"  root qdisc of {uplink.device}: {uplink.root()}; nft: {table} of ours", flush=True)
    if uplink.root() != original or uplink.has_table():
        raise DemoFailed(f"the uplink had {original} before, and no table of ours")
    return 4


def _title(number: int, what: str) -> None:
    print(f"\n{number}. network priority: {what}", flush=True)


def _give(nova: Command, observer: Observer, three: Sequence[Server]) -> list[str]:
    """Set the priorities, see that they are there, and return the class of each server."""
    print(f"  root qdisc of {uplink.device}: {uplink.root()}")
    for server, priority in zip(three, scenario.NET_PRIORITIES, strict=True):
        nova.show(_SET, server.name, str(priority))
    print(f"  root qdisc of {uplink.device}: {uplink.root()}")
    shown = together(lambda server: nova.number("prio", _GET, server.name), three)
    names = [_class(observer.interface(server.uuid)[1]) for server in three]
    classes = uplink.classes()
    tables.show(
        ("server", "asked", f"nova {_GET}", "nft: class of its MAC", "tc: rate (at least)",
         "ceil (at most)"),
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
