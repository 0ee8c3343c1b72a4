# SPDX-License-Identifier: Apache-2.0
"""What those that send at once get of the uplink, compared with their weights."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.bed import tables
from tools.bed.errors import TestbedError
from tools.bed.stack.config import HTB_RATE_MBIT
from tools.bed.stack.host import uplink
from tools.bed.stack.traffic import DATA_SHARE, INTERVAL_S, Stream

_TOLERANCE = 0.05
_SETTLE_S, _MEASURE_S = 1.5, 5.0
# after a change everybody has a second to get what is due
_CHANGE_S, _FOLLOW_S = 1.0, 2.0
_ATTEMPTS, _PAUSE_S = 6, 5


@dataclass(frozen=True)
class Sender:
    """A server that sends: its weight, the class of its packets, what arrives from it."""

    name: str
    weight: int
    packets_class: str
    stream: Stream


@dataclass(frozen=True)
class _Seen:
    """What was printed, who got something else than is due, who did not offer enough."""

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    wrong: Sequence[str]
    idle: set[str]


def measure(senders: Sequence[Sender]) -> None:
    """See that each gets what its weight says, on the uplink and outside.

    :raises TestbedError: someone got more or less
    """
    time.sleep(_SETTLE_S)
    _require(senders, lambda: _measured(senders))


def follow(
    senders: Sequence[Sender], change: Callable[[], None], undo: Callable[[], None]
) -> None:
    """See that within a second of a change each gets what its weight says now.

    :raises TestbedError: someone got more or less
    """
    def again() -> _Seen:
        nonlocal changed
        if changed:
            undo()
            time.sleep(_SETTLE_S)
        changed = True
        return _followed(senders, change)

    changed = False
    _require(senders, again)


def _require(senders: Sequence[Sender], look: Callable[[], _Seen]) -> None:
    for attempt in range(_ATTEMPTS):
        if attempt:
            print(f"  once more in {_PAUSE_S} s", flush=True)
            time.sleep(_PAUSE_S)
        seen = look()
        tables.show(seen.heads, seen.rows)
        if not seen.wrong:
            return
        idle = [sender.name for sender in senders if sender.packets_class in seen.idle]
        if not idle:
            break
        # who offers less than is due leaves the rest to the others, as it should be
        print(f"  tc: at times no packet of {', '.join(idle)} was waiting: "
              "this machine is too busy for its guests", flush=True)
    else:
        raise TestbedError(
            f"{'; '.join(seen.wrong)}. This machine was too busy: run it again when nothing else "
            "runs here")
    raise TestbedError("; ".join(seen.wrong))


def _measured(senders: Sequence[Sender]) -> _Seen:
    arrived = [len(sender.stream.received_mbit()) for sender in senders]
    before, began = uplink.classes(), time.monotonic()
    idle = uplink.idle_classes(_MEASURE_S)
    after, seconds = uplink.classes(), time.monotonic() - began
    rows, wrong = [], []
    for sender, count, due in zip(senders, arrived, _due(senders), strict=True):
        name = sender.packets_class
        sent = (after[name].sent - before[name].sent) * 8 / 1e6 / seconds
        # the first of them had begun before
        received = _mean(sender.stream.received_mbit()[count + 1:])
        data = due * DATA_SHARE
        rows.append((sender.name, sender.weight, _mbit(due), _mbit(sent), _mbit(data),
                     _mbit(received), f"{received / data - 1:+.1%}"))
        wrong += [*_off(sender, "tc counted", sent, due),
                  *_off(sender, "iperf3 received", received, data)]
    heads = ("server", "weight", "its share", "tc: sent", "share as data", "iperf3: received",
             "off by")
    return _Seen(heads, rows, wrong, idle)


def _followed(senders: Sequence[Sender], change: Callable[[], None]) -> _Seen:
    arrived = [len(sender.stream.received_mbit()) for sender in senders]
    change()
    time.sleep(_CHANGE_S)
    idle = uplink.idle_classes(_FOLLOW_S)
    rows, wrong = [], []
    for sender, count, due in zip(senders, arrived, _due(senders), strict=True):
        intervals = sender.stream.received_mbit()[count:]
        data = due * DATA_SHARE
        rows.append((sender.name, sender.weight, _mbit(due), _mbit(data),
                     "  ".join(f"{mbit:4.1f}" for mbit in intervals)))
        settled = intervals[-int(_FOLLOW_S / INTERVAL_S):]
        wrong += _off(sender, "iperf3 received", _mean(settled), data)
    heads = ("server", "weight", "its share", "share as data",
             f"iperf3: received, every {INTERVAL_S} s")
    return _Seen(heads, rows, wrong, idle)


def _due(senders: Sequence[Sender]) -> list[float]:
    """What each may send while these do, in Mbit/s on the wire."""
    whole = sum(sender.weight for sender in senders)
    return [HTB_RATE_MBIT * sender.weight / whole for sender in senders]


def _off(sender: Sender, who: str, seen: float, due: float) -> list[str]:
    if abs(seen / due - 1) <= _TOLERANCE:
        return []
    return [f"{sender.name}: {due:.1f} Mbit/s are due, {who} {seen:.1f}"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _mbit(value: float) -> str:
    return f"{value:.1f}"
