# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side: what get-qos answers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from nova_qos.core.desired import Target
from nova_qos.core.known import Known
from nova_qos.core.reading import Reading, State
from nova_qos.core.resource import Resource, Rows
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.core.source import DEFAULT, SERVER

Report = dict[str, object]
#: The source of what nobody can tell at present.
UNKNOWN = "unknown"
_NOTHING = Known()


def state_of(target: Target, reading: Reading) -> State:
    """Whether the requested value is in force, or why not."""
    if reading.unmet == "unsupported":
        return "unsupported"
    if target.missing:
        return "pending"
    if target.source == DEFAULT:
        return "unset"
    if reading.holds(target.host_value):
        return "applied"
    if reading.unmet is not None:
        return reading.unmet
    # an edited policy reaches hosts one after another
    is_to_come = reading.applied is None or target.source.kind == "policy"
    return "pending" if is_to_come else "drifted"


def report(
    row: Resource, target: Target, flavor: Flavor, reading: Reading, fault: str | None = None,
    known: Known = _NOTHING, notice: str | None = None,
) -> Report:
    """One resource as get-qos shows it, in the API's unit; since: ISO 8601, UTC.

    :param fault: what nova keeps of it and cannot be read
    :param known: what is known of policies
    :param notice: what is wrong with the policies of the server, as a sentence
    """
    reading = known.explained(target, held(row, target, reading))
    state = state_of(target, reading)
    since = reading.since and datetime.fromtimestamp(int(reading.since), UTC).isoformat()
    kept = saved(row, target, flavor)
    reasons = (fault, _reason(row, target, reading, state, known),
               *known.complaints(target, reading), None if target.source == SERVER else notice)
    return {
        "requested": kept["requested"],
        "applied": row.shown(reading.applied),
        "unit": kept["unit"],
        "range": kept["range"],
        "default": row.value.shown(row.default.on(flavor, reading)),
        "state": state,
        "effective": reading.effective and not _is_cut_by_another(target),
        "reason": "; ".join(filter(None, reasons)) or None,
        "since": since,
        "source": kept["source"],
        "policy_revision": kept["policy_revision"],
        "applied_source": reading.applied_source,
    }


def held(row: Resource, target: Target, reading: Reading) -> Reading:
    """The reading of a resource; what no object of the host holds is in force as it is saved."""
    if row.knob is not None or reading.unmet is not None:
        return reading
    return replace(reading, applied=target.host_value)


def saved(row: Resource, target: Target, flavor: Flavor) -> Report:
    """The part of a report that needs no answer from the host; ``reason`` says why it is unknown
    what is requested."""
    return {
        "requested": row.value.shown(target.requested),
        "unit": row.unit.name,
        "range": list(row.value.range_of(flavor)),
        "default": row.value.shown(row.default.of(flavor)),
        "source": UNKNOWN if target.missing else target.source.words,
        "policy_revision": target.source.revision,
        "reason": target.missing,
    }


def reports(
    table: Rows, targets: Mapping[str, Target], server: SavedServer,
    readings: Mapping[str, Reading], known: Known = _NOTHING,
) -> dict[str, Report]:
    """A report for every resource, in the table's order."""
    return {name: report(row, targets[name], server.flavor, readings[name],
                         server.faults.get(name), known, server.assigned.notice)
            for name, row in table.items()}


def shortfall(row: Resource, target: int, reading: Reading) -> str:
    """How far a host has come, in words; the target in the host's unit."""
    return f"{row.shown(reading.applied)} of {row.shown(target)} {row.unit.name}"


def _reason(
    row: Resource, target: Target, reading: Reading, state: State, known: Known
) -> str | None:
    if target.missing:
        return f"{target.missing}; the host keeps what it has"
    if state == "pending" and target.source.kind == "policy" and reading.reason is None:
        return f"the host has yet to apply revision {target.source.revision} of the policy"
    if state == "drifted" and reading.reason is None:
        return "the host holds another value than was requested"
    if state == "applied" and target.is_reduced:
        return _reduced(row, target, known)
    return reading.reason


def _reduced(row: Resource, target: Target, known: Known) -> str:
    """Why another value is applied than was requested."""
    value, asked = f"{target.value} {row.unit.name}", ""
    if target.source.kind == "policy" or _is_cut_by_another(target):
        asked = f"{target.source.words} asks for {_written(row, target, known)}, "
    if target.requested is not None and target.value > target.requested:
        return f"{asked}raised to {value}, the least there is"
    return f"{asked}reduced to {value}, {_bound(row, target)}"


def _written(row: Resource, target: Target, known: Known) -> str:
    written = known.written(row.name, target)
    number = f"{target.requested} {row.unit.name}"
    return f"{written} ({number})" if isinstance(written, str) else number


def _bound(row: Resource, target: Target) -> str:
    """What allows no more than is applied."""
    if target.bound is None:
        return ("the most there is" if target.value == row.value.widest[1]
                else "the most for the flavor")
    if target.bound_by is None or target.bound_by == SERVER:
        return f"the server's {target.bound}"
    return f"the {target.bound} of {target.bound_by.words}"


def _is_cut_by_another(target: Target) -> bool:
    """Whether what another source asks for leaves less than this one does."""
    return target.bound is not None and target.bound_by != target.source
