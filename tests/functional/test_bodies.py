# SPDX-License-Identifier: Apache-2.0
"""Bodies that are wrong: 400 with the field, the value and the range, and nothing has changed."""

import json

import pytest

from nova_qos.core.resource import Resource
from nova_qos.resources import TABLE
from tests import fakehost
from tests.functional.caller import ADMIN, Answer
from tests.functional.cloud import Server
from tests.functional.values import RANGES

each_row = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
#: As JSON text, which can hold more than Python's values.
WRONG = {
    "true": "true", "fraction": "1.5", "NaN": "NaN", "Infinity": "Infinity", "1e400": "1e400",
    "-1e400": "-1e400", "10**400": str(10**400), "10**5000": "1" + "0" * 5000,
    "digits": f'"{"9" * 5000}"', "empty": '""', "blank": '" "', "word": '"ten"', "hex": '"0x10"',
    "plus": '"+500"', "space": '"500 "', "newline": '"500\\n"', "float text": '"500.0"',
    "arabic": '"\\u0665\\u0660\\u0660"',
    "null": "null", "list": "[500]", "object": '{"value": 500}',
    "nested": "[" * 500 + "]" * 500, "surrogate": '"\\ud800"', "nul": '"\\u0000"',
}
wrong = pytest.mark.parametrize("value", WRONG.values(), ids=WRONG.keys())


def assert_refused(server: Server, answer: Answer, *words: str) -> None:
    assert answer.status == 400, answer
    for word in words:
        assert word in answer.message, answer.message
    assert server.saved() == {}
    assert server.domain.writes == []


@each_row
def test_both_ends_of_each_range(
    server: Server, row: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a host that has as much as anybody may ask for
    monkeypatch.setattr(fakehost, "NET_CAPACITY", 100_000_000)
    server.domain.used_kib = 0
    for value in RANGES[row.name]:
        answer = ADMIN.act(server, row.names.set_action, {row.names.key: value} | forced(row))
        assert answer.status == 200, answer
        assert server.saved() == {row.name: value}
        assert ADMIN.act(server, "set-qos", {row.name: value} | forced(row)).status == 200
        assert ADMIN.act(server, "get-qos").body[row.name]["applied"] == value


def forced(row: Resource) -> dict[str, object]:
    return {"force": True} if row.forceable else {}


@each_row
def test_beyond_each_range(server: Server, row: Resource) -> None:
    least, most = RANGES[row.name]
    below = least - 2 if least - 1 == row.value.reset else least - 1
    for value in (below, most + 1, 2**63, -(2**63), str(most + 1)):
        answer = ADMIN.act(server, row.names.set_action, {row.names.key: value})
        assert_refused(server, answer, row.names.key, str(value), str(least), f"to {most}")
        answer = ADMIN.act(server, "set-qos", {row.name: value})
        assert_refused(server, answer, row.name, str(value), str(least), f"to {most}")


@wrong
@each_row
def test_what_is_no_number(server: Server, row: Resource, value: str) -> None:
    least, most = RANGES[row.name]
    answer = ADMIN.send(server, f'{{"{row.names.set_action}": {{"{row.names.key}": {value}}}}}')
    names = () if value == WRONG["10**5000"] else (row.names.key, str(least), f"to {most}")
    assert_refused(server, answer, *names)
    if value != "null":
        names = names and (row.name, str(least), f"to {most}")
        answer = ADMIN.send(server, f'{{"set-qos": {{"{row.name}": {value}}}}}')
        assert_refused(server, answer, *names)


@pytest.mark.parametrize("value", ["null", "{}", "[]", "5", '"5"', "true", '"\\ud800"'])
@pytest.mark.parametrize("action", [*(row.names.set_action for row in TABLE.values()), "set-qos"])
def test_a_set_without_its_object(server: Server, action: str, value: str) -> None:
    assert_refused(server, ADMIN.send(server, f'{{"{action}": {value}}}'))


@pytest.mark.parametrize("value", [
    '{"share": 5}', "[]", "5", '"5"', "true", "false", '""', '"\\ud800"'])
@pytest.mark.parametrize("action", [
    *(row.names.get_action for row in TABLE.values()), "get-qos", "balloon-driver-enabled"])
def test_a_get_with_something_in_it(server: Server, action: str, value: str) -> None:
    assert_refused(server, ADMIN.send(server, f'{{"{action}": {value}}}'))


@each_row
def test_extra_keys(server: Server, row: Resource) -> None:
    value = {row.names.key: RANGES[row.name][0], "extra": 1}
    assert_refused(server, ADMIN.act(server, row.names.set_action, value), "extra")
    body = {row.names.set_action: {row.names.key: RANGES[row.name][0]}, "extra": 1}
    assert_refused(server, ADMIN.send(server, json.dumps(body)))


@pytest.mark.parametrize("value", [
    {"force": True}, {"unknown": 1}, {"cpu_priority": 5, "unknown": 1}, {"disk_priority": 5},
    {"share": 5}, {"cpu_priority": 5, "force": "yes"}, {"cpu_priority": 5, "force": 1},
    {"cpu_priority": 5, "force": None},
])
def test_set_qos_with_keys_that_are_none(server: Server, value: dict[str, object]) -> None:
    assert_refused(server, ADMIN.act(server, "set-qos", value))


@pytest.mark.parametrize("bad", [{"io_priority": 5}, {"io_priority": "x"}, {"memory": 513}])
def test_one_bad_among_good_changes_nothing(server: Server, bad: dict[str, object]) -> None:
    good = {"cpu_priority": 2048, "memory": 400, "memory_soft_limit": 100}
    (name,) = bad
    assert_refused(server, ADMIN.act(server, "set-qos", good | bad), name)


def test_force_is_for_memory_alone(server: Server) -> None:
    for row in TABLE.values():
        value = {row.names.key: RANGES[row.name][1], "force": True}
        answer = ADMIN.act(server, row.names.set_action, value)
        assert answer.status == (200 if row.forceable else 400)
    value = {"memory": 512, "force": "true"}
    assert ADMIN.act(server, "set-current-memory", value).status == 400


def test_an_old_url_ignores_extra_keys_as_for_every_action(server: Server) -> None:
    old = ADMIN.using(prefix="/v2")
    assert old.act(server, "set-cpu-priority", {"share": 5, "extra": 1}).body == {"share": 5}
    assert old.act(server, "set-qos", {"extra": 1}).status == 400
    assert server.saved() == {"cpu_priority": 5}


@pytest.mark.parametrize("text", [
    None, "", "[]", '"set-qos"', "{}", "{", "\x00",
    '{"set-qos": {"cpu_priority": 5}, "get-qos": null}', '{"no-such-action": null}',
    '{"set-cpu-priority ": {"share": 5}}', '{"SET-CPU-PRIORITY": {"share": 5}}',
    '{"set-disk-priority": {"prio": 5}}', '{"get": null}', '{"_set": {"share": 5}}', '{"": null}',
], ids=lambda text: str(text)[:40])
def test_bodies_that_name_no_action(server: Server, text: str | None) -> None:
    assert_refused(server, ADMIN.send(server, text))


def test_a_key_twice_is_the_last(server: Server) -> None:
    text = '{"set-cpu-priority": {"share": 5, "share": 6}}'
    assert ADMIN.send(server, text).body == {"share": 6}
