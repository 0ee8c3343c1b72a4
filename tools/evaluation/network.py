# SPDX-License-Identifier: Apache-2.0
"""Three servers on one uplink: with guaranteed rates alone, and with nova-qos, which lends."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack import traffic
from tools.bed.stack.host import uplink
from tools.bed.stack.traffic import Stream
from tools.bed.together import together
from tools.bed.uplink import MOST_WEIGHT, Uplink
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, Site
from tools.evaluation.sizes import UPLINK_MBIT

#: The thesis' rates, which are also the weights.
WEIGHTS = (39, 26, 15)
_PRIORITIES = tuple(MOST_WEIGHT - weight for weight in WEIGHTS)
_COMMAND, _REMOVED = "tc-set-net-priority", -1
_SWAPPED = {"VM2": 84, "VM3": 73}
_EVERY_S = 0.2
_HOLD_S, _SETTLE_S = 12, 2
_HANDLE = "1:"


def perform(site: Site, out: Path) -> None:
    """Figures 5.10 and 5.11."""
    if uplink.has_table():  # an earlier run came to a bad end
        _remove(site)
    with _fixed_rates(site) as classes:
        _send(site, Recording(out / "network-fixed"), classes, lends=False)
    site.give(_COMMAND, _PRIORITIES)
    try:
        _send(site, Recording(out / "network-shared"), class_names(site), lends=True)
    finally:
        _remove(site)


def class_names(site: Site) -> list[str]:
    """The servers' classes on the uplink, in their order.

    :raises TestbedError: one has none
    """
    macs = [site.observer.interface(server.uuid)[1] for server in site.servers]
    names = [name for name in map(uplink.class_of, macs) if name]
    if len(names) != len(macs):
        raise TestbedError(f"nft shows no class for one of {macs}")
    return names


def _remove(site: Site) -> None:
    site.nova.ask(_COMMAND, *(server.name for server in site.servers), str(_REMOVED))


def _send(site: Site, recording: Recording, classes: Sequence[str], lends: bool) -> None:
    """All send; VM1 stops, VM2 stops, both come back; and two of them change places."""
    with traffic.streams(site.layout, site.servers) as streams, \
            recording.sampling("uplink", sent(classes), _EVERY_S), \
            recording.sampling("outside", received(streams, recording), _EVERY_S):
        one, two, _ = streams
        together(Stream.start, streams)
        recording.hold("start", _SETTLE_S, {})
        recording.hold("all send", _HOLD_S, _due((39, 26, 15), lends))
        one.stop()
        recording.hold("VM1 has stopped", _HOLD_S, _due((0, 26, 15), lends))
        two.stop()
        recording.hold("VM2 has stopped", _HOLD_S, _due((0, 0, 15), lends))
        one.start()
        two.start()
        recording.hold("both are back", _HOLD_S, _due((39, 26, 15), lends))
        if lends:
            swapped = site.change(recording, _COMMAND, _SWAPPED)
            recording.hold("VM2 and VM3 swapped", _HOLD_S, _due((39, 15, 26), lends), swapped)
    recording.save()


def _due(weights: Sequence[int], lends: bool) -> dict[str, float]:
    """In Mbit/s on the wire; those that send nothing are due nothing."""
    scale = UPLINK_MBIT / sum(weights) if lends else 1.0
    return {label: weight * scale
            for label, weight in zip(LABELS, weights, strict=True) if weight}


def sent(
    classes: Sequence[str], device: Uplink = uplink, quantity: str = "sent_mbit"
) -> Look:
    """What each class of a device has sent, and whether packets wait in it, as tc shows it."""
    def look() -> Mapping[str, float]:
        now = device.classes()
        seen: dict[str, float] = {}
        for label, name in zip(LABELS, classes, strict=True):
            seen[f"{label}.{quantity}"] = now[name].sent * 8 / 1e6
            seen[f"{label}.waits"] = float(now[name].waits)
        return seen

    return look


def received(streams: Sequence[Stream], recording: Recording) -> Look:
    """The newest interval that each receiver has told of; 0 when it tells nothing."""
    told = dict.fromkeys(LABELS, (0, -traffic.INTERVAL_S * 2))

    def look() -> Mapping[str, float]:
        seen = {}
        for label, stream in zip(LABELS, streams, strict=True):
            intervals = stream.received_mbit()
            count, since = told[label]
            if len(intervals) != count:
                since = recording.now_s()
                told[label] = (len(intervals), since)
            silent = recording.now_s() - since > traffic.INTERVAL_S * 1.6
            seen[f"{label}.received_mbit_s"] = 0.0 if silent or not intervals else intervals[-1]
        return seen

    return look


@contextlib.contextmanager
def _fixed_rates(site: Site) -> Iterator[list[str]]:
    """What the thesis shows first, made by tc alone: each class' ceil is its rate."""
    names = [f"{_HANDLE}{10 * number}" for number in range(1, 4)]
    _tc("qdisc", "replace", "dev", uplink.device, "root", "handle", _HANDLE, "htb")
    try:
        for server, name, rate in zip(site.servers, names, WEIGHTS, strict=True):
            _tc("class", "add", "dev", uplink.device, "parent", _HANDLE, "classid", name, "htb",
                "rate", f"{rate}mbit", "ceil", f"{rate}mbit", "burst", "20k", "cburst", "20k")
            _tc("filter", "add", "dev", uplink.device, "parent", _HANDLE, "protocol", "ip", "u32",
                "match", "ip", "src", f"{server.address}/32", "flowid", name)
        yield names
    finally:
        _tc("qdisc", "delete", "dev", uplink.device, "root")


def _tc(*words: str) -> None:
    answer = subprocess.run(["tc", *words], capture_output=True, text=True)
    if answer.returncode:
        raise TestbedError(f"tc {' '.join(words)}: {answer.stderr.strip()}")
