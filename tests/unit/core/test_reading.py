# SPDX-License-Identifier: Apache-2.0
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED


def test_a_reading_holds_its_own_value_alone() -> None:
    reading = Reading(1024)
    assert [value for value in range(1000, 1050) if reading.holds(value)] == [1024]


def test_a_reading_with_a_span_holds_what_lies_in_it() -> None:
    reading = Reading(1495, span=(1491, 1500))
    assert [value for value in range(1480, 1510) if reading.holds(value)] == [*range(1491, 1501)]


def test_what_another_mechanism_enforces_is_not_held() -> None:
    assert not Reading(1024, wrong_mechanism=True).holds(1024)


def test_nothing_read_holds_nothing() -> None:
    assert not Reading(None).holds(1024)
    assert not Reading(None).holds(UNLIMITED)
