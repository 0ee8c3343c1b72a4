# SPDX-License-Identifier: Apache-2.0
"""The resolver: for each resource the first source that names it decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import desired
from nova_qos.core.desired import DEFAULT, SERVER, Layer, Source
from nova_qos.core.errors import InvalidSetting
from nova_qos.core.reading import Reading
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE

#: Stands for a source that is to come, such as a policy.
OTHER = Source("default")
FAIR = Flavor(512, fair_cpu_shares=600)


def server(flavor: Flavor = FAIR, marked: frozenset[str] = frozenset(), **own: int) -> SavedServer:
    return SavedServer("uuid", "compute", None, flavor, own, marked)


def test_a_default_is_what_the_host_makes_of_the_flavor() -> None:
    weight = {"cpu_priority": Reading(None, details={"weight": 100})}
    for shares, on_v2 in ((1, 10), (200, 2048), (10000, 102400), (10**6, 102400)):
        flavor = Flavor(512, cpu_shares=shares)
        resolved = desired.resolve(TABLE, server(flavor))
        found = desired.at_host(TABLE, resolved, flavor, weight)
        assert found["cpu_priority"].host_value == on_v2
        assert {**found, "cpu_priority": resolved["cpu_priority"]} == resolved
        shares_v1 = {"cpu_priority": Reading(1024)}
        assert desired.at_host(TABLE, resolved, flavor, shares_v1) == resolved


def test_what_is_requested_is_the_same_on_every_host() -> None:
    weight = {"cpu_priority": Reading(None, details={"weight": 100})}
    for flavor, own in ((Flavor(512, cpu_shares=200), {"cpu_priority": 77}), (FAIR, {}),
                        (Flavor(512), {})):
        resolved = desired.resolve(TABLE, server(flavor, **own))
        assert desired.at_host(TABLE, resolved, flavor, weight) == resolved


def test_every_resource_has_a_target() -> None:
    resolved = desired.resolve(TABLE, server(Flavor(512)))
    assert list(resolved) == list(TABLE)
    values = {name: target.value for name, target in resolved.items()}
    assert values == {name: row.default.of(Flavor(512)) for name, row in TABLE.items()}
    assert (values["memory"], values["memory_soft_limit"]) == (512, UNLIMITED)
    assert {target.source for target in resolved.values()} == {DEFAULT}


def test_the_server_comes_first_then_the_layers_in_their_order() -> None:
    first, second = Layer(OTHER, {"memory": 200, "io_priority": 300}), Layer(
        OTHER, {"io_priority": 400, "net_priority": 5})
    resolved = desired.resolve(TABLE, server(memory=100), [first, second])
    assert (resolved["memory"].value, resolved["memory"].source) == (100, SERVER)
    assert resolved["io_priority"].value == 300
    assert resolved["net_priority"].value == 5


def test_a_target_is_what_the_flavor_allows_in_the_units_of_both_sides() -> None:
    target = desired.resolve(TABLE, server(memory=600))["memory"]
    assert (target.requested, target.value, target.host_value) == (600, 512, 512 * 1024)
    assert target.is_reduced


def test_only_what_somebody_asks_for_is_held_for_good() -> None:
    assert desired.requested(TABLE, server(Flavor(512), io_priority=200)).keys() == {"io_priority"}
    assert desired.requested(TABLE, server(FAIR)).keys() == {"cpu_priority"}


def test_a_mark_is_reset_unless_the_default_is_kept() -> None:
    marked = frozenset({"cpu_priority", "memory"})
    assert desired.to_reset(TABLE, server(FAIR, marked)).keys() == {"memory"}
    assert desired.to_reset(TABLE, server(Flavor(512), marked)).keys() == marked


@given(st.dictionaries(st.sampled_from(list(TABLE)), st.integers(1, 90)),
       st.frozensets(st.sampled_from(list(TABLE))))
def test_nothing_is_held_and_reset(own: dict[str, int], marked: frozenset[str]) -> None:
    saved = server(Flavor(512), marked, **own)
    held, stale = desired.requested(TABLE, saved), desired.to_reset(TABLE, saved)
    assert list(held) == desired.held_together(TABLE, own)
    assert held.keys().isdisjoint(stale)
    stale_and_more = desired.held_together(TABLE, marked - held.keys())
    assert list(stale) == [name for name in stale_and_more if name not in held]


def test_a_guarantee_is_held_and_reset_with_the_priority() -> None:
    both = ["cpu_priority", "cpu_guarantee"]
    assert desired.held_together(TABLE, ["cpu_guarantee", "memory"]) == ["memory", *both]
    assert list(desired.requested(TABLE, server(cpu_guarantee=50))) == both
    marked = frozenset({"cpu_guarantee"})
    assert list(desired.to_reset(TABLE, server(Flavor(512), marked))) == both
    assert list(desired.to_reset(TABLE, server(Flavor(512), marked, cpu_priority=5))) == both[1:]
    assert desired.held_together(TABLE, ["cpu_priority"]) == ["cpu_priority"]


def test_a_guarantee_is_no_more_than_the_limit() -> None:
    flavor = Flavor(512, vcpus=2)
    target = desired.resolve(
        TABLE, server(flavor, cpu_guarantee=150, cpu_limit=60))["cpu_guarantee"]
    assert (target.requested, target.value, target.bound) == (150, 60, "cpu_limit")
    assert target.is_reduced
    target = desired.resolve(TABLE, server(flavor, cpu_guarantee=150))["cpu_guarantee"]
    assert (target.value, target.bound, target.is_reduced) == (150, None, False)


def test_settings_that_contradict_each_other_are_refused() -> None:
    for settings in ({}, {"cpu_guarantee": 60}, {"cpu_guarantee": 60, "cpu_limit": 60}):
        desired.require_order(TABLE, settings)
    with pytest.raises(InvalidSetting) as refusal:
        desired.require_order(TABLE, {"cpu_guarantee": 61, "cpu_limit": 60})
    assert refusal.value.message == (
        "cpu_guarantee 61 percent of one CPU is more than cpu_limit 60 percent of one CPU; ask for "
        "a cpu_guarantee of 60 at most, or for another cpu_limit")
