# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import desired, errors
from nova_qos.core.balloon import Balloon
from nova_qos.core.reading import Reading
from nova_qos.core.report import report, state_of
from nova_qos.core.resource import Default, Resource
from nova_qos.core.server import Flavor
from nova_qos.core.units import UNLIMITED, Unit
from nova_qos.core.value import Switch
from nova_qos.resources import TABLE
from nova_qos.resources.memory import lowest_safe_kib
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
    if row.value.reset is None:
        with pytest.raises(errors.InvalidSetting):
            row.check(UNLIMITED, FLAVOR)
    else:
        assert row.check(row.value.reset, FLAVOR) is None
        assert row.check(str(row.value.reset), FLAVOR) is None


@each_row
def test_a_refusal_names_field_value_and_range(row: Resource) -> None:
    least, most = row.value.range_of(FLAVOR)
    with pytest.raises(errors.InvalidSetting) as caught:
        row.check(most + 1, FLAVOR)
    for part in (row.names.key, str(most + 1), str(least), str(most), row.unit.name):
        assert part in caught.value.message


def test_a_refusal_names_what_the_flavor_allows() -> None:
    for name, words in (("memory", f"1 to {FLAVOR.memory_mib} (the flavor's memory)."),
                        ("cpu_limit", f"10 to {100 * FLAVOR.vcpus} (100 for each vCPU), or -1 ")):
        with pytest.raises(errors.InvalidSetting) as caught:
            TABLE[name].check(1 << 40, FLAVOR)
        assert words in caught.value.message


@each_row
def test_a_refusal_stays_short(row: Resource) -> None:
    with pytest.raises(errors.InvalidSetting) as caught:
        row.check("x" * 100_000, FLAVOR)
    assert len(caught.value.message) < 300


@given(row=any_row, value=st.one_of(
    st.integers(), st.floats(), st.text(), st.booleans(), st.integers().map(str)))
def test_check_answers_within_the_range_or_refuses(row: Resource, value: object) -> None:
    least, most = row.value.range_of(FLAVOR)
    try:
        number = row.check(value, FLAVOR)
    except errors.InvalidSetting:
        return
    kept = row.value.reset if number is None else number
    assert kept == int(value)  # type: ignore[call-overload]
    assert number is None or least <= number <= most


def test_no_more_memory_than_the_flavor_has() -> None:
    row = TABLE["memory"]
    assert row.check(512, Flavor(512)) == 512
    with pytest.raises(errors.InvalidSetting, match="1 to 512"):
        row.check(513, Flavor(512))


def test_a_flavor_with_shares_sets_the_default() -> None:
    assert TABLE["cpu_priority"].default.of(Flavor(512)) == 1024
    assert TABLE["cpu_priority"].default.of(Flavor(512, cpu_shares=300)) == 300
    # what cgroup v1 makes of what it cannot hold
    beyond = {shares: TABLE["cpu_priority"].default.of(Flavor(512, cpu_shares=shares))
              for shares in (-5, 0, 1, 10**12)}
    assert beyond == {-5: 2, 0: 2, 1: 2, 10**12: 262144}


def test_servers_that_nobody_set_have_shares_by_their_vcpus() -> None:
    row = TABLE["cpu_priority"]
    fair = {shares: row.default.of(Flavor(512, fair_cpu_shares=shares))
            for shares in (1, 2, 600, 10**6)}
    assert fair == {1: 2, 2: 2, 600: 600, 10**6: 262144}
    assert row.default.kept_for(Flavor(512, fair_cpu_shares=600))


@each_row
def test_no_default_is_kept_unless_the_operator_wants_it(row: Resource) -> None:
    assert not row.default.kept_for(Flavor(512, cpu_shares=300))


@given(row=any_row, part=st.floats(0, 1))
def test_a_value_survives_the_way_to_the_host_and_back(row: Resource, part: float) -> None:
    least, most = row.value.range_of(FLAVOR)
    value = least + int(part * (most - least))
    assert row.shown(desired.target(row, FLAVOR, value).host_value) == value


@each_row
def test_nothing_requested_is_the_default_on_the_host(row: Resource) -> None:
    assert row.shown(desired.target(row, FLAVOR, None).host_value) == row.default.of(FLAVOR)


@each_row
def test_the_default_lies_in_the_range_or_is_no_limit(row: Resource) -> None:
    least, most = row.value.range_of(FLAVOR)
    assert row.default.of(FLAVOR) == UNLIMITED or least <= row.default.of(FLAVOR) <= most


@each_row
def test_state_tells_requested_and_reading_apart(row: Resource) -> None:
    wanted = row.value.range_of(FLAVOR)[0]
    held = desired.target(row, FLAVOR, wanted).host_value
    states = {
        "applied": (wanted, Reading(held)),
        "applied (as its host rounds)": (wanted, Reading(held + 1, span=(held, held + 2))),
        "drifted": (wanted, Reading(held + row.unit.scale)),
        "unset": (None, Reading(held)),
        "pending": (wanted, Reading(None)),
        "unsupported": (wanted, Reading(held, unmet="unsupported")),
    }
    assert {state: state_of(desired.target(row, FLAVOR, asked), reading)
            for state, (asked, reading) in states.items()} == {
                state: state.split()[0] for state in states}


def shown(row: Resource, requested: int | None, reading: Reading) -> dict[str, object]:
    return report(row, desired.target(row, FLAVOR, requested), FLAVOR, reading)


@each_row
def test_a_report_has_every_figure_in_the_unit_of_the_api(row: Resource) -> None:
    least, most = row.value.range_of(FLAVOR)
    found = shown(row, least, Reading(row.unit.to_host(least)))
    assert found == {
        "requested": least, "applied": least, "unit": row.unit.name, "range": [least, most],
        "default": row.default.of(FLAVOR), "state": "applied", "effective": True, "reason": None,
        "since": None, "source": "server", "policy_revision": None,
        "applied_source": None}
    assert list(found) == ["requested", "applied", "unit", "range", "default", "state",
                           "effective", "reason", "since", "source", "policy_revision",
                           "applied_source"]


def test_a_drift_says_so() -> None:
    found = shown(TABLE["io_priority"], 200, Reading(300))
    assert (found["state"], found["applied"]) == ("drifted", 300)
    assert "another value" in str(found["reason"])


def test_more_than_the_flavor_has_is_reduced_with_a_reason() -> None:
    found = shown(TABLE["memory"], 600, Reading(512 * 1024))
    assert (found["state"], found["requested"], found["applied"]) == ("applied", 600, 512)
    assert found["reason"] == "reduced to 512 MiB, the most for the flavor"


def test_what_divides_a_resource_is_told_as_weight() -> None:
    shared = Reading(10, details={"weight": 89})
    weights = {name: row.weight_of(shared) for name, row in TABLE.items() if row.division}
    assert weights == {"cpu_priority": 10, "io_priority": 10, "net_priority": 89,
                       "net_in_priority": 89}
    assert TABLE["memory"].weight_of(shared) is None
    assert TABLE["net_priority"].weight_of(Reading(UNLIMITED, details={"weight": 50})) == 50
    assert TABLE["net_priority"].weight_of(Reading(UNLIMITED)) is None


@each_row
def test_what_has_no_effect_has_no_weight(row: Resource) -> None:
    for reading in (Reading(None), Reading(10, effective=False, details={"weight": 89})):
        assert row.weight_of(reading) is None


@given(target=st.integers(2, 2**30), part=st.floats(0, 1))
def test_memory_that_does_not_move_is_first_set_a_little_lower(target: int, part: float) -> None:
    follow, actual = TABLE["memory"].follow, int(part * (target - 2))
    assert follow is not None
    assert actual < follow.intermediate(target, actual) < target
    assert target - follow.intermediate(target, actual) <= 1024
    assert follow.intermediate(target, target) == follow.intermediate(target, target + 1) == target


def test_page_cache_counts_as_free() -> None:
    assert lowest_safe_kib(Balloon(True, None, actual_kib=1000, usable_kib=700), 50) == 350


SWITCH = replace(
    TABLE["io_priority"], name="page_sharing", title="page sharing", value=Switch(), knob=None,
    unit=Unit("on/off", "on/off"), default=Default(lambda flavor: 1, "on"))


def test_a_switch_is_on_or_off_on_every_surface() -> None:
    assert SWITCH.describe(field="page_sharing") == (
        "page_sharing: page sharing in on/off, on or off.")
    assert [SWITCH.check(value, FLAVOR) for value in (True, False, "on", "off", None)] == [
        1, 0, 1, 0, None]
    # the agent checks again what the API made of it
    assert SWITCH.check(1, FLAVOR) == 1
    for wrong in ("yes", 2, [], "ON", "1"):
        with pytest.raises(errors.InvalidSetting, match="on or off"):
            SWITCH.check(wrong, FLAVOR)
    assert SWITCH.value.parse("off", SWITCH.unit) is False
    with pytest.raises(errors.InvalidSetting, match="neither on nor off"):
        SWITCH.value.parse("1", SWITCH.unit)
    found = shown(SWITCH, 0, Reading(None))
    assert (found["requested"], found["applied"], found["default"]) == (False, False, True)


def test_what_no_knob_holds_is_in_force_once_it_is_requested() -> None:
    assert shown(SWITCH, 1, Reading(None))["state"] == "applied"
    assert shown(SWITCH, None, Reading(None))["state"] == "unset"
