# SPDX-License-Identifier: Apache-2.0
"""Bodies go through nova's own validator, as they do in its API."""

import pytest
from jsonschema import Draft202012Validator
from nova import exception
from nova.api.validation import validators

from nova_qos.api import schemas
from nova_qos.core import errors
from nova_qos.core.resource import Resource
from nova_qos.resources import BALLOON, GET_ALL, SET_ALL, TABLE
from tests.unit.rows import FLAVOR, NONSENSE, SWITCH, each_row, inside, outside

NO_JSON = (bytes,)
GETS = [row.names.get_action for row in TABLE.values()] + [GET_ALL, BALLOON]


def accepts(schema: schemas.Schema, body: object) -> bool:
    try:
        validators._SchemaValidator(schema).validate(body)
    except exception.ValidationError:
        return False
    return True


def set_body(row: Resource, value: object, **more: object) -> dict[str, object]:
    return {row.names.set_action: {row.names.key: value, **more}}


@pytest.mark.parametrize("schema", [
    *[schemas.get_body(action) for action in GETS],
    *[schemas.set_body(row) for row in TABLE.values()],
    schemas.set_all_body(),
])
def test_every_schema_is_a_schema(schema: schemas.Schema) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("action", GETS)
def test_a_get_takes_nothing(action: str) -> None:
    schema = schemas.get_body(action)
    assert accepts(schema, {action: None})
    assert accepts(schema, {action: {}})
    more = {action: None, "x": None}
    for wrong in ({action: {"x": 1}}, {action: []}, {action: 1}, more, {}, None):
        assert not accepts(schema, wrong), wrong


@each_row
def test_the_whole_range_is_accepted(row: Resource) -> None:
    schema = schemas.set_body(row)
    for value in [*inside(row), *([] if row.value.reset is None else [row.value.reset])]:
        assert accepts(schema, set_body(row, value))
        assert accepts(schema, set_body(row, str(value)))


@each_row
def test_a_set_needs_exactly_its_key(row: Resource) -> None:
    schema, value = schemas.set_body(row), inside(row)[0]
    for wrong in (
        {}, None, [], {row.names.set_action: None}, {row.names.set_action: {}},
        {row.names.set_action: value},
        {row.names.set_action: [value]}, {row.names.set_action: {"other": value}},
        set_body(row, value, other=value), {**set_body(row, value), "other": {}},
        {row.names.get_action: {row.names.key: value}}, set_body(row, None),
    ):
        assert not accepts(schema, wrong), wrong


@each_row
def test_force_only_where_the_row_knows_it(row: Resource) -> None:
    schema, value = schemas.set_body(row), inside(row)[0]
    assert accepts(schema, set_body(row, value, force=True)) == row.forceable
    for wrong in ("true", 1, None):
        assert not accepts(schema, set_body(row, value, force=wrong))


@each_row
def test_shape_and_range_together_refuse_what_is_no_setting(row: Resource) -> None:
    beyond = list(outside(row))
    wrong = [*(value for value in NONSENSE if not isinstance(value, NO_JSON)), *beyond,
             *map(str, beyond)]
    for value in wrong:
        for schema, body in (
            (schemas.set_body(row), set_body(row, value)),
            (schemas.set_all_body(), {SET_ALL: {row.name: value}}),
        ):
            if accepts(schema, body):
                with pytest.raises(errors.InvalidSetting):
                    row.check(value, FLAVOR)


def test_set_qos_takes_any_subset_and_null() -> None:
    schema = schemas.set_all_body()
    assert accepts(schema, {SET_ALL: {name: inside(row)[0] for name, row in TABLE.items()}})
    for name, row in TABLE.items():
        for value in (inside(row)[0], str(inside(row)[0]), None):
            assert accepts(schema, {SET_ALL: {name: value}})
            assert accepts(schema, {SET_ALL: {name: value, "force": True}})


def test_set_qos_takes_nothing_else() -> None:
    schema = schemas.set_all_body()
    for wrong in (None, {}, [], {"force": True}, {"color": 1}, {"memory": 256, "color": 1},
                  {"memory": 256, "force": "yes"}, {"memory": {}}, {"memory": True}):
        assert not accepts(schema, {SET_ALL: wrong}), wrong


def test_a_switch_is_true_or_false_or_a_word() -> None:
    schema = schemas.set_body(SWITCH)
    Draft202012Validator.check_schema(schema)
    for value in (True, False, "on", "off"):
        assert accepts(schema, set_body(SWITCH, value))
    for wrong in (1, 0, "1", "true", "On", "", None, [], {}):
        assert not accepts(schema, set_body(SWITCH, wrong)), wrong


def test_null_unsets_a_switch_in_set_qos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, SWITCH.name, SWITCH)  # type: ignore[arg-type]
    for value in (True, "off", None):
        assert accepts(schemas.set_all_body(), {SET_ALL: {SWITCH.name: value}})
    assert not accepts(schemas.set_all_body(), {SET_ALL: {SWITCH.name: 1}})
