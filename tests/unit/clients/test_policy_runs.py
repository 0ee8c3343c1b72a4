# SPDX-License-Identifier: Apache-2.0
"""Dry runs of new policies and of their assignment to projects, against a recorded cloud."""

from types import SimpleNamespace
from typing import Any

import openstack
import pytest

from nova_qos.core import errors
from nova_qos.dry_run import runs
from novaclient_qos.osc.cloud import Cloud
from tests.unit.clients.policies import PROJECT, PolicyCloud, by, qos


@pytest.fixture
def asked(cloud: PolicyCloud) -> Cloud:
    connection = openstack.connect(
        load_envvars=False, load_yaml_config=False, auth_url=f"{cloud.url}/v3", username="demo",
        password="x", project_name="demo", project_domain_id="default", user_domain_id="default")
    return Cloud(SimpleNamespace(client_manager=SimpleNamespace(sdk_connection=connection)))


def page(cloud: PolicyCloud, **servers: dict[str, dict[str, object]]) -> None:
    cloud.page_of_host("compute", **{name: qos(**reports) for name, reports in servers.items()})


def changes(run: runs.PolicyRun) -> dict[str, str]:
    return {line.server: line.changes for line in run.forecast.lines}


def create(cloud: Cloud, name: str, is_default: bool = False, **settings: Any) -> runs.PolicyRun:
    return runs.of_creation(cloud, lambda told: None, name, settings, is_default)


def test_a_new_policy_reaches_those_whose_flavor_names_it(
    cloud: PolicyCloud, asked: Cloud
) -> None:
    cloud.flavors = {"vm1": "Gold", "vm2": "silver", "vm3": "GOLD"}
    cloud.hosts["vm3"] = None
    page(cloud, vm1={}, vm2={})
    run = create(asked, "gold", cpu_limit=50)
    assert changes(run) == {"vm1": "cpu_limit unset -> 50 (policy gold)", "vm2": ""}
    assert list(run.notes) == ["1 server would be changed; nothing was sent.",
                               "Not shown: 1 on no host, which change when they start."]
    assert {each.split()[0] for each in cloud.requests} == {"GET"}
    assert changes(create(asked, "lead", cpu_limit=50)) == {}


def test_a_new_default_reaches_all_without_another_one(
    cloud: PolicyCloud, asked: Cloud
) -> None:
    cloud.policy("bronze", settings={"io_limit": 100})
    cloud.assigned["vm2"], cloud.assigned["vm3"] = "none", "7"
    page(cloud, vm1={}, vm2={}, vm3={"io_limit": by("policy bronze", 100)})
    assert changes(create(asked, "gold", True, cpu_limit=50, io_limit=70)) == {
        "vm1": "cpu_limit unset -> 50 (default policy gold), "
               "io_limit unset -> 70 (default policy gold)",
        "vm2": "", "vm3": "cpu_limit unset -> 50 (default policy gold)"}


@pytest.mark.parametrize(("name", "is_default", "settings", "said"), [
    ("BRONZE", False, {}, "there is a policy 'bronze' already"),
    ("gold", True, {}, "policy bronze is the default policy, and there can be one"),
    ("none", False, {}, "is reserved"),
    ("gold", False, {"cpu_limit": 1}, "cpu_limit"),
    ("gold", False, {"cpu_limit": 20, "cpu_guarantee": 30}, "is more than cpu_limit 20")])
def test_a_new_policy_that_the_api_refuses(
    name: str, is_default: bool, settings: dict[str, int], said: str, cloud: PolicyCloud,
    asked: Cloud,
) -> None:
    cloud.policy("bronze", settings={}, is_default=True)
    with pytest.raises(errors.QosError, match=said):
        create(asked, name, is_default, **settings)


def test_projects_get_a_policy_and_lose_it(cloud: PolicyCloud, asked: Cloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50}, projects=["left"])
    cloud.policy("bronze", "8", settings={"cpu_limit": 30}, projects=[PROJECT])
    cloud.policy("default", "9", settings={"io_limit": 90}, is_default=True)
    cloud.projects["vm2"], cloud.projects["vm3"] = "left", "other"
    of_all = {"io_limit": by("default policy default", 90)}
    page(cloud, vm1={"cpu_limit": by("policy bronze", 30), **of_all},
         vm2={"cpu_limit": by("policy gold", 50), **of_all}, vm3=of_all)
    run = runs.of_projects(asked, lambda told: None, "7", [PROJECT], ["left"])
    assert changes(run) == {
        "vm1": "cpu_limit 30 (policy bronze) -> 50 (policy gold)",
        "vm2": "cpu_limit 50 (policy gold) -> unset", "vm3": ""}
    assert {each.split()[0] for each in cloud.requests} == {"GET"}
    # it is not its policy that the project loses
    assert changes(runs.of_projects(asked, lambda told: None, "7", [], [PROJECT])) == {}
