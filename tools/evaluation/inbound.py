# SPDX-License-Identifier: Apache-2.0
"""What three servers receive from outside at once, divided and limited."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.bed.stack import limits, traffic
from tools.bed.stack.traffic import Stream
from tools.bed.together import together
from tools.bed.uplink import MOST_WEIGHT
from tools.evaluation.network import sent
from tools.evaluation.recording import Look, Recording
from tools.evaluation.site import LABELS, Site
from tools.evaluation.sizes import GUARANTEED_PHASE, UPLINK_MBIT

_PRIORITY, _LIMIT = "tc-set-net-in-priority", "tc-set-net-in-limit"
_GUARANTEE = "tc-set-net-in-guarantee"
_EVERY_S = 0.2
_HOLD_S, _SETTLE_S = 12, 2
_KBIT = 1000
_WEIGHTS, _SWAPPED = (40, 20, 10), (10, 20, 40)
_LIMITED, _GUARANTEED = 20, UPLINK_MBIT // 2


def perform(site: Site, out: Path) -> None:
    """Weights 4:2:1; one stops and comes back; two change places; one of them is limited, and the
    other guaranteed a half."""
    site.clear()
    try:
        site.give(_PRIORITY, [MOST_WEIGHT - weight for weight in _WEIGHTS])
        _receive(site, Recording(out / "inbound"))
    finally:
        site.clear()


def _receive(site: Site, recording: Recording) -> None:
    classes = _class_names(site)
    with traffic.streams(site.layout, site.servers, inbound=True) as streams, \
            recording.sampling("receiver", sent(classes, limits.receiver, "received_mbit"),
                               _EVERY_S), \
            recording.sampling("taps", _arrived(site), _EVERY_S):
        one = streams[0]
        together(Stream.start, streams)
        recording.hold("start", _SETTLE_S, {})
        recording.hold("all receive", _HOLD_S, _due(_WEIGHTS))
        one.stop()
        recording.hold("VM1 has stopped", _HOLD_S, _due((0, *_WEIGHTS[1:])))
        one.start()
        recording.hold("it is back", _HOLD_S, _due(_WEIGHTS))
        changed = {label: MOST_WEIGHT - weight
                   for label, before, weight in zip(LABELS, _WEIGHTS, _SWAPPED, strict=True)
                   if weight != before}
        asked = site.change(recording, _PRIORITY, changed)
        recording.hold("VM1 and VM3 swapped", _HOLD_S, _due(_SWAPPED), asked)
        asked = site.change(recording, _LIMIT, {"VM3": _LIMITED * _KBIT})
        rest = UPLINK_MBIT - _LIMITED
        recording.hold(f"VM3 may have {_LIMITED}", _HOLD_S,
                       {**_due((*_SWAPPED[:2], 0), rest), "VM3": _LIMITED}, asked)
        asked = site.change(recording, _GUARANTEE, {"VM1": _GUARANTEED * _KBIT})
        recording.hold(GUARANTEED_PHASE, _HOLD_S, {"VM1": _GUARANTEED}, asked)
    recording.save()


def _due(weights: Sequence[int], whole: float = UPLINK_MBIT) -> dict[str, float]:
    """In Mbit/s; those that receive nothing are due nothing."""
    return {label: whole * weight / sum(weights)
            for label, weight in zip(LABELS, weights, strict=True) if weight}


def _class_names(site: Site) -> list[str]:
    found = [limits.inbound_class_name(site.observer, server.uuid) for server in site.servers]
    names = [name for name in found if name]
    if len(names) != len(found):
        raise TestbedError(f"nft forwards not all of what the servers receive: {found}")
    return names


def _arrived(site: Site) -> Look:
    """What each server's tap has passed on to its guest."""
    taps = [site.observer.interface(server.uuid)[0] for server in site.servers]
    files = [Path("/sys/class/net", tap, "statistics/tx_bytes") for tap in taps]

    def look() -> Mapping[str, float]:
        return {f"{label}.arrived_mbit": int(file.read_text()) * 8 / 1e6
                for label, file in zip(LABELS, files, strict=True)}

    return look
