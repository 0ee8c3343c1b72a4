# SPDX-License-Identifier: Apache-2.0
"""What crosses the bus, held to a golden file: other releases read it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.bus import wire
from nova_qos.bus.wire import SetAnswer, Wish
from nova_qos.core.errors import HostRefused, TooEarly, UnsafeMemory
from nova_qos.core.reading import Reading
from nova_qos.core.server import Entry, Flavor, SavedServer
from tests.unit.clients import hosts

GOLDEN = Path(__file__).with_name("wire.json")
FULL = Reading(
    300, effective=False, reason="why", details={"weight": 5}, unmet="pending", since=12.5,
    span=(299, 301), wrong_mechanism=True)
BALANCED = Reading(200, reason="host tense", span=(200, 512), applied_source="balancer")
ENTRIES = {"memory": Entry(300, stamp=1790000000000), "cpu_priority": Entry(marked=True)}
SERVER = SavedServer("uuid", "host", None, Flavor(512, None, 600)).having(ENTRIES)


def messages() -> dict[str, Any]:
    """Every form that an answer takes."""
    return {
        "version": wire.VERSION,
        "reading": wire.reading_to_wire(Reading(1)),
        "reading, all fields": wire.reading_to_wire(FULL),
        "reading, balanced": wire.reading_to_wire(BALANCED),
        "server": wire.server_to_wire(SERVER),
        "set": SetAnswer({"memory": FULL}, ("memory",), 10.0, entries=ENTRIES).to_wire(),
        "set, too early": SetAnswer(too_early=TooEarly("wait", 4.0)).to_wire(),
        "wish": Wish(SERVER, {"memory": 300, "cpu_priority": None}).to_wire(),
        "error of one of many": wire.result_to_wire(UnsafeMemory("no")),
        "host_report": hosts.report(),
        "host_report, a server": hosts.placed(),
    }


def test_the_wire_is_as_it_is_written_down() -> None:
    sent = json.loads(json.dumps(messages()))
    assert sent == json.loads(GOLDEN.read_text()), (
        "the wire changed: other releases read it. Raise wire.VERSION, send the new form to those "
        f"alone who ask for that version, and write it down in {GOLDEN.name}")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_a_span_comes_back(least: int, width: int, spans: bool) -> None:
    reading = Reading(least, span=(least, least + width) if spans else None)
    assert wire.reading_from_wire(json.loads(json.dumps(wire.reading_to_wire(reading)))) == reading


@pytest.mark.parametrize("reading", [FULL, BALANCED, Reading(None), Reading(-1)])
def test_a_reading_comes_back(reading: Reading) -> None:
    sent = json.loads(json.dumps(wire.reading_to_wire(reading)))
    assert wire.reading_from_wire(sent) == reading


def test_what_a_newer_release_adds_is_ignored() -> None:
    sent = {"applied": 5, "hindered": None, "of_tomorrow": {"any": "thing"}}
    assert wire.reading_from_wire(sent) == Reading(5)
    assert SetAnswer.from_wire({"readings": {"memory": sent}, "of_tomorrow": 1}) == SetAnswer(
        {"memory": Reading(5)})


def test_a_reading_has_the_fields_that_releases_before_the_versioned_wire_know() -> None:
    assert set(wire.reading_to_wire(Reading(1))) == {
        "applied", "effective", "reason", "details", "hindered", "since", "span", "by_other_means"}


def test_a_set_that_came_too_early_comes_back() -> None:
    answer = SetAnswer.from_wire(SetAnswer(too_early=TooEarly("wait", 4.0)).to_wire())
    assert answer.too_early is not None
    assert (answer.too_early.message, answer.too_early.due_s) == ("wait", 4.0)


def test_an_error_of_one_of_many_comes_back() -> None:
    error = wire.result_from_wire(wire.result_to_wire(UnsafeMemory("no")))
    assert (type(error), str(error)) == (UnsafeMemory, "no")


def test_an_error_of_a_newer_release_is_a_refusal() -> None:
    error = wire.result_from_wire({"error": "OfTomorrow", "message": "no"})
    assert (type(error), str(error)) == (HostRefused, "no")
