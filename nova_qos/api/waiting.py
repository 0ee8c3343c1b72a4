# SPDX-License-Identifier: Apache-2.0
"""Whether what was set is still to be applied, and why."""

from collections.abc import Container, Iterable, Mapping

from nova_qos.core.desired import Target
from nova_qos.core.reading import Reading
from nova_qos.core.report import state_of
from nova_qos.core.server import POLICY
from nova_qos.resources import TABLE


def waits(
    changes: Iterable[str], readings: Mapping[str, Reading], targets: Mapping[str, Target],
    marked: Container[str],
) -> bool:
    """Whether a part of what was changed is to be applied later: nothing could be written, or, of
    another policy, the host has yet to do what it says.

    :param marked: what is to be reset, since nobody asks for it any more
    """
    changes = set(changes)
    if any(readings[name].waits for name in changes & readings.keys()):
        return True
    return POLICY in changes and (_is_unreached(readings) or any(
        _policy_waits(targets[name], each, name in marked) for name, each in readings.items()))


def _policy_waits(target: Target, reading: Reading, is_marked: bool) -> bool:
    if target.source.kind == "policy" or target.missing:
        return state_of(target, reading) == "pending"
    return is_marked and reading.waits


def _is_unreached(readings: Mapping[str, Reading]) -> bool:
    """Whether nothing at all could be read."""
    of_host = [each for name, each in readings.items() if TABLE[name].knob]
    return bool(of_host) and all(each.waits for each in of_host)


def why_waiting(changes: Iterable[str], readings: Mapping[str, Reading]) -> str | None:
    """Why those of the changes wait that nothing could be written for yet, if any."""
    asked = readings.keys() & set(changes)
    reasons = {name: readings[name].reason for name in asked if readings[name].waits}
    if len(set(reasons.values())) == 1 and reasons.keys() == asked:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or None
