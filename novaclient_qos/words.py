# SPDX-License-Identifier: Apache-2.0
"""The words of both command lines: values as people write them, and help texts."""

import argparse
from collections.abc import Callable

from nova_qos.core import errors
from nova_qos.core.policy import Value
from nova_qos.core.resource import Resource

FORCE_HELP = "Reduce the memory even if the guest cannot spare it."


def quantity(row: Resource) -> Callable[[str], int]:
    """The type of an argument: it makes a value of the resource from a word."""

    def quantity(text: str) -> int:
        try:
            return row.value.parse(text, row.unit)
        except errors.InvalidSetting as error:
            raise argparse.ArgumentTypeError(error.message) from error

    return quantity


def policy_value(row: Resource) -> Callable[[str], Value]:
    """The type of an argument of policies: a value as ``quantity`` makes it, or a relative one."""
    absolute = quantity(row)

    def policy_value(text: str) -> Value:
        relative = None if row.relative is None else row.relative.read(text.strip())
        if relative is not None:
            return relative
        try:
            return absolute(text)
        except argparse.ArgumentTypeError as error:
            also = "" if row.relative is None else f"; a policy also takes {row.relative.words}"
            raise argparse.ArgumentTypeError(f"{error}{also}") from error

    return policy_value


def policy_value_help(row: Resource) -> str:
    """As ``value_help``, with the relative values; -1 overrules other policies."""
    relative = "" if row.relative is None else f" Or {row.relative.words}."
    # argparse fills in what follows a percent sign
    return value_help(row) + relative.replace("%", "%%")


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
