# SPDX-License-Identifier: Apache-2.0
"""The evaluation's network experiment: three servers send at once, one stops, and comes back."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from stack.config import HTB_RATE_MBIT
from stack.layout import Layout
from stack.network import UPLINK

from demo import scenario, tables, traffic, uplink
from demo.command import Nova
from demo.errors import DemoFailed
from demo.observer import Observer
from demo.servers import Server
from demo.traffic import Stream

_SET, _GET = "tc-set-net-priority", "tc-get-net-priority"
_REMOVED = -1
_TOLERANCE = 0.05
_SETTLE_S, _MEASURE_S = 1.5, 5.0
# after a change everybody has a second to get what is due
_FOLLOW_S, _CHANGE_S = 3.0, 1.0

Weights = Mapping[Server, int]


def perform(
    layout: Layout, nova: Nova, observer: Observer, three: Sequence[Server], first: int
) -> int:
    """All steps, numbered from ``first``; how many they were.

    :raises DemoFailed: someone got more or less than its weight says
    """
    weights = {server: 99 - priority
               for server, priority in zip(three, scenario.NET_PRIORITIES, strict=True)}
    if uplink.has_table():  # an earlier run came to a bad end
        nova.show(_SET, *(server.name for server in three), str(_REMOVED))
    original = uplink.root()
    _title(first, f"weights {', '.join(map(str, weights.values()))} of {HTB_RATE_MBIT} Mbit/s")
    _give(nova, observer, weights)
    with traffic.streams(layout, observer, three) as streams:
        classes = [uplink.class_of(observer.mac_address(server)) for server in three]
        with ThreadPoolExecutor(len(streams)) as pool:
            list(pool.map(Stream.start, streams))
        time.sleep(_SETTLE_S)
        print(f"  all three send through {UPLINK} for {_MEASURE_S:.0f} s, Mbit/s:")
        _measure(streams, weights, classes)
        one, *others = streams
        _title(first + 1, f"{one.server.name} stops: the others take what it leaves")
        _follow(one.stop, others, weights)
        _title(first + 2, f"{one.server.name} comes back")
        _follow(one.start, streams, weights)
    _title(first + 3, "no priorities any more")
    _take_back(nova, three, original)
    return 4


def _title(number: int, what: str) -> None:
    print(f"\n{number}. network priority: {what}", flush=True)


def _give(nova: Nova, observer: Observer, weights: Weights) -> None:
    print(f"  root qdisc of {UPLINK}: {uplink.root()}")
    for server, weight in weights.items():
        nova.show(_SET, server.name, str(99 - weight))
    print(f"  root qdisc of {UPLINK}: {uplink.root()}")
    with ThreadPoolExecutor(len(weights)) as pool:
        got = list(pool.map(lambda server: nova.number("prio", _GET, server.name), weights))
    shown = uplink.classes()
    rows = []
    for (server, weight), priority in zip(weights.items(), got, strict=True):
        name = uplink.class_of(observer.mac_address(server))
        rows.append((server.name, 99 - weight, priority, weight, name, shown[name].rate,
                     shown[name].ceil))
    tables.show(("server", "asked", f"nova {_GET}", "weight", "nft: class of its MAC",
                 "tc: rate", "ceil"), rows)
    _require([f"{row[0]}: priority {row[1]} asked for, nova shows {row[2]}"
              for row in rows if row[1] != row[2]])


def _measure(streams: Sequence[Stream], weights: Weights, classes: Sequence[str]) -> None:
    """Compare what everybody gets with its weight, on the uplink and outside."""
    seen = [len(stream.received_mbit()) for stream in streams]
    before, began = uplink.classes(), time.monotonic()
    time.sleep(_MEASURE_S)
    after, seconds = uplink.classes(), time.monotonic() - began
    due = _due(streams, weights)
    rows, wrong = [], []
    for stream, name, count in zip(streams, classes, seen, strict=True):
        sent = (after[name].sent - before[name].sent) * 8 / 1e6 / seconds
        arrived = stream.received_mbit()[count + 1:]  # the first had begun before
        wanted, received = due[stream.server], sum(arrived) / len(arrived)
        wanted_data = wanted * traffic.DATA_SHARE
        rows.append((stream.server.name, weights[stream.server], _mbit(wanted), _mbit(sent),
                     _mbit(wanted_data), _mbit(received), f"{received / wanted_data - 1:+.1%}"))
        wrong += [*_off(stream, "tc counted", sent, wanted),
                  *_off(stream, "iperf3 received", received, wanted_data)]
    tables.show(("server", "weight", "its share", "tc: sent", "as data", "iperf3: received",
                 "off by"), rows)
    _require(wrong)


def _follow(change: Callable[[], None], streams: Sequence[Stream], weights: Weights) -> None:
    """See everybody get the share of its weight within a second of a change."""
    seen = [len(stream.received_mbit()) for stream in streams]
    change()
    time.sleep(_FOLLOW_S)
    due = _due(streams, weights)
    rows, wrong = [], []
    for stream, count in zip(streams, seen, strict=True):
        wanted = due[stream.server] * traffic.DATA_SHARE
        arrived = stream.received_mbit()[count:]
        rows.append((stream.server.name, weights[stream.server], _mbit(due[stream.server]),
                     _mbit(wanted), "  ".join(f"{mbit:4.1f}" for mbit in arrived)))
        settled = arrived[-int((_FOLLOW_S - _CHANGE_S) / traffic.INTERVAL_S):]
        wrong += _off(stream, "iperf3 received", sum(settled) / len(settled), wanted)
    tables.show(("server", "weight", "its share", "as data",
                 f"iperf3: received, every {traffic.INTERVAL_S} s"), rows)
    _require(wrong)


def _take_back(nova: Nova, three: Sequence[Server], original: str) -> None:
    nova.show(_SET, *(server.name for server in three), str(_REMOVED))
    table = "a table" if uplink.has_table() else "no table"
    print(f"  root qdisc of {UPLINK}: {uplink.root()}; nft: {table} of ours", flush=True)
    if uplink.root() != original or uplink.has_table():
        raise DemoFailed(f"the uplink had {original} before, and no table of ours")


def _due(streams: Sequence[Stream], weights: Weights) -> dict[Server, float]:
    """What each of those that send now may send, in Mbit/s on the wire."""
    whole = sum(weights[stream.server] for stream in streams)
    return {stream.server: HTB_RATE_MBIT * weights[stream.server] / whole for stream in streams}


def _off(stream: Stream, who: str, seen: float, wanted: float) -> list[str]:
    if abs(seen / wanted - 1) <= _TOLERANCE:
        return []
    return [f"{stream.server.name}: {wanted:.1f} Mbit/s wanted, {who} {seen:.1f}"]


def _mbit(value: float) -> str:
    return f"{value:.1f}"


def _require(wrong: Sequence[str]) -> None:
    if wrong:
        raise DemoFailed("; ".join(wrong))
