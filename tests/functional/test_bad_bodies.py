# SPDX-License-Identifier: Apache-2.0
"""Nothing that can be sent makes a 500, or leaves anything half done."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_qos.resources import BALLOON, GET_ALL, SET_ALL, TABLE, Resource
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server

rows = pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
GETS = [row.get_action for row in TABLE.values()] + [BALLOON, GET_ALL]
ACTIONS = [*GETS, *(row.set_action for row in TABLE.values()), SET_ALL]

#: JSON texts that are no value for any resource.
WRONG = ["1.5", '"1.5"', '"abc"', '""', '" 500"', "true", "null", "[]", "{}", "[500]",
         "NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400, '"' + "9" * 5000 + '"',
         '"0x200"', "-5", "0"]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:12])
@rows
def test_wrong_values(server: Server, row: Resource, text: str) -> None:
    answer = ADMIN.send(server, f'{{"{row.set_action}": {{"{row.key}": {text}}}}}')
    assert answer.status == 400, answer
    assert row.key in answer.message
    assert f"{row.minimum} to" in answer.message
    assert (server.saved(), server.domain.writes) == ({}, [])


def test_digits_beyond_what_python_converts(server: Server) -> None:
    text = '{"set-cpu-priority": {"share": ' + "9" * 5000 + "}}"
    assert ADMIN.send(server, text).status == 400


@rows
def test_wrong_shapes(server: Server, row: Resource) -> None:
    good = {row.key: 500}
    for value in (None, [], "500", 500, {}, {"size": 500}, {**good, "extra": 1}):
        answer = ADMIN.act(server, row.set_action, value)
        assert answer.status == 400, value
    two = json.dumps({row.set_action: good, row.get_action: None})
    assert ADMIN.send(server, two).status == 400
    assert (server.saved(), server.domain.writes) == ({}, [])


@pytest.mark.parametrize("action", GETS)
def test_gets_take_nothing(server: Server, action: str) -> None:
    for value in ({"a": 1}, [], 1, "x", True):
        assert ADMIN.act(server, action, value).status == 400


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "not json", '"text"', "7"])
def test_bodies_that_name_no_action(server: Server, text: str | None) -> None:
    assert ADMIN.send(server, text).status in (400, 404)


def test_unknown_action(server: Server) -> None:
    answer = ADMIN.act(server, "set-luck", {"luck": 7})
    assert (answer.status, "set-luck" in answer.message) == (400, True)


@pytest.mark.parametrize("values", [
    None, {}, [], {"force": True}, {"luck": 7}, {"cpu_priority": 2000, "luck": 7},
    {"cpu_priority": 2000, "io_priority": 5000}, {"cpu_priority": 2000, "memory": 513},
    {"cpu_priority": 2000, "memory": 300, "force": "yes"}, {"cpu_priority": {"share": 2000}},
], ids=str)
def test_one_bad_value_among_good_ones(server: Server, values: object) -> None:
    answer = ADMIN.act(server, SET_ALL, values)
    assert answer.status == 400, answer
    assert (server.saved(), server.domain.writes) == ({}, [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["share", "memory", "weight", "memory_limit", "force",
                                       "cpu_priority", "io_priority", "x"]), inner, max_size=3),
    max_leaves=6)


@given(action=st.sampled_from(ACTIONS), value=json_values)
@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_is_answered(server: Server, action: str, value: object) -> None:
    answer = ADMIN.act(server, action, value)
    assert answer.status in (200, 202, 400, 409), answer
