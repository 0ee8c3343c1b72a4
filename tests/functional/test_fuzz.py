# SPDX-License-Identifier: Apache-2.0
"""Requests that nobody has thought of: none is an error of ours, and what is refused left no trace.

The examples are the same in every run.
"""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nova_qos.core.server import Flavor
from nova_qos.resources import BALLOON, GET_ALL, LIST_PATH, SET_ALL, TABLE
from tests.functional.caller import ADMIN, Answer
from tests.functional.cloud import Server
from tests.functional.policies import create, names, send
from tests.functional.values import FLAVOR_MIB

SETS = {row.names.set_action: row.names.key for row in TABLE.values()} | {SET_ALL: "cpu_priority"}
GETS = [*(row.names.get_action for row in TABLE.values()), GET_ALL, BALLOON]
ACTIONS = [*SETS, *GETS]
KEYS = [*(row.names.key for row in TABLE.values()), *TABLE, "force"]
#: The ends of the ranges, and what computers count to.
EDGES = sorted({
    edge + step for row in TABLE.values() for edge in row.value.range_of(Flavor(FLAVOR_MIB))
    for step in (-2, -1, 0, 1)} | {2**31, 2**32, 2**63, 2**64, -(2**63), 10**15, 10**20})
NUMBERS = st.sampled_from(EDGES) | st.integers()
WORDS = NUMBERS.map(str) | st.text(max_size=8) | st.sampled_from(
    ["0x10", "1e3", " 5", "5 ", "+5", "--5", "٣", "5\n", "NaN", "null", "\ud800"])
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats() | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4),
    max_leaves=6)
#: What is nearly right comes further into the code than what is not.
NEARLY = st.dictionaries(st.sampled_from(KEYS), NUMBERS | WORDS | st.booleans(), max_size=6)
VERSIONS = st.sampled_from([("/v2", None), ("/v2.1", None), ("/v2.1", "2.1"), ("/v2.1", "2.96")])

_Test = Callable[..., None]


def examples(number: int) -> Callable[[_Test], _Test]:
    return settings(max_examples=number, derandomize=True, database=None, suppress_health_check=[
        *settings().suppress_health_check, HealthCheck.function_scoped_fixture])


def assert_judged(server: Server, answer: Answer) -> None:
    """It was done, or refused for a reason and without a trace; what is saved is in range."""
    saved, writes = server.saved(), list(server.domain.writes)
    if saved or writes:
        server.reset()
    assert answer.status in (200, 400, 404, 409), answer
    if answer.status == 200:
        for name, value in saved.items():
            least, most = TABLE[name].value.range_of(Flavor(FLAVOR_MIB))
            assert least <= value <= most
    else:
        assert answer.message
        assert (saved, writes) == ({}, [])


@pytest.mark.parametrize("action", ACTIONS)
@examples(20)
@given(value=JSON, version=VERSIONS)
def test_any_value(
    server: Server, action: str, value: object, version: tuple[str, str | None]
) -> None:
    prefix, microversion = version
    caller = ADMIN.using(prefix=prefix, microversion=microversion)
    assert_judged(server, caller.act(server, action, value))


@pytest.mark.parametrize(("action", "key"), SETS.items(), ids=SETS.keys())
@examples(20)
@given(value=NUMBERS | WORDS, more=NEARLY)
def test_nearly_right_values(
    server: Server, action: str, key: str, value: object, more: dict[str, object]
) -> None:
    body = more | {key: value} if action == SET_ALL else {key: value}
    assert_judged(server, ADMIN.act(server, action, body))


@examples(60)
@given(data=st.data(), action=st.sampled_from(list(SETS)), insert=st.binary(max_size=3))
def test_broken_text(server: Server, data: st.DataObject, action: str, insert: bytes) -> None:
    text = json.dumps({action: {SETS[action]: 256}}).encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 4)))
    broken = text[:start] + insert + text[end:]
    assert_judged(server, ADMIN.send(server, broken))


@examples(60)
@given(query=st.dictionaries(
    st.sampled_from(["host", "limit", "marker", "Host", "host[]", "all"]),
    st.text(st.characters(codec="ascii"), max_size=12) | NUMBERS.map(str)
    | st.sampled_from(["compute", "COMPUTE", "%00", "..", "00000000-0000-0000-0000-000000000000"]),
    max_size=3))
def test_any_query(server: Server, query: dict[str, str]) -> None:
    answer = ADMIN.request("GET", f"{LIST_PATH}?{urlencode(query)}")
    assert answer.status in (200, 400, 404), answer


POLICY_FIELDS = st.dictionaries(
    st.sampled_from(["name", "description", "settings", "is_default", "id"]),
    SCALARS | st.dictionaries(
        st.sampled_from([*TABLE]) | st.text(max_size=5),
        SCALARS | st.sampled_from(["75%", "512/vcpu", "50%/vcpu", "101%", "0%", "1%/vcpu "]),
        max_size=4), max_size=5)


@pytest.mark.usefixtures("policies")
@examples(150)
@given(method=st.sampled_from(["POST", "PUT"]), fields=POLICY_FIELDS | JSON)
def test_any_policy(method: str, fields: object) -> None:
    found = names(ADMIN)
    policy = send("GET").body["policies"][0]["id"] if found else create("first")
    answer = send(method, "" if method == "POST" else f"/{policy}", {"policy": fields})
    assert answer.status in (200, 201, 400, 409), answer
    if answer.status < 300:
        assert answer.body["policy"] in send("GET").body["policies"]
    else:
        assert answer.message


@pytest.mark.usefixtures("policies")
@examples(60)
@given(query=st.dictionaries(
    st.sampled_from(["name", "in_use", "limit"]),
    st.text(st.characters(codec="utf-8"), max_size=12), max_size=2))
def test_any_query_for_policies(query: dict[str, str]) -> None:
    policy = create() if not names(ADMIN) else send("GET").body["policies"][0]["id"]
    for path in ("", f"/{policy}"):
        answer = send("GET", f"{path}?{urlencode(query)}")
        assert answer.status in (200, 400), answer
