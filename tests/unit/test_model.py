# SPDX-License-Identifier: Apache-2.0
import json

from hypothesis import given
from hypothesis import strategies as st

from nova_qos import rpc
from nova_qos.model import UNLIMITED, Reading


def test_a_reading_holds_its_own_value_alone() -> None:
    reading = Reading(1024)
    assert [value for value in range(1000, 1050) if reading.holds(value)] == [1024]


def test_a_reading_with_a_span_holds_what_lies_in_it() -> None:
    reading = Reading(1495, span=(1491, 1500))
    assert [value for value in range(1480, 1510) if reading.holds(value)] == [*range(1491, 1501)]


def test_what_is_done_by_other_means_is_not_held() -> None:
    assert not Reading(1024, by_other_means=True).holds(1024)


def test_nothing_read_holds_nothing() -> None:
    assert not Reading(None).holds(1024)
    assert not Reading(None).holds(UNLIMITED)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_a_span_outlives_the_message_bus(least: int, width: int, spans: bool) -> None:
    reading = Reading(least, span=(least, least + width) if spans else None)
    sent = json.loads(json.dumps(rpc.reading_to_wire(reading)))
    assert rpc.reading_from_wire(sent) == reading
