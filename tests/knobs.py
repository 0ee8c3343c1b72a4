# SPDX-License-Identifier: Apache-2.0
"""Single resources of a domain, read and written as the agent does it."""

import time
from collections.abc import Mapping

from nova_qos.agent import hold
from nova_qos.core.balloon import Balloon, Limits
from nova_qos.core.reading import Reading
from nova_qos.host import Domain, SeenDomain
from nova_qos.resources import TABLE

_POLL_S = 0.1


def knob_of(name: str) -> str:
    """The knob that holds a resource."""
    knob = TABLE[name].knob
    assert knob is not None
    return knob


def read(domain: Domain | SeenDomain, name: str) -> Reading:
    """What a domain holds of one resource."""
    return domain.knob(knob_of(name)).read()[name]


def write(domain: Domain, name: str, value: int) -> None:
    """Write one resource, in the host's unit."""
    domain.knob(knob_of(name)).write({name: value})


def certain_balloon(domain: Domain, within_s: float = 15.0) -> Balloon:
    """The balloon once its driver's report counts."""
    give_up = time.monotonic() + within_s
    while (balloon := domain.balloon()).due_s > 0:
        assert time.monotonic() < give_up, f"no report came within {within_s} s"
        time.sleep(_POLL_S)
    return balloon


def apply(domain: Domain, targets: Mapping[str, int], settle_s: float) -> dict[str, Reading]:
    """Hold targets, in the host's units, and wait for a guest that follows.

    :raises QosError: the first error of one of them
    """
    outcomes = hold.hold(domain, targets, Limits(0))
    for outcome in outcomes.values():
        if outcome.error is not None:
            raise outcome.error
    readings = {name: outcome.reading for name, outcome in outcomes.items()}
    give_up = time.monotonic() + settle_s
    while time.monotonic() < give_up and not all(
            readings[name].holds(target) for name, target in targets.items()):
        time.sleep(_POLL_S)
        readings = hold.read(domain, targets)
    return readings
