# SPDX-License-Identifier: Apache-2.0
"""Outbound limits without any total, and a guarantee beside priorities: three servers send as much
as they can."""

from collections.abc import Sequence
from pathlib import Path

from tools.bed.stack import traffic
from tools.bed.stack.traffic import Stream
from tools.bed.together import together
from tools.bed.uplink import MOST_WEIGHT
from tools.evaluation.network import class_names, received, sent
from tools.evaluation.recording import Recording
from tools.evaluation.site import LABELS, Site
from tools.evaluation.sizes import GUARANTEED_PHASE, UPLINK_MBIT

_LIMIT, _GUARANTEE, _PRIORITY = "tc-set-net-limit", "tc-set-net-guarantee", "tc-set-net-priority"
_EVERY_S = 0.2
_HOLD_S, _SETTLE_S = 12, 2
_KBIT = 1000
_LIMITS, _LATER = (5, 20, 50), {"VM1": 50, "VM3": 5}
_WEIGHTS, _GUARANTEED = (20, 40, 20), UPLINK_MBIT // 2


def perform(site: Site, out: Path) -> None:
    """Limits that change places; and a half of the uplink guaranteed to one with a quarter."""
    site.clear()
    try:
        _limit(site, Recording(out / "network-limits"))
        site.clear()
        _guarantee(site, Recording(out / "network-guarantees"))
    finally:
        site.clear()


def _limit(site: Site, recording: Recording) -> None:
    site.give(_LIMIT, [mbit * _KBIT for mbit in _LIMITS])
    with traffic.streams(site.layout, site.servers) as streams, \
            recording.sampling("uplink", sent(class_names(site)), _EVERY_S), \
            recording.sampling("outside", received(streams, recording), _EVERY_S):
        together(Stream.start, streams)
        recording.hold("start", _SETTLE_S, {})
        due = _due(_LIMITS)
        recording.hold("at first", _HOLD_S, due)
        asked = site.change(
            recording, _LIMIT, {label: mbit * _KBIT for label, mbit in _LATER.items()})
        recording.hold("after the change", _HOLD_S, {**due, **_LATER}, asked)
    recording.save()


def _guarantee(site: Site, recording: Recording) -> None:
    site.give(_PRIORITY, [MOST_WEIGHT - weight for weight in _WEIGHTS])
    with traffic.streams(site.layout, site.servers) as streams, \
            recording.sampling("uplink", sent(class_names(site)), _EVERY_S), \
            recording.sampling("outside", received(streams, recording), _EVERY_S):
        together(Stream.start, streams)
        recording.hold("start", _SETTLE_S, {})
        recording.hold("priorities alone", _HOLD_S, _due(_WEIGHTS))
        asked = site.change(recording, _GUARANTEE, {"VM1": _GUARANTEED * _KBIT})
        recording.hold(GUARANTEED_PHASE, _HOLD_S, {"VM1": _GUARANTEED}, asked)
    recording.save()


def _due(mbit: Sequence[float]) -> dict[str, float]:
    return dict(zip(LABELS, mbit, strict=True))
