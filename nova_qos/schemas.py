# SPDX-License-Identifier: Apache-2.0
"""Request bodies as JSON schemas, derived from the table.

They hold the shape; the range depends on the server's flavor and is checked by the row itself, on
the API's side and again by the agent.
"""

from nova_qos.resources import SET_ALL, TABLE, Resource

Schema = dict[str, object]

_NUMBER: Schema = {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,15}$"}
_NUMBER_OR_NULL: Schema = {**_NUMBER, "type": ["integer", "string", "null"]}
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
    properties: Schema = {resource.key: _NUMBER}
    if resource.forceable:
        properties["force"] = _FORCE
    return _action(resource.set_action, _object(properties, [resource.key]))


def set_all_body() -> Schema:
    """Any resources by name; null unsets one."""
    properties: Schema = dict.fromkeys(TABLE, _NUMBER_OR_NULL)
    # force alone asks for nothing, so something else must stand beside it
    body = _object({**properties, "force": _FORCE}, [])
    body["anyOf"] = [{"required": [name]} for name in TABLE]
    return _action(SET_ALL, body)
