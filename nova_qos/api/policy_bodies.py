# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests for named policies, and how a policy is shown."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from nova.api.validation import parameter_types

from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy, check_settings
from nova_qos.core.value import Schema
from nova_qos.resources import TABLE

LONGEST_DESCRIPTION = 1024
#: A project's id; nova knows no more of it than this shape.
_PROJECT = re.compile(r"[a-zA-Z0-9-]{1,255}")
#: Of Unicode: what is no text: control characters and halves of characters.
_NO_TEXT = ("Cc", "Cs")
#: What is in it is checked against the table, whose messages name the range.
_SETTINGS: Schema = {"type": "object", "properties": {}, "additionalProperties": True}
_CHANGEABLE: Schema = {
    "description": {"type": "string", "maxLength": LONGEST_DESCRIPTION},
    "settings": _SETTINGS,
    "is_default": {"type": "boolean"},
}
#: What a request without anything to say has as its body.
NOTHING: Schema = {"type": ["null", "object"], "properties": {}, "additionalProperties": False}


def _policy(properties: Schema, required: list[str]) -> Schema:
    policy = {"type": "object", "properties": properties, "required": required,
              "minProperties": 1, "additionalProperties": False}
    return {"type": "object", "properties": {"policy": policy}, "required": ["policy"],
            "additionalProperties": False}


#: The whole range of names is checked by ``core.policy``.
CREATE = _policy({"name": {"type": "string"}, **_CHANGEABLE}, ["name", "settings"])
UPDATE = _policy(_CHANGEABLE, [])
LIST_QUERY: Schema = {
    "type": "object",
    "properties": {"name": parameter_types.single_param({"type": "string"})},
    "additionalProperties": False,
}
SHOW_QUERY: Schema = {
    "type": "object",
    "properties": {"in_use": parameter_types.single_param(
        {"type": "string", "enum": ["true", "false"]})},
    "additionalProperties": False,
}


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a policy as they are to be saved.

    :raises InvalidSetting: one cannot be
    """
    found = dict(fields)
    if "settings" in found:
        found["settings"] = check_settings(TABLE, found["settings"])
    if any(unicodedata.category(each) in _NO_TEXT and each != "\n"
           for each in found.get("description", "")):
        raise errors.InvalidSetting(
            "description: a policy's description is text of up to "
            f"{LONGEST_DESCRIPTION} characters; it has a control character")
    return found


def check_project(text: str) -> str:
    """The id of a project, which need not exist.

    :raises InvalidSetting: no project can have it
    """
    if not _PROJECT.fullmatch(text):
        raise errors.InvalidSetting(
            f"project: {text[:40]!r} is not accepted. A project's id has 1 to 255 letters, digits "
            "and hyphens; openstack project show tells it")
    return text


def shown(catalog: Catalog, policy: Policy, with_projects: bool) -> dict[str, Any]:
    """A policy as answers have it; ids of policies are strings, since they are no numbers to count
    with."""
    found = {
        "id": str(policy.number), "name": policy.name, "description": policy.description,
        "settings": dict(policy.settings), "revision": policy.revision,
        "is_default": catalog.default == policy.number,
    }
    return {**found, "projects": projects_of(catalog, policy)} if with_projects else found


def projects_of(catalog: Catalog, policy: Policy) -> list[str]:
    """The ids of the projects that have the policy."""
    return sorted(project for project, number in catalog.projects.items()
                  if number == policy.number)
