# SPDX-License-Identifier: Apache-2.0
"""The REST reference is what the table says, and its examples are what the API takes."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from nova_qos.api import policy_bodies, rules, schemas
from nova_qos.core.server import Flavor
from nova_qos.resources import BALLOON, GET_ALL, POLICIES_PATH, SET_ALL, TABLE
from tools import rest_reference

_REQUEST = re.compile(r"^Request.*::\n\n((?:    .*\n)+)", re.MULTILINE)
SCHEMAS = {
    **{row.names.get_action: schemas.get_body(row.names.get_action) for row in TABLE.values()},
    **{row.names.set_action: schemas.set_body(row) for row in TABLE.values()},
    GET_ALL: schemas.get_body(GET_ALL), SET_ALL: schemas.set_all_body(),
    BALLOON: schemas.get_body(BALLOON),
}
POLICIES = (Path(__file__).parents[2] / "doc/source/rest/policies.rst").read_text()
_OF_POLICIES = re.compile(r"^    \{(?:.*\n)(?: {5,}.*\n)*", re.MULTILINE)
EXAMPLES = [json.loads(text) for text in _REQUEST.findall(rest_reference.page())]


def test_reference_is_up_to_date() -> None:
    assert rest_reference.PAGE.read_text() == rest_reference.page(), (
        "run tools/rest_reference.py")


def test_there_is_an_example_of_every_action() -> None:
    assert sorted(action for example in EXAMPLES for action in example) == sorted(SCHEMAS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: next(iter(example)))
def test_examples_are_valid(example: dict[str, object]) -> None:
    ((action, value),) = example.items()
    jsonschema.validate(example, SCHEMAS[action])
    of_action = {row.names.set_action: row for row in TABLE.values()}
    if isinstance(value, dict) and action in of_action:
        row = of_action[action]
        row.check(value[row.names.key], Flavor(512))


def test_the_page_of_policies_has_the_values_of_the_table() -> None:
    wanted = rest_reference.policy_values()
    assert wanted in POLICIES, f"the page is to have this table:\n{wanted}"


def test_the_page_of_policies_has_every_request_with_its_rule() -> None:
    found = {(method, path, rule) for method, path, rule in re.findall(
        r"^   \* - ``(\w+) (\S+?)(?:\[.*\])?``\n     - ``(\w+)``", POLICIES, re.MULTILINE)}
    # nova's documentation has longer names for what stands in paths
    wanted = {(each["method"], each["path"].replace("policy_id", "id").replace(
        "project_id", "project"), rule.name.rpartition(":")[2])
        for rule in rules.list_rules() if ":policies:" in rule.name
        for each in rule.operations if each["path"].startswith(POLICIES_PATH)}
    assert found == wanted
    assert len(found) == 8


def test_bodies_on_the_page_of_policies_are_valid() -> None:
    bodies = [json.loads(each) for text in _OF_POLICIES.findall(POLICIES)
              if "..." not in (each := text)]
    created, changed = bodies
    jsonschema.validate(created, policy_bodies.CREATE)
    jsonschema.validate(changed, policy_bodies.UPDATE)
    for each in (created, changed):
        policy_bodies.checked(each["policy"])
