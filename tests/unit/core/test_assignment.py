# SPDX-License-Identifier: Apache-2.0
"""Which policies a server has, and what their values are for its flavor."""

from dataclasses import replace

import pytest

from nova_qos.core.assignment import assigned
from nova_qos.core.policy import NONE_ID, Catalog, Policy
from nova_qos.core.server import POLICY, Flavor, SavedServer
from nova_qos.core.source import Assigned
from nova_qos.resources import TABLE

GOLD = Policy(1, "Gold", {"memory": "75%", "cpu_priority": "512/vcpu"}, 3)
SILVER = Policy(2, "silver", {"cpu_guarantee": "50%/vcpu", "io_priority": 300})
BRONZE = Policy(3, "bronze", {"net_limit": -1})
BASIC = Policy(4, "basic", {"net_priority": 60, "from_the_future": 7, "memory": "half"})
CATALOG = Catalog("x", 1, {each.number: each for each in (GOLD, SILVER, BRONZE, BASIC)},
                  {"project": 3}, 4)
FLAVOR = Flavor(1000, vcpus=3, policy="SILVER")
SERVER = SavedServer("uuid", "compute", None, FLAVOR, {POLICY: 1}, project="project")


def names(found: Assigned) -> list[str]:
    return [layer.source.words for layer in found.layers]


def test_the_order_of_policies() -> None:
    found = assigned(CATALOG, TABLE, SERVER)
    assert names(found) == ["policy Gold", "policy silver", "policy bronze",
                            "default policy basic"]
    assert found.layers[0].source.revision == 3
    assert found.missing is None


def test_relative_values_are_those_of_the_flavor() -> None:
    gold, silver, bronze, basic = (dict(layer.settings)
                                   for layer in assigned(CATALOG, TABLE, SERVER).layers)
    assert gold == {"memory": 750, "cpu_priority": 1536}
    assert silver == {"cpu_guarantee": 150, "io_priority": 300}
    assert bronze == {"net_limit": -1}
    # what a later release brings is left out
    assert basic == {"net_priority": 60}


def test_values_are_rounded_down() -> None:
    small = replace(SERVER, flavor=Flavor(333))
    assert assigned(CATALOG, TABLE, small).layers[0].settings["memory"] == 249


def test_a_server_without_assignments_has_the_default_policy_alone() -> None:
    plain = SavedServer("uuid", "compute", None, Flavor(1000), project="other")
    assert names(assigned(CATALOG, TABLE, plain)) == ["default policy basic"]
    assert assigned(replace(CATALOG, default=None), TABLE, plain) == Assigned()


def test_a_server_that_opts_out_has_none() -> None:
    out = replace(SERVER, own={POLICY: NONE_ID})
    assert assigned(CATALOG, TABLE, out) == Assigned()


@pytest.mark.parametrize(("server", "words"), [
    (replace(SERVER, own={POLICY: 77}),
     "policy 77 is assigned, which is not known here; openstack server qos set --policy NAME, or "
     "unset --policy, ends that"),
    (replace(SERVER, own={}, flavor=Flavor(1000), project="lost"), "policy 9 is assigned"),
])
def test_a_policy_that_is_not_known_leaves_all_of_them_open(
    server: SavedServer, words: str
) -> None:
    catalog = replace(CATALOG, projects={**CATALOG.projects, "lost": 9})
    found = assigned(catalog, TABLE, server)
    assert found.layers == ()
    assert words in str(found.missing)


def test_a_flavor_that_names_nothing_costs_no_other_policy() -> None:
    found = assigned(CATALOG, TABLE, replace(SERVER, flavor=Flavor(1000, policy="goldd")))
    assert names(found) == ["policy Gold", "policy bronze", "default policy basic"]
    assert (found.missing, found.notice) == (
        None, "the flavor names policy 'goldd', which does not exist")


@pytest.mark.parametrize("none", ["none", "None"])
def test_a_flavor_can_opt_out_as_a_server_can(none: str) -> None:
    flavor = Flavor(1000, policy=none)
    assert assigned(CATALOG, TABLE, replace(SERVER, flavor=flavor, own={})) == Assigned()
    # what somebody gave this very server is another matter
    found = assigned(CATALOG, TABLE, replace(SERVER, flavor=flavor))
    assert (names(found), found.notice) == (["policy Gold"], None)


def test_servers_alike_share_what_was_worked_out() -> None:
    found = assigned(CATALOG, TABLE, SERVER)
    assert assigned(CATALOG, TABLE, replace(SERVER, uuid="other")) is found
    for other in (replace(SERVER, own={}), replace(SERVER, project="none"),
                  replace(SERVER, flavor=Flavor(999, vcpus=3, policy="SILVER"))):
        assert assigned(CATALOG, TABLE, other) != found
    edited = replace(CATALOG, policies={**CATALOG.policies, 1: replace(GOLD, settings={})})
    assert assigned(edited, TABLE, SERVER).layers[0].settings == {}
