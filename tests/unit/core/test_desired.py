# SPDX-License-Identifier: Apache-2.0
"""The resolver: for each resource the first source that names it decides."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_qos.core import desired
from nova_qos.core.errors import InvalidSetting
from nova_qos.core.reading import Reading
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.core.source import DEFAULT, HOOK, SERVER, Assigned, Layer, Source
from nova_qos.core.units import UNLIMITED
from nova_qos.resources import TABLE

GOLD, BASIC = Source("policy", "gold", 3), Source("policy", "basic", 1, is_default=True)
FAIR = Flavor(512, fair_cpu_shares=600)


def server(flavor: Flavor = FAIR, marked: frozenset[str] = frozenset(), **own: int) -> SavedServer:
    return SavedServer("uuid", "compute", None, flavor, own, marked)


def having(
    saved: SavedServer, gold: dict[str, int], basic: dict[str, int] | None = None
) -> SavedServer:
    """The server with a policy, and the default policy."""
    return replace(saved, assigned=Assigned((Layer(GOLD, gold), Layer(BASIC, basic or {}))))


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
    resolved = desired.resolve(TABLE, having(
        server(memory=100), {"memory": 200, "io_priority": 300},
        {"io_priority": 400, "net_priority": 5}))
    assert (resolved["memory"].value, resolved["memory"].source) == (100, SERVER)
    assert (resolved["io_priority"].value, resolved["io_priority"].source) == (300, GOLD)
    assert (resolved["net_priority"].value, resolved["net_priority"].source) == (5, BASIC)


def test_a_hook_comes_after_all_policies_and_before_the_default() -> None:
    ballooned = replace(server(), hooked={"memory": 128, "io_priority": 200})
    assert desired.resolve(TABLE, ballooned)["memory"].source == HOOK
    resolved = desired.resolve(TABLE, having(ballooned, {}, {"memory": 300}))
    assert (resolved["memory"].value, resolved["memory"].source) == (300, BASIC)
    assert (resolved["io_priority"].value, resolved["io_priority"].source) == (200, HOOK)


def test_none_of_its_own_is_a_setting_whatever_policies_say() -> None:
    own = server(Flavor(512), net_priority=UNLIMITED)
    for saved in (own, having(own, {"net_priority": 5}),
                  replace(own, assigned=Assigned(missing="nobody knows them"))):
        target = desired.resolve(TABLE, saved)["net_priority"]
        assert (target.requested, target.value, target.source) == (UNLIMITED, UNLIMITED, SERVER)
        assert list(desired.requested(TABLE, saved)) == ["net_priority"]


def test_none_of_a_policy_or_a_hook_is_nothing_where_it_overrules_nothing() -> None:
    for saved in (having(server(Flavor(512)), {"net_priority": UNLIMITED}),
                  replace(server(Flavor(512)), hooked={"net_priority": UNLIMITED})):
        target = desired.resolve(TABLE, saved)["net_priority"]
        assert (target.requested, target.source) == (None, DEFAULT)
        assert desired.requested(TABLE, saved) == {}
    over = desired.resolve(TABLE, having(
        server(), {"net_priority": UNLIMITED}, {"net_priority": 5}))["net_priority"]
    assert (over.requested, over.source) == (UNLIMITED, GOLD)


def test_a_policys_value_comes_into_the_range_of_the_server() -> None:
    resolved = desired.resolve(TABLE, having(
        server(Flavor(512, vcpus=2)), {"memory": 600, "cpu_limit": 3, "cpu_priority": 10**6}))
    values = {name: resolved[name].value for name in ("memory", "cpu_limit", "cpu_priority")}
    assert values == {"memory": 512, "cpu_limit": 10, "cpu_priority": 262144}
    assert resolved["cpu_limit"].is_reduced


def test_a_limit_of_one_source_cuts_the_guarantee_of_another() -> None:
    target = desired.resolve(TABLE, having(
        server(Flavor(512, vcpus=4), cpu_limit=60), {"cpu_guarantee": 150}))["cpu_guarantee"]
    assert (target.value, target.source, target.bound_by) == (60, GOLD, SERVER)
    unlimited = desired.resolve(TABLE, having(
        server(Flavor(512, vcpus=4), cpu_limit=UNLIMITED), {"cpu_guarantee": 150},
        {"cpu_limit": 60}))["cpu_guarantee"]
    assert (unlimited.value, unlimited.bound) == (150, None)


def test_while_a_policy_is_missing_only_own_settings_are_touched() -> None:
    lost = replace(server(FAIR, frozenset({"io_priority"}), memory=100), hooked={"net_priority": 5},
                   assigned=Assigned(missing="policy 7 is assigned, which is not known here"))
    assert list(desired.requested(TABLE, lost)) == ["memory"]
    assert desired.to_reset(TABLE, lost) == {}
    assert desired.to_mark(TABLE, lost) == []
    assert desired.resolve(TABLE, lost)["net_priority"].missing == lost.assigned.missing


def test_what_a_policy_gives_is_marked_so_that_it_is_reset_after_it() -> None:
    served = having(server(Flavor(512), frozenset({"memory"}), io_priority=200),
                    {"memory": 200, "io_priority": 300, "net_priority": 5})
    assert desired.to_mark(TABLE, served) == ["net_priority"]
    left = replace(served, assigned=Assigned(), marked=frozenset({"memory", "net_priority"}))
    assert list(desired.to_reset(TABLE, left)) == ["memory", "net_priority"]
    assert desired.to_mark(TABLE, server(FAIR)) == ["cpu_priority"]


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
    for alright in ({}, {"cpu_guarantee": 60}, {"cpu_guarantee": 60, "cpu_limit": 60}):
        desired.require_order(TABLE, alright)
    with pytest.raises(InvalidSetting) as refusal:
        desired.require_order(TABLE, {"cpu_guarantee": 61, "cpu_limit": 60})
    assert refusal.value.message == (
        "cpu_guarantee 61 percent of one CPU is more than cpu_limit 60 percent of one CPU; ask for "
        "a cpu_guarantee of 60 at most, or for another cpu_limit")


@pytest.mark.parametrize("kind", ["cpu", "net", "net_in"])
def test_a_limit_of_none_contradicts_no_guarantee(kind: str) -> None:
    desired.require_order(TABLE, {f"{kind}_guarantee": 40, f"{kind}_limit": UNLIMITED})


SETTINGS = st.dictionaries(st.sampled_from(list(TABLE)), st.integers(-1, 90))


@given(SETTINGS, SETTINGS, SETTINGS, SETTINGS, SETTINGS)
def test_what_is_kept_for_servers_alike_is_what_each_of_them_gets(
    own: dict[str, int], other: dict[str, int], gold: dict[str, int], basic: dict[str, int],
    hooked: dict[str, int],
) -> None:
    shared = having(server(), gold, basic).assigned
    desired.resolve(TABLE, replace(server(), own=other, assigned=shared))
    found = desired.resolve(TABLE, replace(server(), own=own, hooked=hooked, assigned=shared))
    alone = having(replace(server(), own=own, hooked=hooked), gold, basic)
    assert found == desired.resolve(TABLE, alone)
    assert list(found) == list(TABLE)
    for name, target in found.items():
        layers = [layer for layer in (own, gold, basic, hooked) if name in layer]
        if layers and (name in own or len(layers) > 1):
            assert target.requested == layers[0][name]
        most = found.get(TABLE[name].at_most or "")
        if most is not None and DEFAULT not in (target.source, most.source) and not (
                TABLE[TABLE[name].at_most or ""].value.is_reset(most.value)):
            assert target.value <= most.value
