# SPDX-License-Identifier: Apache-2.0
"""THE function that writes: it makes a domain hold targets, and says what the domain holds then.

A set, an event, the periodic check, an arrival by migration and an unset all go through ``hold``.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nova_qos.agent.history import DEFLATED, History
from nova_qos.agent.outcome import SOON_S, Outcome
from nova_qos.core import desired, errors
from nova_qos.core.balloon import Limits
from nova_qos.core.desired import Target
from nova_qos.core.reading import LEFT_IN_PLACE, Reading
from nova_qos.core.report import shortfall
from nova_qos.core.resource import Resource
from nova_qos.core.server import Flavor
from nova_qos.core.source import DEFAULT
from nova_qos.host import Domain, SeenDomain
from nova_qos.resources import TABLE


@dataclass(frozen=True)
class Past:
    """The agent's memory of a server's targets, for reconciliations that no request started.

    With it, ``hold`` writes only what is not in force, tells drift from loss, and leaves guests
    alone that took their memory back. ``corrects``: drift is put right, not only reported.
    """

    history: History
    server_uuid: str
    corrects: bool = True


def by_knob(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The resources of each knob, in the table's order; those without a knob are left out."""
    knobs: dict[str, list[str]] = {}
    wanted = set(names)
    for name, row in TABLE.items():
        if name in wanted and row.knob is not None:
            knobs.setdefault(row.knob, []).append(name)
    yield from knobs.items()


def knobs(names: Iterable[str]) -> set[str]:
    """The knobs of these resources."""
    return {knob for knob, _ in by_knob(names)}


def read(domain: Domain | SeenDomain, names: Iterable[str]) -> dict[str, Reading]:
    """Read every resource of a domain. An unreadable resource gets a reading that says why; the
    others are not affected.

    :raises ServerNotRunning, HostAway: there is nothing to read at all
    """
    names = list(names)
    readings = {name: Reading(None, effective=TABLE[name].unused is None,
                              reason=TABLE[name].unused)
                for name in names if TABLE[name].knob is None}
    for knob, mine in by_knob(names):
        try:
            found = domain.knob(knob).read()
        except (errors.HostCannot, errors.HostRefused) as error:
            found = dict.fromkeys(mine, Reading.unread(error))
        readings |= {name: found[name] for name in mine}
    return {name: readings[name] for name in names}


def at_host(
    domain: Domain, targets: Mapping[str, Target], flavor: Flavor
) -> dict[str, Target]:
    """The targets as they are on this host: what it makes of the flavor decides on defaults.

    :raises HostAway: libvirt does not answer
    """
    names = [name for name, each in targets.items()
             if each.source == DEFAULT and TABLE[name].default.by_host is not None]
    try:
        return desired.at_host(TABLE, targets, flavor, read(domain, names) if names else {})
    except errors.ServerNotRunning:
        # to write them says so, too
        return dict(targets)


def given(
    domain: Domain, row: Resource, target: Target, value: int, limits: Limits
) -> int:
    """The value to write for what a balancer gives, in the host's unit. Where its user or policy
    allows less, that waits until the guest can spare the difference.

    :raises ServerNotRunning: the guest is paused
    """
    if target.balanced or value <= target.value or row.follow is None:
        return target.host_value
    try:
        row.follow.guard(domain.balloon(), target.host_value, limits)
    except (errors.HostRefused, errors.HostCannot):
        return row.unit.to_host(value)
    return target.host_value


def hold(
    domain: Domain, targets: Mapping[str, int], limits: Limits, past: Past | None = None,
    before: Mapping[str, Reading] | None = None,
) -> dict[str, Outcome]:
    """Reconcile a domain with its targets (in the host's units), as far as host and guest allow.

    :param past: None where somebody asks for these targets right now, and the guards have passed
        them: then each is written, once
    :param before: what the domain holds of these, if that was read already
    :returns: an outcome for each target that a knob holds
    :raises Unreachable: libvirt does not answer
    """
    outcomes: dict[str, Outcome] = {}
    for knob, names in by_knob(targets):
        try:
            mine = {name: targets[name] for name in names}
            is_read = before is not None and all(before[n].applied is not None for n in names)
            # what could not be read says so best by itself
            readings = before if before and is_read else domain.knob(knob).read()
            outcomes |= _hold_knob(domain, knob, readings, mine, limits, past)
        except errors.Unreachable:
            raise
        except errors.QosError as error:
            outcomes |= dict.fromkeys(names, Outcome.failed(error))
    return outcomes


def record(history: History, server_uuid: str, targets: Mapping[str, int],
           outcomes: Mapping[str, Outcome], by_policy: Container[str] = ()) -> None:
    """Record the outcomes of targets; what no object of the host holds has no history.

    :param by_policy: the resources whose target is a policy's
    """
    for name, outcome in outcomes.items():
        if TABLE[name].knob is None:
            continue
        reading = outcome.reading
        if outcome.follows:
            history.follows(server_uuid, name, targets[name])
        elif outcome.error is None and reading.holds(targets[name]):
            history.in_force(server_uuid, name, targets[name])
        elif reading.unmet is not None:
            history.unmet(server_uuid, name, targets[name], reading.unmet, reading.reason or "",
                          name in by_policy)


def observe(history: History, server_uuid: str, name: str, reading: Reading) -> Reading:
    """Record a reading, and return it with why its target is not in force, and since when."""
    why_not, row = None if reading.effective else reading.reason, TABLE[name]
    reading = history.observe(server_uuid, name, reading)
    followed = history.followed(server_uuid, name)
    if followed is None or reading.unmet != "pending" or reading.applied is None:
        return reading
    target, for_s = followed
    return replace(reading, reason=(
        f"{row.names.key}: reached {shortfall(row, target, reading)} after {for_s:.0f} s; "
        f"{why_not or 'it goes on moving'}"))


def _hold_knob(
    domain: Domain, knob: str, readings: Mapping[str, Reading], targets: Mapping[str, int],
    limits: Limits, past: Past | None,
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    values: dict[str, int] = {}
    for name, target in targets.items():
        row = TABLE[name]
        try:
            done = past and _without_writing(domain, row, readings[name], target, past)
            if done:
                outcomes[name] = done
                continue
            values[name] = _value(domain, row, readings[name], target, limits, past)
        except (errors.HostRefused, errors.HostCannot, errors.ServerNotRunning) as error:
            outcomes[name] = Outcome.failed(error)
    return outcomes | _written(domain, knob, readings, targets, values)


def _written(
    domain: Domain, knob: str, before: Mapping[str, Reading], targets: Mapping[str, int],
    values: Mapping[str, int],
) -> dict[str, Outcome]:
    if not values:
        return {}
    try:
        domain.knob(knob).write(values)
        readings = domain.knob(knob).read()
        outcomes = {name: _judged(TABLE[name], readings[name], targets[name], value)
                    for name, value in values.items()}
    except errors.Unreachable:
        raise
    except errors.HostCannot as error:
        if len(values) > 1:
            # what this host lacks for one of them must not cost the others
            alone = [_written(domain, knob, before, targets, {name: value})
                     for name, value in values.items()]
            return {name: outcome for each in alone for name, outcome in each.items()}
        outcomes = dict.fromkeys(values, Outcome.failed(error))
    except errors.QosError as error:
        outcomes = dict.fromkeys(values, Outcome.failed(error))
    return {name: replace(outcome, before=before[name].asked)
            for name, outcome in outcomes.items()}


def _without_writing(
    domain: Domain, row: Resource, reading: Reading, target: int, past: Past
) -> Outcome | None:
    """The outcome for a target that needs no write now; None if it must be written."""
    history, of = past.history, (past.server_uuid, row.name)
    if reading.holds(target):
        return Outcome(reading)
    if reading.unmet == "pending" and reading.applied == target:
        # the guest was told this size, and has yet to say that it stays there
        return Outcome(reading, SOON_S, follows=True)
    if history.was_in_force(*of, target):
        if not past.corrects:
            return Outcome(replace(reading, unmet="drifted", reason=LEFT_IN_PLACE))
        if row.follow is not None and row.follow.retaken(domain.balloon(), reading, target):
            history.retaken(*of, target)
    wait_s = history.wait_s(*of)
    if wait_s > 0:
        return Outcome(replace(reading, unmet="deflated", reason=DEFLATED), wait_s)
    return None


def _value(
    domain: Domain, row: Resource, reading: Reading, target: int, limits: Limits, past: Past | None
) -> int:
    """The value to write now: the target, or an intermediate value where repeating the request
    would change nothing."""
    if row.follow is None or past is None:
        return target
    # a guest gets memory back whether it reports or not
    grows = reading.applied is not None and target > reading.applied
    row.follow.guard(domain.balloon(), target, replace(limits, force=limits.force or grows))
    if reading.applied is None:
        return target
    of = (past.server_uuid, row.name)
    is_stuck = past.history.is_stuck(*of, target, reading.applied)
    past.history.wrote(*of, target, reading.applied)
    return row.follow.intermediate(target, reading.applied) if is_stuck else target


def _judged(row: Resource, reading: Reading, target: int, value: int) -> Outcome:
    """What has become of a target after a write."""
    if value == target and reading.holds(target):
        return Outcome(reading, written=True)
    if row.follow is not None:
        return Outcome(replace(reading, unmet="pending"), SOON_S, written=True, follows=True)
    reached = shortfall(row, target, reading)
    return Outcome.failed(errors.HostRefused(
        f"{row.names.key}: the host accepted the value but holds {reached}"))
