# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests for policies go through nova's own validator and then the table."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from nova import exception
from nova.api.validation import validators

from nova_qos.api import policy_bodies
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.value import Schema
from nova_qos.resources import TABLE

SCHEMAS = [policy_bodies.CREATE, policy_bodies.UPDATE, policy_bodies.NOTHING,
           policy_bodies.LIST_QUERY, policy_bodies.SHOW_QUERY]
WHOLE = {"name": "gold", "description": "", "settings": {"memory": "75%"}, "is_default": True}
GOLD, SILVER = Policy(5, "gold", {"cpu_priority": 7}, 3, "the best"), Policy(6, "silver", {})
CATALOG = Catalog("base", 40, {5: GOLD, 6: SILVER}, {"b": 5, "a": 5, "c": 6}, 6)


def accepts(schema: Schema, body: object) -> bool:
    try:
        validators._SchemaValidator(schema).validate(body)
    except exception.ValidationError:
        return False
    return True


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_schema_is_a_schema(schema: Schema) -> None:
    Draft202012Validator.check_schema(schema)


def test_to_create_one_takes_a_name_and_settings() -> None:
    assert accepts(policy_bodies.CREATE, {"policy": WHOLE})
    assert accepts(policy_bodies.CREATE, {"policy": {"name": "gold", "settings": {}}})
    for missing in ("name", "settings"):
        less = {name: value for name, value in WHOLE.items() if name != missing}
        assert not accepts(policy_bodies.CREATE, {"policy": less})


def test_to_change_one_takes_any_subset_but_the_name() -> None:
    for name, value in WHOLE.items():
        assert accepts(policy_bodies.UPDATE, {"policy": {name: value}}) == (name != "name")
    assert not accepts(policy_bodies.UPDATE, {"policy": {}})


@pytest.mark.parametrize("wrong", [
    {"name": 5}, {"name": None}, {"description": None}, {"description": "x" * 1025},
    {"settings": []}, {"settings": None}, {"settings": "75%"}, {"is_default": "true"},
    {"is_default": 1}, {"is_default": None}, {"id": "5"}, {"revision": 3}, {"projects": []},
], ids=lambda value: str(value)[:40])
def test_fields_that_are_wrong(wrong: dict[str, object]) -> None:
    assert not accepts(policy_bodies.CREATE, {"policy": WHOLE | wrong})
    assert not accepts(policy_bodies.UPDATE, {"policy": wrong})


@pytest.mark.parametrize("body", [None, [], "x", 5, {}, {"policy": None}, {"policy": []}, {
    "policy": {"name": "x", "settings": {}}, "more": 1}], ids=lambda body: str(body)[:40])
def test_bodies_that_are_none(body: object) -> None:
    assert not accepts(policy_bodies.CREATE, body)
    assert not accepts(policy_bodies.UPDATE, body)


def test_a_request_that_says_nothing() -> None:
    assert accepts(policy_bodies.NOTHING, None)
    assert accepts(policy_bodies.NOTHING, {})
    for wrong in ([], {"x": 1}, "x", 0):
        assert not accepts(policy_bodies.NOTHING, wrong)


def test_settings_are_those_of_the_table() -> None:
    settings: dict[str, Any] = {"io_priority": "300", "memory": "075%", "net_priority": -1}
    assert policy_bodies.checked({"settings": settings})["settings"] == {
        "memory": "75%", "io_priority": 300, "net_priority": -1}
    for wrong, words in (
        ({"color": 1}, ("no such resource: color", *TABLE)),
        ({"cpu_priority": 1}, ("cpu_priority", "'1'", "2 to 262144", "512/vcpu")),
        ({"io_priority": None}, ("io_priority", "'None'", "100 to 1000")),
        ({"memory": True}, ("memory", "'True'")),
        ({"cpu_limit": 50, "cpu_guarantee": 60}, ("cpu_guarantee 60", "cpu_limit 50")),
    ):
        with pytest.raises(errors.InvalidSetting) as error:
            policy_bodies.checked({"settings": wrong})
        for word in words:
            assert word in error.value.message


@pytest.mark.parametrize("text", ["\0", "a\tb", "\ud800", "\x7f", "\x85"], ids=ascii)
def test_a_description_is_text(text: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="description"):
        policy_bodies.checked({"description": text})


def test_a_description_may_have_lines_and_any_letters() -> None:
    fields = {"description": "Gold\N{FIRST PLACE MEDAL}\nf\N{LATIN SMALL LETTER U WITH DIAERESIS}r"}
    assert policy_bodies.checked(fields) == fields


def test_a_project_has_an_id() -> None:
    for fine in ("0123456789abcdef0123456789abcdef", "a", "A-b", "x" * 255):
        assert policy_bodies.check_project(fine) == fine
    for wrong in ("", "x" * 256, "a\n", "a b", "a/b", "\N{ARABIC-INDIC DIGIT FIVE}", ".", "%00"):
        with pytest.raises(errors.InvalidSetting, match="project"):
            policy_bodies.check_project(wrong)


def test_how_a_policy_is_shown() -> None:
    assert policy_bodies.shown(CATALOG, GOLD, with_projects=False) == {
        "id": "5", "name": "gold", "description": "the best", "settings": {"cpu_priority": 7},
        "revision": 3, "is_default": False}
    shown = policy_bodies.shown(CATALOG, SILVER, with_projects=True)
    assert (shown["is_default"], shown["projects"]) == (True, ["c"])
    assert policy_bodies.projects_of(CATALOG, GOLD) == ["a", "b"]
