# SPDX-License-Identifier: Apache-2.0
"""The words of all clients: values as people read them, and what became of settings."""

from collections.abc import Iterable

from nova_qos.core.reading import LEFT_IN_PLACE
from nova_qos.core.resource import Resource
from nova_qos.core.server import POLICY
from nova_qos.core.units import UNLIMITED
from nova_qos.outcome import Outcome, Report, is_by_policy
from nova_qos.resources import TABLE


def in_words(value: object) -> object:
    """A switch as people write it; anything else as it is."""
    return ("on" if value else "off") if isinstance(value, bool) else value


def with_unit(value: object, unit: str) -> object:
    """A number with its unit; anything else as ``in_words`` has it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value} {unit}" if is_number else in_words(value)


def setting(row: Resource, value: object) -> str:
    """A value of the resource with the resource's name."""
    if isinstance(value, int) and row.value.is_reset(value):
        return f"{row.name} {value} ({row.none_word})"
    return f"{row.name} {with_unit(value, row.unit.name)}"


def saved(reason: object) -> str:
    """What is said of a setting that is still to come."""
    return f"saved, will be applied: {reason}"


def details(outcome: Outcome) -> str:
    """What became of settings, as one sentence."""
    report = outcome.report
    if outcome.failed:
        left = [name for name in outcome.failed if report[name]["reason"] == LEFT_IN_PLACE]
        others = [name for name in outcome.failed if name not in left]
        told = [_reasons(outcome, others)] if others else []
        return "; ".join([*told, *(_shortfall(name, report[name]) for name in left)])
    if outcome.pending:
        return saved(_reasons(outcome, outcome.pending))
    told = [_policy(outcome)] if POLICY in outcome.asked else []
    resources = [name for name in outcome.asked if name != POLICY]
    if all(name in resources and report[name]["requested"] is None for name in TABLE):
        return ", ".join(["all settings unset", *told])
    return ", ".join([*told, *(_of_source(name, report[name]) for name in resources)])


def _policy(outcome: Outcome) -> str:
    """The policy that a server was set to, with what policies come to for the server now."""
    name = "policy unset" if outcome.policy is None else f"policy {outcome.policy}"
    settings = [
        (_result if each.get("source", "").casefold() == name.casefold() else _of_source)(
            resource, each) for resource in outcome.by_policies
        for each in (outcome.report[resource],)]
    return f"{name} ({', '.join(settings)})" if settings else name


def _of_source(name: str, report: Report) -> str:
    """What a resource has now, and which policy decides that, if one does."""
    of = f" of {report['source']}" if is_by_policy(report) else ""
    return f"{_result(name, report)}{of}"


def _result(name: str, report: Report) -> str:
    requested = report["requested"]
    words = f"{name} unset" if requested is None else _setting(name, requested)
    idle = requested is not None and not report["effective"]
    return f"{words}, without effect: {report['reason']}" if idle else words


def _setting(name: str, value: object) -> str:
    return setting(TABLE[name], value) if name in TABLE else f"{name} {value}"


def late(outcome: Outcome, timeout_s: int) -> str:
    """What is said of settings that were waited for in vain."""
    told = "; ".join(_shortfall(name, outcome.report[name]) for name in outcome.pending)
    return f"saved, but not applied after {timeout_s} s: {told}"


def missing(outcome: Outcome) -> str:
    """How what is applied differs from what is requested, and why; empty where it does not."""
    return "; ".join(_shortfall(name, outcome.report[name])
                     for name in (*outcome.failed, *outcome.pending))


def _shortfall(name: str, report: Report) -> str:
    """How the value that the host holds differs from the one that it is to hold, and why."""
    requested = report["requested"]
    why = f": {report['reason']}" if report["reason"] else ""
    row = TABLE.get(name)
    if row is None:
        # of a policy of a newer cloud
        return f"{name} {requested} requested, {report['applied']} applied{why}"
    wanted = (f"{name} unset, default {_held(row, report['default'])}" if requested is None
              else f"{setting(row, requested)} requested")
    return f"{wanted}, {_held(row, report['applied'])} applied{why}"


def _held(row: Resource, value: object) -> object:
    if value is None:
        return "nothing"
    return row.none_word if value == UNLIMITED else with_unit(value, row.unit.name)


def _reasons(outcome: Outcome, names: Iterable[str]) -> str:
    """Each reason once: often it is the same for all."""
    reasons: dict[str, list[str]] = {}
    for name in names:
        report = outcome.report[name]
        unset = report["requested"] is None
        silent = "the host still holds another value" if unset else report["state"]
        reasons.setdefault(report["reason"] or silent, []).append(name)
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{', '.join(named)}: {reason}" for reason, named in reasons.items())
