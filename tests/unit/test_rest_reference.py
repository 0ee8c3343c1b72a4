# SPDX-License-Identifier: Apache-2.0
"""The REST reference is what the table says, and its examples are what the API takes."""

import json
import re

import jsonschema
import pytest

from nova_qos.api import schemas
from nova_qos.core.server import Flavor
from nova_qos.resources import BALLOON, GET_ALL, SET_ALL, TABLE
from tools import rest_reference

_REQUEST = re.compile(r"^Request.*::\n\n((?:    .*\n)+)", re.MULTILINE)
SCHEMAS = {
    **{row.names.get_action: schemas.get_body(row.names.get_action) for row in TABLE.values()},
    **{row.names.set_action: schemas.set_body(row) for row in TABLE.values()},
    GET_ALL: schemas.get_body(GET_ALL), SET_ALL: schemas.set_all_body(),
    BALLOON: schemas.get_body(BALLOON),
}
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
