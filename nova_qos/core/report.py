# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side: what get-qos answers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from nova_qos.core.desired import DEFAULT, Target
from nova_qos.core.reading import Reading, State
from nova_qos.core.resource import Resource, Rows
from nova_qos.core.server import Flavor, SavedServer

Report = dict[str, object]


def state_of(target: Target, reading: Reading) -> State:
    """Whether the requested value is in force, or why not."""
    if reading.unmet == "unsupported":
        return "unsupported"
    if target.source == DEFAULT:
        return "unset"
    if reading.holds(target.host_value):
        return "applied"
    if reading.unmet is not None:
        return reading.unmet
    return "pending" if reading.applied is None else "drifted"


def report(
    row: Resource, target: Target, flavor: Flavor, reading: Reading, fault: str | None = None
) -> Report:
    """One resource as get-qos shows it, in the API's unit; since: ISO 8601, UTC.

    :param fault: what nova keeps of it and cannot be read
    """
    reading = held(row, target, reading)
    state = state_of(target, reading)
    since = reading.since and datetime.fromtimestamp(int(reading.since), UTC).isoformat()
    kept = saved(row, target, flavor)
    return {
        "requested": kept.pop("requested"),
        "applied": row.shown(reading.applied),
        **kept,
        "default": row.value.shown(row.default.on(flavor, reading)),
        "state": state,
        "effective": reading.effective,
        "reason": "; ".join(filter(None, (fault, _reason(row, target, reading, state)))) or None,
        "since": since,
    }


def held(row: Resource, target: Target, reading: Reading) -> Reading:
    """The reading of a resource; what no object of the host holds is in force as it is saved."""
    if row.knob is not None or reading.unmet is not None:
        return reading
    return replace(reading, applied=target.host_value)


def saved(row: Resource, target: Target, flavor: Flavor) -> Report:
    """The part of a report that needs no answer from the host."""
    return {
        "requested": row.value.shown(target.requested),
        "unit": row.unit.name,
        "range": list(row.value.range_of(flavor)),
        "default": row.value.shown(row.default.of(flavor)),
    }


def reports(
    table: Rows, targets: Mapping[str, Target], server: SavedServer,
    readings: Mapping[str, Reading],
) -> dict[str, Report]:
    """A report for every resource, in the table's order."""
    return {name: report(row, targets[name], server.flavor, readings[name],
                         server.faults.get(name))
            for name, row in table.items()}


def shortfall(row: Resource, target: int, reading: Reading) -> str:
    """How far a host has come, in words; the target in the host's unit."""
    return f"{row.shown(reading.applied)} of {row.shown(target)} {row.unit.name}"


def _reason(row: Resource, target: Target, reading: Reading, state: State) -> str | None:
    if state == "drifted" and reading.reason is None:
        return "the host holds another value than was requested"
    if state == "applied" and target.is_reduced:
        most = f"the server's {target.bound}" if target.bound else "the most for the flavor"
        return f"reduced to {target.value} {row.unit.name}, {most}"
    return reading.reason
