# SPDX-License-Identifier: Apache-2.0
"""Bodies go through nova's own validator, as they do in its API."""

import pytest
from jsonschema import Draft202012Validator
from nova import exception
from nova.api.validation import validators

from nova_qos import errors, schemas
from nova_qos.resources import BALLOON, GET_ALL, SET_ALL, TABLE, Resource
from tests.unit.rows import FLAVOR, NONSENSE, each_row, inside, outside

NO_JSON = (bytes,)
GETS = [row.get_action for row in TABLE.values()] + [GET_ALL, BALLOON]


def accepts(schema: schemas.Schema, body: object) -> bool:
    try:
        validators._SchemaValidator(schema).validate(body)
    except exception.ValidationError:
        return False
    return True


def set_body(row: Resource, value: object, **more: object) -> dict[str, object]:
    return {row.set_action: {row.key: value, **more}}


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
    for value in [*inside(row), *([] if row.lift is None else [row.lift])]:
        assert accepts(schema, set_body(row, value))
        assert accepts(schema, set_body(row, str(value)))


@each_row
def test_a_set_needs_exactly_its_key(row: Resource) -> None:
    schema, value = schemas.set_body(row), inside(row)[0]
    for wrong in (
        {}, None, [], {row.set_action: None}, {row.set_action: {}}, {row.set_action: value},
        {row.set_action: [value]}, {row.set_action: {"other": value}},
        set_body(row, value, other=value), {**set_body(row, value), "other": {}},
        {row.get_action: {row.key: value}}, set_body(row, None),
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
