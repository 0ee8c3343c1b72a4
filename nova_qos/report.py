# SPDX-License-Identifier: Apache-2.0
"""Requested, applied and effective, side by side: what get-qos answers."""

from nova_qos.model import Flavor, Reading, State
from nova_qos.resources import Resource


def state_of(resource: Resource, requested: int | None, flavor: Flavor, reading: Reading) -> State:
    """How what was asked for and what the host answers stand to each other."""
    if reading.hindered == "unsupported":
        return "unsupported"
    if requested is None:
        return "unset"
    if reading.hindered == "pending" or reading.applied is None:
        return "pending"
    return "applied" if reading.applied == resource.to_host(requested, flavor) else "drifted"


def report(
    resource: Resource, requested: int | None, flavor: Flavor, reading: Reading
) -> dict[str, object]:
    """One resource as get-qos shows it, in the API's unit."""
    state = state_of(resource, requested, flavor, reading)
    reason = reading.reason
    if state == "drifted":
        reason = "the host holds another value than was requested"
    return {
        "requested": requested,
        "applied": resource.from_host(reading.applied),
        "unit": resource.unit,
        "range": list(resource.range_of(flavor)),
        "default": resource.default(flavor),
        "state": state,
        "effective": reading.effective,
        "reason": reason,
    }
