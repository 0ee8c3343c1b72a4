# SPDX-License-Identifier: Apache-2.0
"""Named policies: their names, their settings, and the catalog as it crosses the network."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import policy
from nova_qos.core.errors import InvalidSetting
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE

GOLD = Policy(5, "gold", {"memory": "75%", "net_priority": 3}, 2, "the best")
CATALOG = Catalog("5f1c", 9, {5: GOLD}, {"project": 5}, 5)


@pytest.mark.parametrize("name", ["gold", "g\u00f6ld", "\u91d1", "a b", "a" * 255, "-", "%2F", "/"])
def test_names_that_every_database_keeps(name: str) -> None:
    assert policy.check_name(name) == name


@pytest.mark.parametrize("name", [
    "", "a" * 256, " gold", "gold ", "a\0b", "a\nb", "\ud800", "\U0001f947", None, 5, ["gold"],
    "none", "None", "NONE"])
def test_names_that_some_database_does_not_keep_or_that_mean_something(name: object) -> None:
    with pytest.raises(InvalidSetting, match=r"^name: "):
        policy.check_name(name)


def test_two_ways_to_write_a_name_are_one() -> None:
    composed = "g\u00f6ld"
    taken_apart = unicodedata.normalize("NFD", composed)
    assert policy.check_name(taken_apart) == composed
    assert policy.folded(taken_apart) == policy.folded("G\u00d6LD")
    assert CATALOG.named("GOLD") == GOLD
    assert CATALOG.named("silver") is None


@given(st.text(min_size=1, max_size=255))
def test_what_is_unique_of_a_name_fits_into_its_column(name: str) -> None:
    assert len(policy.folded(name)) <= 3 * 255
    assert policy.folded(policy.folded(name)) == policy.folded(name)


def test_settings_are_saved_in_the_order_of_the_table_and_as_numbers() -> None:
    asked = {"net_priority": "7", "memory": "75%", "cpu_limit": "50%/vcpu", "cpu_priority":
             "512/vcpu", "net_limit": UNLIMITED, "io_limit": 200}
    assert list(policy.check_settings(TABLE, asked).items()) == [
        ("memory", "75%"), ("cpu_priority", "512/vcpu"), ("net_priority", 7),
        ("cpu_limit", "50%/vcpu"), ("io_limit", 200), ("net_limit", UNLIMITED)]


@pytest.mark.parametrize(("settings", "words"), [
    ({"speed": 1}, "no such resource: speed; there are: memory, "),
    ({"memory": "0%"}, "memory: '0%' is not accepted"),
    ({"memory": "101%"}, "a part of the flavor's memory"),
    ({"memory": UNLIMITED}, "memory: '-1' is not accepted"),
    ({"net_priority": 99}, "net_priority: '99' is not accepted"),
    ({"io_priority": "50%"}, "io_priority: '50%' is not accepted"),
    ({"cpu_priority": "512/VCPU"}, "or so much for each vCPU"),
    ({"memory": None}, "memory: 'None' is not accepted"),
    ({"memory": True}, "memory: 'True' is not accepted"),
    ({"cpu_guarantee": 50, "cpu_limit": 40}, "more than cpu_limit 40"),
    ({"cpu_guarantee": "80%/vcpu", "cpu_limit": "50%/vcpu"},
     "cpu_guarantee 80%/vcpu is more than cpu_limit 50%/vcpu of the same policy; ask for a "
     "cpu_guarantee of 50%/vcpu at most, or for another cpu_limit"),
    ({"memory_guarantee": "90%", "memory": "50%"}, "memory_guarantee 90% is more than memory 50%"),
])
def test_settings_that_no_server_can_have(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        policy.check_settings(TABLE, settings)
    assert words in refusal.value.message


def test_what_depends_on_the_flavor_or_is_lifted_contradicts_nothing() -> None:
    for settings in ({"cpu_guarantee": "50%/vcpu", "cpu_limit": 40},
                     {"cpu_guarantee": "9%/vcpu", "cpu_limit": "50%/vcpu"},
                     {"cpu_guarantee": 50, "cpu_limit": UNLIMITED}):
        assert policy.check_settings(TABLE, settings).keys() == settings.keys()


def test_a_catalog_comes_back_without_descriptions() -> None:
    sent = json.loads(json.dumps(CATALOG.to_json()))
    found = Catalog.from_json({**sent, "more": 1})
    assert found == Catalog("5f1c", 9, {5: Policy(5, "gold", GOLD.settings, 2)}, {"project": 5}, 5)


@pytest.mark.parametrize("json", [
    None, [], {}, "x", {**CATALOG.to_json(), "projects": None},
    {**CATALOG.to_json(), "default": "x"}, {**CATALOG.to_json(), "policies": [{"id": 1}]}])
def test_what_is_no_catalog_is_refused(json: object) -> None:
    with pytest.raises(InvalidSetting):
        Catalog.from_json(json)


@pytest.mark.parametrize("number", [None, 0, 1, 10**15 - 1])
def test_numbers_of_policies(number: int | None) -> None:
    assert policy.check_number(number) == number


@pytest.mark.parametrize("number", [-1, 10**15, True, "5", 1.0])
def test_what_is_no_number_of_a_policy(number: object) -> None:
    with pytest.raises(InvalidSetting):
        policy.check_number(number)
