# SPDX-License-Identifier: Apache-2.0
"""Request bodies as JSON schemas, derived from the table.

They hold the shape; the range depends on the server's flavor and is checked by the row itself, on
the API's side and again by the agent.
"""

from collections.abc import Iterable

from nova_qos.core.resource import Resource
from nova_qos.core.server import POLICY
from nova_qos.core.value import Schema
from nova_qos.resources import ASSIGN_RULE, SET_ALL, TABLE

_FORCE: Schema = {"type": "boolean"}
#: The most servers that one request may change.
MOST_CHANGES = 100


def _action(name: str, value: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {name: value},
        "required": [name],
        "additionalProperties": False,
    }


def _object(properties: Schema, required: list[str], least: int = 1) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "minProperties": least,
        "additionalProperties": False,
    }


def get_body(action: str) -> Schema:
    """A get takes nothing: null or an empty object."""
    return _action(action, {"type": ["null", "object"], "maxProperties": 0})


def set_body(resource: Resource) -> Schema:
    """One resource's value, and force where the resource knows it."""
    key = resource.names.key
    properties: Schema = {key: resource.value.schema}
    if resource.forceable:
        properties["force"] = _FORCE
    return _action(resource.names.set_action, _object(properties, [key]))


def set_all_body() -> Schema:
    """Any resources by name; null unsets one."""
    # force alone asks for nothing, so something else must stand beside it
    body = _object({**_any_settings(), "force": _FORCE}, [])
    body["anyOf"] = [{"required": [name]} for name in (*TABLE, POLICY)]
    return _action(SET_ALL, body)


def set_many_body() -> Schema:
    """Settings for up to ``MOST_CHANGES`` servers, as ``set_all_body`` has them for one."""
    change = _object({"server": {"type": "string", "format": "uuid"},
                      "settings": _object(_any_settings(), [])}, ["server", "settings"])
    changes = {"type": "array", "minItems": 1, "maxItems": MOST_CHANGES, "items": change}
    more = {"together": {"type": "boolean"}, "force": _FORCE}
    return _object({"changes": changes, **more}, ["changes"])


def rules_of(names: Iterable[str]) -> list[str]:
    """The access rules to change these."""
    asked = set(names)
    rules = [row.names.set_rule for name, row in TABLE.items() if name in asked]
    return [*rules, ASSIGN_RULE] if POLICY in asked else rules


def _any_settings() -> Schema:
    settings = {name: _or_null(row.value.schema) for name, row in TABLE.items()}
    return {**settings, POLICY: {"type": ["string", "null"], "minLength": 1, "maxLength": 255}}


def _or_null(schema: Schema) -> Schema:
    kinds = schema["type"]
    assert isinstance(kinds, list)  # nosec B101  # every kind of value lists its types
    return {**schema, "type": [*kinds, "null"]}
