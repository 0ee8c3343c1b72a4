# SPDX-License-Identifier: Apache-2.0
"""The words of both command lines: values as people write them, help texts, and outcomes."""

import argparse
from collections.abc import Callable, Iterable

from nova_qos.client import Outcome, Report
from nova_qos.core import errors
from nova_qos.core.reading import LEFT_IN_PLACE
from nova_qos.core.resource import Resource
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE

FORCE_HELP = "Reduce the memory even if the guest cannot spare it."


def quantity(row: Resource) -> Callable[[str], int]:
    """The type of an argument: it makes a value of the resource from a word."""

    def quantity(text: str) -> int:
        try:
            return row.value.parse(text, row.unit)
        except errors.InvalidSetting as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return quantity


def seconds(text: str) -> int:
    """The type of an argument for a time."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return int(text)


def value_help(row: Resource) -> str:
    """Unit, range and default of the resource, and how sizes are written."""
    words = row.describe().partition(": ")[2]
    suffixes = row.unit.suffixes
    written = f" Write {suffixes.examples}; without a unit, {suffixes.unit}." if suffixes else ""
    return f"{words[0].upper()}{words[1:]} Default: {row.default.words}.{written}"


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
    if all(name in outcome.asked and report[name]["requested"] is None for name in TABLE):
        return "all settings unset"
    settings = []
    for name in outcome.asked:
        requested = report[name]["requested"]
        words = f"{name} unset" if requested is None else setting(TABLE[name], requested)
        idle = requested is not None and not report[name]["effective"]
        settings.append(f"{words}, without effect: {report[name]['reason']}" if idle else words)
    return ", ".join(settings)


def late(outcome: Outcome, timeout_s: int) -> str:
    """What is said of settings that were waited for in vain."""
    told = "; ".join(_shortfall(name, outcome.report[name]) for name in outcome.pending)
    return f"saved, but not applied after {timeout_s} s: {told}"


def _shortfall(name: str, report: Report) -> str:
    """How the value that the host holds differs from the one that it is to hold, and why."""
    row = TABLE[name]
    requested = report["requested"]
    wanted = (f"{name} unset, default {_held(row, report['default'])}" if requested is None
              else f"{setting(row, requested)} requested")
    why = f": {report['reason']}" if report["reason"] else ""
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
