# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side: what get-qos answers."""

from datetime import UTC, datetime

from nova_qos.model import Flavor, Reading, State
from nova_qos.resources import Resource


def state_of(resource: Resource, requested: int | None, flavor: Flavor, reading: Reading) -> State:
    """How what was asked for and what the host answers stand to each other."""
    if reading.hindered == "unsupported":
        return "unsupported"
    if requested is None:
        return "unset"
    if reading.holds(resource.to_host(resource.within(requested, flavor), flavor)):
        return "applied"
    if reading.hindered is not None:
        return reading.hindered
    return "pending" if reading.applied is None else "drifted"


def report(
    resource: Resource, requested: int | None, flavor: Flavor, reading: Reading
) -> dict[str, object]:
    """One resource as get-qos shows it, in the API's unit; since: ISO 8601, UTC."""
    state = state_of(resource, requested, flavor, reading)
    since = reading.since and datetime.fromtimestamp(int(reading.since), UTC).isoformat()
    return {
        "requested": requested,
        "applied": resource.from_host(reading.applied),
        "unit": resource.unit,
        "range": list(resource.range_of(flavor)),
        "default": resource.default(flavor),
        "state": state,
        "effective": reading.effective,
        "reason": _reason(resource, requested, flavor, reading, state),
        "since": since,
    }


def saved(resource: Resource, requested: int | None, flavor: Flavor) -> dict[str, object]:
    """The part of a report for which nobody need ask the host."""
    whole = report(resource, requested, flavor, Reading(None))
    return {key: whole[key] for key in ("requested", "unit", "range", "default")}


def _reason(
    resource: Resource, requested: int | None, flavor: Flavor, reading: Reading, state: State
) -> str | None:
    if state == "drifted" and reading.reason is None:
        return "the host holds another value than was requested"
    if state == "applied" and resource.within(requested, flavor) != requested:
        return f"reduced to {resource.range_of(flavor)[1]} {resource.unit}, the most for the flavor"
    return reading.reason
