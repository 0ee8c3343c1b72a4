# SPDX-License-Identifier: Apache-2.0
"""Request bodies as JSON schemas, derived from the table.

They hold the shape; the range depends on the server's flavor and is checked by the row itself, on
the API's side and again by the agent.
"""

from nova_qos.core.resource import Resource
from nova_qos.core.value import Schema
from nova_qos.resources import SET_ALL, TABLE

_FORCE: Schema = {"type": "boolean"}


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
    properties: Schema = {name: _or_null(row.value.schema) for name, row in TABLE.items()}
    # force alone asks for nothing, so something else must stand beside it
    body = _object({**properties, "force": _FORCE}, [])
    body["anyOf"] = [{"required": [name]} for name in TABLE]
    return _action(SET_ALL, body)


def _or_null(schema: Schema) -> Schema:
    kinds = schema["type"]
    assert isinstance(kinds, list)  # nosec B101  # every kind of value lists its types
    return {**schema, "type": [*kinds, "null"]}
