# SPDX-License-Identifier: Apache-2.0
"""The one function that makes a domain hold what was asked for, and reads back what it holds."""

import time
from collections.abc import Mapping
from dataclasses import replace

from oslo_log import log

from nova_qos import errors
from nova_qos.model import Domain, Reading
from nova_qos.resources import TABLE, Resource

LOG = log.getLogger(__name__)
_POLL_SECONDS = 0.1


def apply(
    domain: Domain, targets: Mapping[str, int], settle_seconds: float
) -> dict[str, Reading]:
    """Write every target and answer what the domain holds then; all of them or none.

    :param targets: resource name -> value in the host's unit
    :param settle_seconds: how long a value that settles may take; a reading that is not there
        by then is answered with ``hindered="pending"``
    :raises QosError: whatever one write or read raised; what was written before it is undone
    """
    undo: list[tuple[Resource, Reading]] = []
    readings: dict[str, Reading] = {}
    try:
        for name, target in targets.items():
            row = TABLE[name]
            undo.append((row, row.read(domain)))
            row.write(domain, target)
            readings[name] = _read_back(row, domain, target, settle_seconds)
    except Exception:
        _put_back(domain, undo)
        raise
    return readings


def _put_back(domain: Domain, undo: list[tuple[Resource, Reading]]) -> None:
    for row, before in reversed(undo):
        try:
            if before.applied is not None:
                row.write(domain, before.applied)
        except errors.QosError as error:
            LOG.warning("Could not put %s back to %s: %s", row.name, before.applied, error.message)


def _read_back(row: Resource, domain: Domain, target: int, settle_seconds: float) -> Reading:
    give_up = time.monotonic() + settle_seconds
    reading = row.read(domain)
    while row.settles and not reading.holds(target) and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)
        reading = row.read(domain)
    if reading.holds(target):
        return reading
    reached = f"{row.from_host(reading.applied)} of {row.from_host(target)} {row.unit}"
    if row.settles:
        return replace(
            reading, hindered="pending",
            reason=f"{row.key}: reached {reached} after {settle_seconds:g} s; it goes on moving")
    raise errors.HostRefused(f"{row.key}: the host took the value but holds {reached}")
