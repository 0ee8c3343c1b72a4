# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos import errors
from nova_qos.model import UNLIMITED, Balloon, Flavor, Reading
from nova_qos.report import report, state_of
from nova_qos.resources import TABLE, Resource, lowest_safe_kib
from tests.unit.rows import FLAVOR, NONSENSE, each_row, inside, outside

any_row = st.sampled_from(list(TABLE.values()))


@each_row
def test_range_is_accepted_as_number_and_as_digits(row: Resource) -> None:
    for value in inside(row):
        assert row.check(value, FLAVOR) == value
        assert row.check(str(value), FLAVOR) == value
        assert row.check(float(value), FLAVOR) == value


@each_row
def test_beyond_the_range_is_refused(row: Resource) -> None:
    for value in outside(row):
        for spelled in (value, str(value)):
            with pytest.raises(errors.InvalidSetting):
                row.check(spelled, FLAVOR)


@each_row
@pytest.mark.parametrize("value", NONSENSE, ids=lambda value: repr(value)[:20])
def test_nonsense_is_refused(row: Resource, value: object) -> None:
    with pytest.raises(errors.InvalidSetting):
        row.check(value, FLAVOR)


@each_row
def test_null_unsets(row: Resource) -> None:
    assert row.check(None, FLAVOR) is None


@each_row
def test_the_lifting_value_unsets(row: Resource) -> None:
    if row.lift is None:
        with pytest.raises(errors.InvalidSetting):
            row.check(UNLIMITED, FLAVOR)
    else:
        assert row.check(row.lift, FLAVOR) is None
        assert row.check(str(row.lift), FLAVOR) is None


@each_row
def test_a_refusal_names_field_value_and_range(row: Resource) -> None:
    least, most = row.range_of(FLAVOR)
    with pytest.raises(errors.InvalidSetting) as caught:
        row.check(most + 1, FLAVOR)
    for part in (row.key, str(most + 1), str(least), str(most), row.unit):
        assert part in caught.value.message


@each_row
def test_a_refusal_stays_short(row: Resource) -> None:
    with pytest.raises(errors.InvalidSetting) as caught:
        row.check("x" * 100_000, FLAVOR)
    assert len(caught.value.message) < 300


@given(row=any_row, value=st.one_of(
    st.integers(), st.floats(), st.text(), st.booleans(), st.integers().map(str)))
def test_check_answers_within_the_range_or_refuses(row: Resource, value: object) -> None:
    least, most = row.range_of(FLAVOR)
    try:
        number = row.check(value, FLAVOR)
    except errors.InvalidSetting:
        return
    kept = row.lift if number is None else number
    assert kept == int(value)  # type: ignore[call-overload]
    assert number is None or least <= number <= most


def test_no_more_memory_than_the_flavor_has() -> None:
    row = TABLE["memory"]
    assert row.check(512, Flavor(512)) == 512
    with pytest.raises(errors.InvalidSetting, match="1 to 512"):
        row.check(513, Flavor(512))


def test_a_flavor_with_shares_sets_the_default() -> None:
    assert TABLE["cpu_priority"].default(Flavor(512)) == 1024
    assert TABLE["cpu_priority"].default(Flavor(512, cpu_shares=300)) == 300


def test_servers_that_nobody_set_have_shares_by_their_vcpus() -> None:
    row = TABLE["cpu_priority"]
    fair = {shares: row.default(Flavor(512, fair_cpu_shares=shares))
            for shares in (1, 2, 600, 10**6)}
    assert fair == {1: 2, 2: 2, 600: 600, 10**6: 262144}
    assert row.keeps_default(Flavor(512, fair_cpu_shares=600))


@each_row
def test_no_default_is_kept_unless_the_operator_wants_it(row: Resource) -> None:
    assert not row.keeps_default(Flavor(512, cpu_shares=300))


@given(row=any_row, part=st.floats(0, 1))
def test_a_value_survives_the_way_to_the_host_and_back(row: Resource, part: float) -> None:
    least, most = row.range_of(FLAVOR)
    value = least + int(part * (most - least))
    assert row.from_host(row.to_host(value, FLAVOR)) == value


@each_row
def test_nothing_requested_is_the_default_on_the_host(row: Resource) -> None:
    assert row.from_host(row.to_host(None, FLAVOR)) == row.default(FLAVOR)


@each_row
def test_the_default_lies_in_the_range_or_is_no_limit(row: Resource) -> None:
    least, most = row.range_of(FLAVOR)
    assert row.default(FLAVOR) == UNLIMITED or least <= row.default(FLAVOR) <= most


def test_sizes_are_kib_on_the_host() -> None:
    assert TABLE["memory"].to_host(3, FLAVOR) == 3072
    assert TABLE["memory"].from_host(3073) == 3.001
    assert TABLE["memory_soft_limit"].to_host(None, FLAVOR) == UNLIMITED
    assert TABLE["memory_soft_limit"].from_host(UNLIMITED) == UNLIMITED


@each_row
def test_state_tells_requested_and_reading_apart(row: Resource) -> None:
    wanted = row.range_of(FLAVOR)[0]
    held = row.to_host(wanted, FLAVOR)
    states = {
        "applied": (wanted, Reading(held)),
        "applied (as its host rounds)": (wanted, Reading(held + 1, span=(held, held + 2))),
        "drifted": (wanted, Reading(held + row.host_scale)),
        "unset": (None, Reading(held)),
        "pending": (wanted, Reading(None)),
        "unsupported": (wanted, Reading(held, hindered="unsupported")),
    }
    assert {state: state_of(row, asked, FLAVOR, reading)
            for state, (asked, reading) in states.items()} == {
                state: state.split()[0] for state in states}


@each_row
def test_a_report_has_every_figure_in_the_unit_of_the_api(row: Resource) -> None:
    least, most = row.range_of(FLAVOR)
    assert report(row, least, FLAVOR, Reading(row.to_host(least, FLAVOR))) == {
        "requested": least, "applied": least, "unit": row.unit, "range": [least, most],
        "default": row.default(FLAVOR), "state": "applied", "effective": True, "reason": None,
        "since": None}


def test_a_drift_says_so() -> None:
    shown = report(TABLE["io_priority"], 200, FLAVOR, Reading(300))
    assert (shown["state"], shown["applied"]) == ("drifted", 300)
    assert "another value" in str(shown["reason"])


def test_what_divides_a_resource_is_told_as_weight() -> None:
    shared = Reading(10, details={"weight": 89})
    assert {name: row.weight_of(shared) for name, row in TABLE.items()} == {
        "memory": None, "memory_soft_limit": None, "cpu_priority": 10, "io_priority": 10,
        "net_priority": 89}
    assert TABLE["net_priority"].weight_of(Reading(UNLIMITED, details={"weight": 50})) == 50
    assert TABLE["net_priority"].weight_of(Reading(UNLIMITED)) is None


@each_row
def test_what_does_nothing_has_no_weight(row: Resource) -> None:
    for reading in (Reading(None), Reading(10, effective=False, details={"weight": 89})):
        assert row.weight_of(reading) is None


@given(target=st.integers(2, 2**30), part=st.floats(0, 1))
def test_memory_that_stands_still_is_nudged_upwards_only(target: int, part: float) -> None:
    nudge, actual = TABLE["memory"].nudge, int(part * (target - 2))
    assert nudge is not None
    assert actual < nudge(target, actual) < target
    assert target - nudge(target, actual) <= 1024
    assert nudge(target, target) == nudge(target, target + 1) == target


def test_page_cache_counts_as_free() -> None:
    assert lowest_safe_kib(Balloon(True, None, actual_kib=1000, usable_kib=700), 50) == 350
