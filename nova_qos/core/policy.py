# SPDX-License-Identifier: Apache-2.0
"""Named policies: settings that servers get by an assignment. Pure; a database keeps them."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nova_qos.core import errors
from nova_qos.core.resource import Resource, Rows

#: What is saved of one resource in a policy: a value as set-qos takes it, or a relative one.
Value = int | str
#: What a server is set to that no policy is to reach.
NONE_NAME, NONE_ID = "none", 0
LONGEST_NAME = 255
#: nova's own tables, where flavors name policies, hold no character above this one.
_HIGHEST = 0xFFFF


@dataclass(frozen=True)
class Policy:
    """A named set of settings.

    ``number`` is its id, 1 to 10**15 - 1, never used again; ``revision`` begins with 1 and grows by
    1 with each change.
    """

    number: int
    name: str
    settings: Mapping[str, Value]
    revision: int = 1
    description: str = ""


@dataclass(frozen=True)
class Catalog:
    """All policies and to whom they are assigned, as one document.

    ``database`` identifies the database that it comes from, "" for none; ``revision`` grows with
    each change of anything in it. ``projects`` has the number of the policy of each project that
    has one, ``default`` that of the default policy.
    """

    database: str = ""
    revision: int = 0
    policies: Mapping[int, Policy] = field(default_factory=dict)
    projects: Mapping[str, int] = field(default_factory=dict)
    default: int | None = None
    #: What ``assignment`` has worked out with it: a thousand servers have few flavors and policies.
    assigned: dict[object, Any] = field(
        default_factory=dict, init=False, compare=False, repr=False)

    def named(self, name: str) -> Policy | None:
        """The policy of this name, regardless of case."""
        return self._by_name.get(folded(name))

    @cached_property
    def _by_name(self) -> Mapping[str, Policy]:
        # to fold all names for each server of a host takes longer than all else
        return {folded(each.name): each for each in self.policies.values()}

    def to_json(self) -> dict[str, Any]:
        """As JSON types; ``from_json`` reads it again."""
        return {
            "database": self.database, "revision": self.revision, "default": self.default,
            "projects": dict(self.projects),
            "policies": [
                {"id": each.number, "name": each.name, "settings": dict(each.settings),
                 "revision": each.revision} for each in self.policies.values()]}

    @classmethod
    def from_json(cls, json: Any) -> "Catalog":
        """The catalog that ``to_json`` wrote, without descriptions; unknown fields are ignored.

        :raises InvalidSetting: it is none
        """
        try:
            policies = {int(each["id"]): Policy(
                int(each["id"]), str(each["name"]), dict(each["settings"]), int(each["revision"]))
                for each in json["policies"]}
            return cls(
                str(json["database"]), int(json["revision"]), policies,
                {str(project): int(number) for project, number in json["projects"].items()},
                None if json["default"] is None else int(json["default"]))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise errors.InvalidSetting(f"no catalog of policies: {error!r}") from error


def folded(name: str) -> str:
    """What is unique of a policy's name: the same for all ways to write it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(name: object) -> str:
    """The name that a policy is to be saved under, in Unicode's normal form C.

    :raises InvalidSetting: it cannot be one; databases differ in what they accept, so this does not
    """
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        raise errors.InvalidSetting(
            f"name: a policy's name has 1 to {LONGEST_NAME} characters, not {_quoted(name)}")
    name = unicodedata.normalize("NFC", name)
    if len(name) > LONGEST_NAME or name != name.strip() or not name.isprintable() or any(
            ord(each) > _HIGHEST for each in name):
        raise errors.InvalidSetting(
            f"name: {_quoted(name)} is not accepted. A policy's name has printable characters up "
            "to U+FFFF, and no blank at its begin or end")
    if folded(name) == NONE_NAME:
        raise errors.InvalidSetting(
            f"name: {_quoted(name)} is reserved: it is what a server is set to that no policy is "
            "to reach")
    return name


def check_number(number: object) -> int | None:
    """The number of a policy, as it is saved of a server: ``NONE_ID`` opts out, None unsets.

    :raises InvalidSetting: it is none
    """
    if number is None or (
            isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**15):
        return number
    raise errors.InvalidSetting(f"policy: {_quoted(number)} is no number of a policy")


def check_settings(table: Rows, settings: Mapping[str, object]) -> dict[str, Value]:
    """The settings to save in a policy.

    :param settings: by resource, as a request has them: numbers as set-qos takes them, -1 for
        "none, whatever other policies say", or relative ones such as "75%"
    :raises InvalidSetting: an unknown resource, a value that no server can have, or two that
        contradict each other whatever the flavor
    """
    unknown = [str(name)[:40] for name in settings if name not in table]
    if unknown:
        raise errors.InvalidSetting(
            f"no such resource: {', '.join(unknown)}; there are: {', '.join(table)}")
    checked = {name: _checked(table[name], value) for name, value in settings.items()}
    _require_order(table, checked)
    return {name: checked[name] for name in table if name in checked}


def _checked(row: Resource, value: object) -> Value:
    if row.relative is not None and isinstance(value, str):
        text = row.relative.read(value)
        if text is not None:
            return text
    number = row.value.read(value)
    least, most = row.value.widest
    if number is None or not (least <= number <= most or row.value.is_reset(number)):
        relative = "" if row.relative is None else f", or {row.relative.words}"
        raise errors.InvalidSetting(
            f"{row.name}: {_quoted(value)} is not accepted. {row.describe(field=row.name)[:-1]}"
            f"{relative}.")
    return number


def _require_order(table: Rows, settings: Mapping[str, Value]) -> None:
    for name, row in table.items():
        if row.at_most is None or name not in settings or row.at_most not in settings:
            continue
        bound, mine, most = table[row.at_most], settings[name], settings[row.at_most]
        if _is_above(row, mine, bound, most):
            raise errors.InvalidSetting(
                f"{name} {_in_unit(row, mine)} is more than {bound.name} {_in_unit(bound, most)} "
                f"of the same policy; ask for a {name} of {most} at most, or for another "
                f"{bound.name}")


def _is_above(row: Resource, mine: Value, bound: Resource, most: Value) -> bool:
    """Whether it is above its bound whatever the flavor."""
    if isinstance(mine, int) and isinstance(most, int):
        return mine > most and not bound.value.is_reset(most)
    if isinstance(mine, str) and isinstance(most, str) and row.relative and (
            row.relative == bound.relative):
        return (row.relative.number(mine) or 0) > (row.relative.number(most) or 0)
    return False


def _in_unit(row: Resource, value: Value) -> str:
    return f"{value} {row.unit.name}" if isinstance(value, int) else value


def _quoted(value: object) -> str:
    return repr(str(value)[:40])
