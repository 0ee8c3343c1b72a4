# SPDX-License-Identifier: Apache-2.0
"""Dry runs that policies take part in, against a recorded cloud."""

import json
from typing import Any

import pytest

from tests.shells import Ended, OpenStack
from tests.unit.clients.policies import PROJECT, PolicyCloud, by, qos

SILVER = {"cpu_limit": 40, "io_priority": 300}


def page(cloud: PolicyCloud, **servers: dict[str, dict[str, object]]) -> None:
    """The servers of the host, each with these reports; all that run share the CPU and the disk."""
    shown = {name: qos(**reports) for name, reports in servers.items()}
    for reports in shown.values():
        for name, report in reports.items():
            report["weight"] = {"cpu_priority": 1024, "io_priority": report["applied"]}.get(name)
    cloud.page_of_host("compute", **shown)


def run(openstack: OpenStack, *words: str) -> Ended:
    ended = openstack("server", "qos", *words)
    assert ended.status == 0, ended
    return ended


def changes(ended: Ended) -> dict[str, str]:
    return {row["Server"]: row["Changes"] for row in json.loads(ended.out)}


def edit(openstack: OpenStack, *words: str) -> dict[str, str]:
    """What a dry run of an edit says of each server."""
    return changes(run(openstack, "policy", *words, "--dry-run", "-f", "json"))


def test_an_edit_shows_servers_and_neighbours(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"io_priority": 100, "cpu_limit": 50})
    cloud.users["7"], cloud.assigned["vm1"] = ["vm1"], "7"
    page(cloud, vm1={"io_priority": by("policy gold", 100), "cpu_limit": by("policy gold", 50)},
         vm2={})
    ended = run(openstack, "policy", "set", "--dry-run", "--io-priority", "300", "gold")
    assert ended.rows() == [
        ["Host", "Server", "Changes", "Disk I/O %", "Disk I/O % Then"],
        ["compute", "vm1", "io_priority 100 -> 300 (policy gold)", "50.0", "75.0"],
        ["compute", "vm2", "", "50.0", "25.0"]]
    assert ended.err == "1 server would be changed; nothing was sent.\n"
    assert (cloud.changed, cloud.asked) == ([], [])
    assert {each.split()[0] for each in cloud.requests} == {"GET"}


def test_what_decides_in_place_of_a_setting(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50}, projects=[PROJECT])
    cloud.policy("bronze", "8", settings={"cpu_limit": 30}, is_default=True)
    cloud.assigned["vm3"] = "none"
    page(cloud, vm1={"cpu_limit": by("policy gold", 50)}, vm2={"cpu_limit": by("server", 90)},
         vm3={})
    assert edit(openstack, "unset", "--cpu-limit", "gold") == {
        "vm1": "cpu_limit 50 (policy gold) -> 30 (default policy bronze)", "vm2": "", "vm3": ""}


def test_policies_come_in_their_order(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={}, projects=[PROJECT])
    cloud.policy("silver", "8", settings=SILVER)
    cloud.policy("flavored", "9", settings={"cpu_limit": 20})
    cloud.assigned["vm1"], cloud.flavors["vm2"] = "8", "Flavored"
    page(cloud, vm1={name: by("policy silver", value) for name, value in SILVER.items()},
         vm2={"cpu_limit": by("policy flavored", 20)}, vm3={})
    found = edit(openstack, "set", "--cpu-limit", "70%/vcpu", "--io-priority", "500", "gold")
    assert found == {"vm1": "", "vm2": "io_priority unset -> 500 (policy gold)",
                     "vm3": "io_priority unset -> 500 (policy gold), "
                            "cpu_limit unset -> 70 (policy gold)"}


def test_the_default_may_be_another(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"memory": "75%"})
    cloud.assigned["vm2"] = "none"
    page(cloud, vm1={}, vm2={})
    assert edit(openstack, "set", "--default", "gold") == {
        "vm1": "memory unset -> 384 (default policy gold)", "vm2": ""}
    cloud.policies["7"]["is_default"] = True
    page(cloud, vm1={"memory": by("default policy gold", 384)}, vm2={})
    assert edit(openstack, "set", "--no-default", "gold")["vm1"] == (
        "memory 384 (default policy gold) -> unset")
    cloud.policy("bronze", "8")
    error = openstack.bad("policy", "set", "--dry-run", "--default", "bronze").error()
    assert error.startswith("policy gold is the default policy, and there can be one")


def test_a_limit_takes_a_guarantee_along(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 80}, is_default=True)
    page(cloud, vm1={"cpu_limit": by("default policy gold", 80),
                     "cpu_guarantee": by("server", 60)})
    ended = run(openstack, "policy", "set", "--cpu-limit", "50", "gold", "--dry-run", "-f", "json")
    assert changes(ended)["vm1"] == (
        "cpu_limit 80 -> 50 (default policy gold), "
        "cpu_guarantee 60 -> 60 (reduced to 50)")
    assert "cpu_guarantee of all servers together: 50 of 400 percent of one CPU." in ended.err


def test_guarantees_that_do_not_fit(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={}, is_default=True)
    page(cloud, **{f"vm{number}": {} for number in range(1, 4)})
    cloud.host = {"name": "compute", "vcpus": 1, "memory_mib": 4096}
    ended = run(openstack, "policy", "set", "--cpu-guarantee", "50", "gold", "--dry-run",
                "-f", "json")
    assert ("compute: cpu_guarantee of all servers together: 150 of 100 percent of one CPU; all of "
            "them are reduced in proportion.") in ended.err
    assert {row["Refusal"] for row in json.loads(ended.out)} == {""}


def test_an_edit_that_changes_nothing(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 80}, projects=[PROJECT])
    cloud.hosts["vm2"] = cloud.hosts["vm3"] = None
    page(cloud, vm1={"cpu_limit": by("policy gold", 80)})
    ended = run(openstack, "policy", "set", "--description", "x", "gold", "--dry-run")
    assert ended.err == ("0 servers would be changed; nothing was sent.\n"
                         "Not shown: 2 on no host, which change when they start.\n")
    assert cloud.changed == []


def test_an_edit_that_the_api_refuses(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 30, "luck": 5})
    error = openstack.bad("policy", "set", "--dry-run", "--cpu-guarantee", "50", "gold").error()
    assert error.startswith("cpu_guarantee 50 percent of one CPU is more than cpu_limit 30")
    cloud.is_admin = False
    error = openstack.bad("policy", "set", "--dry-run", "--cpu-limit", "50", "gold").error()
    assert error == "this API does not tell you who uses the policy"


def test_a_server_gets_a_policy(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"io_priority": 400, "cpu_limit": 50})
    cloud.policy("bronze", "8", settings={"io_limit": 100}, is_default=True)
    page(cloud, vm1={"io_limit": by("default policy bronze", 100), "cpu_limit": by("server", 90)},
         vm2={})

    def found(*words: str) -> str:
        ended = run(openstack, "set", "--dry-run", *words, "vm1", "-f", "json")
        assert cloud.asked == []
        return changes(ended)["vm1"]

    assert found("--policy", "Gold", "--cpu-limit", "60") == (
        "cpu_limit 90 -> 60, io_priority unset -> 400 (policy gold)")
    assert found("--policy", "none") == "io_limit 100 (default policy bronze) -> unset"
    error = openstack.bad("set", "--dry-run", "--policy", "lead", "vm1").error()
    assert error.startswith("no policy has the name or ID 'lead'")


def own(limit: dict[str, object], guarantee: dict[str, object]) -> dict[str, Any]:
    return {"cpu_limit": limit, "cpu_guarantee": guarantee}


def test_a_guarantee_above_the_limit_of_a_policy_is_not_refused(
    openstack: OpenStack, cloud: PolicyCloud
) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50}, is_default=True)
    page(cloud, vm1=own(by("default policy gold", 50), {}), vm2={})
    words = ("set", "--dry-run", "--cpu-guarantee", "80", "vm1", "-f", "json")
    assert changes(run(openstack, *words))["vm1"] == (
        "cpu_guarantee unset -> 80 (reduced to 50)")
    page(cloud, vm1=own(by("server", 50), {}), vm2={})
    assert "is more than cpu_limit 50" in openstack.bad(*words).out


@pytest.mark.parametrize(("configured", "then"), [(True, "-1"), (False, "unset")])
def test_none_of_ones_own(
    configured: bool, then: str, openstack: OpenStack, cloud: PolicyCloud
) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50}, is_default=True)
    cloud.configured = configured
    now = by("default policy gold", 50) if configured else by("server", 50)
    page(cloud, vm1=own(now, by("server", 40)), vm2={})
    before = "50 (default policy gold)" if configured else "50"
    ended = run(openstack, "set", "--dry-run", "--cpu-limit", "-1", "vm1", "-f", "json")
    assert changes(ended)["vm1"] == f"cpu_limit {before} -> {then}"


def test_what_is_not_known_stays(openstack: OpenStack, cloud: PolicyCloud) -> None:
    unknown = {"source": "unknown", "applied": 300, "state": "pending", "reason": "away"}
    page(cloud, vm1={"cpu_limit": {"source": "unknown", "applied": 50}}, vm2={
        "io_priority": unknown})
    ended = run(openstack, "set", "--dry-run", "--io-priority", "300", "--cpu-limit", "60", "vm1")
    assert ended.rows()[1:] == [
        ["compute", "vm1", "io_priority unset -> 300, "
         "cpu_limit 50 (policy that is not known now) -> 60", "25.0", "50.0"],
        ["compute", "vm2", "", "75.0", "50.0"]]
