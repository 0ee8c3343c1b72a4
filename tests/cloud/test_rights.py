# SPDX-License-Identifier: Apache-2.0
"""Who may do what, with real tokens."""

import pytest

from tests.cloud.api import Person

SETS = [
    ("set-current-memory", {"memory": 400}),
    ("set-memory-soft-limit", {"memory_limit": 100}),
    ("set-cpu-priority", {"share": 100}),
    ("set-io-priority", {"weight": 200}),
    ("set-qos", {"cpu_priority": 100}),
]
GETS = ["get-current-memory", "get-memory-soft-limit", "get-cpu-priority", "get-io-priority",
        "balloon-driver-enabled", "get-qos"]


@pytest.mark.parametrize("action", GETS)
def test_gets(reader: Person, member: Person, other: Person, vm1: str, action: str) -> None:
    assert [person.act(vm1, action)[0] for person in (reader, member, other)] == [200, 200, 404]


@pytest.mark.parametrize(("action", "value"), SETS)
def test_sets(
    reader: Person, member: Person, other: Person, vm1: str, action: str, value: object
) -> None:
    people = (reader, member, other)
    assert [person.act(vm1, action, value)[0] for person in people] == [403, 403, 404]


def test_unknown_server(admin: Person) -> None:
    assert admin.act("00000000-0000-0000-0000-000000000000", "get-qos")[0] == 404
