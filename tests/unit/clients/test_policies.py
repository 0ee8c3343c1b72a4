# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos policy``, and what else clients say of policies, against a recorded
cloud."""

import json
from typing import Any

import openstack as sdk
import pytest

from nova_qos.client import Client, Outcome
from nova_qos.client_policies import Policies, Seen
from nova_qos.core import errors
from nova_qos.resources import GET_ALL, SET_ALL, TABLE
from novaclient_qos.osc import rollout
from tests.shells import OpenStack
from tests.unit.clients.answers import listed, reports, waiting
from tests.unit.clients.policies import DATABASE, PROJECT, PolicyCloud, by, qos
from tests.unit.clients.recorded import fault

UPGRADE = "this API has no named policies; upgrade it"


@pytest.fixture
def policies(cloud: PolicyCloud) -> Policies:
    return Policies(sdk.connect(
        load_yaml_config=False, load_envvars=False, auth_url=f"{cloud.url}/v3", username="demo",
        password="x", project_name="demo", user_domain_id="default",
        project_domain_id="default").compute)


def test_list(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"memory": "75%", "cpu_limit": 50, "io_limit": -1})
    cloud.policy("bronze", "8", is_default=True, description="for all", settings={"luck": 5})
    assert openstack.good("policy", "list").rows() == [
        ["Name", "ID", "Revision", "Default", "Settings", "Description"],
        ["gold", "7", "3", "False",
         "memory 75%, cpu_limit 50 percent of one CPU, io_limit -1 (unlimited)", ""],
        ["bronze", "8", "3", "True", "luck 5", "for all"]]
    first = json.loads(openstack.good("policy", "list", "-f", "json").out)[0]
    assert first["Settings"] == {"memory": "75%", "cpu_limit": 50, "io_limit": -1}


def test_show_by_name_and_by_id(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("Gold", settings={"memory": "75%"}, projects=[PROJECT])
    cloud.users["7"], cloud.hosts["vm2"] = ["vm1", "vm2"], None
    shown = json.loads(openstack.good("policy", "show", "gold", "-f", "json").out)
    assert shown == {
        "id": "7", "name": "Gold", "description": "", "settings": {"memory": "75%"},
        "revision": 3, "is_default": False, "projects": [PROJECT],
        "in_use": {"servers": 2, "flavors": 1, "projects": 1, "incomplete": False}}
    rows = dict(openstack.good("policy", "show", "7").rows()[1:])
    assert rows["in_use"] == "2 servers, 1 flavor, 1 project"
    ended = openstack.good("policy", "show", "--used-by", "7", "-f", "value", "-c", "used_by")
    assert ended.out.splitlines()[0].startswith("{'servers': [{'id': ")
    table = openstack.good("policy", "show", "--used-by", "7").out
    assert f"{cloud.servers['vm1']} on compute, {cloud.servers['vm2']} on no host" in table


def test_who_is_no_administrator_sees_no_counts(openstack: OpenStack, cloud: PolicyCloud) -> None:
    del cloud.policy("gold")["projects"]
    cloud.is_admin = False
    shown = json.loads(openstack.good("policy", "show", "gold", "-f", "json").out)
    assert shown.keys() == {"id", "name", "description", "settings", "revision", "is_default"}


def test_create(openstack: OpenStack, cloud: PolicyCloud) -> None:
    ended = openstack.good(
        "policy", "create", "--memory", "75%", "--memory-guarantee", "1G", "--cpu-priority",
        "512/vcpu", "--cpu-limit", "50%/vcpu", "--io-limit", "-1", "--description", "for shops",
        "--default", "gold", "-f", "json")
    assert json.loads(ended.out)["settings"] == {
        "memory": "75%", "memory_guarantee": 1024, "cpu_priority": "512/vcpu",
        "cpu_limit": "50%/vcpu", "io_limit": -1}
    assert (cloud.policies["99"]["is_default"], cloud.policies["99"]["description"]) == (
        True, "for shops")
    openstack.good("policy", "create", "none-of-it")
    assert (cloud.policies["99"]["settings"], cloud.policies["99"]["is_default"]) == ({}, False)


@pytest.mark.parametrize(("option", "value", "also"), [
    ("--memory", "0%", '"1%" to "100%"'), ("--memory", "101%", '"1%" to "100%"'),
    ("--memory", "much", '"1%" to "100%"'), ("--cpu-limit", "50%", '"100%/vcpu"'),
    ("--cpu-priority", "1/vcpu", '"512/vcpu"'), ("--io-limit", "50%", "")])
def test_what_is_no_value(
    option: str, value: str, also: str, openstack: OpenStack, cloud: PolicyCloud
) -> None:
    for words in (("create", option, value, "x"), ("set", option, value, "x")):
        ended = openstack("server", "qos", "policy", *words)
        assert (ended.status, cloud.requests) == (2, [])
        assert f"argument {option}: {value!r}" in ended.err
        assert also in ended.err


def test_the_help_tells_of_relative_values(openstack: OpenStack) -> None:
    told = " ".join(openstack("help", "server", "qos", "policy", "set").out.split())
    assert 'Or a part of the flavor\'s memory, "1%" to "100%".' in told
    assert 'Or so much for each vCPU, "1%/vcpu" to "100%/vcpu".' in told
    assert all(row.names.option in told for row in TABLE.values())


def test_delete_tries_each(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold")
    cloud.policy("silver", "8")
    cloud.users["7"] = ["vm1"]
    error = openstack.bad("policy", "delete", "gold", "silver", "5").error()
    assert error == (
        "2 of 3 policies not deleted. gold: policy gold is used by 1 server (HTTP 409); 5: no "
        "policy has the name or ID '5'; openstack server qos policy list shows those that there "
        "are")
    assert cloud.policies.keys() == {"7"}
    cloud.users.clear()
    assert openstack.good("policy", "delete", "7").out == ""


@pytest.mark.parametrize("project", ["demo", PROJECT])
def test_add_and_remove_project(project: str, openstack: OpenStack, cloud: PolicyCloud) -> None:
    gold = cloud.policy("gold")
    openstack.good("policy", "add", "project", "gold", project)
    assert gold["projects"] == [PROJECT]
    assert cloud.requests[-1] == f"PUT /os-qos-policies/7/projects/{PROJECT}"
    openstack.good("policy", "remove", "project", "gold", project)
    assert gold["projects"] == []
    error = openstack.bad("policy", "remove", "project", "gold", project).error()
    assert error == f"project {PROJECT} has another policy, or none (HTTP 404)"


def test_projects_that_cannot_be_looked_up(openstack: OpenStack, cloud: PolicyCloud) -> None:
    gold = cloud.policy("gold")
    assert "No Project found for lost" in openstack.bad(
        "policy", "add", "project", "gold", "lost").error()
    cloud.is_admin = False
    openstack.good("policy", "add", "project", "gold", "lost")
    assert gold["projects"] == ["lost"]


def test_an_api_without_policies(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.has_policies = False
    for words in (("list",), ("show", "gold"), ("create", "gold"), ("delete", "gold"),
                  ("set", "--memory", "75%", "gold"), ("unset", "--all", "gold"),
                  ("add", "project", "gold", "demo"), ("remove", "project", "gold", "demo")):
        assert UPGRADE in openstack.bad("policy", *words).error()
    for words in (("set", "--policy", "gold", "vm1"), ("unset", "--policy", "vm1")):
        assert openstack.bad(*words).error() == UPGRADE
    assert cloud.asked == []


def test_set_keeps_what_is_not_named(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"memory": 300, "cpu_limit": 50})
    ended = openstack.good(
        "policy", "set", "--no-wait", "--memory", "75%", "--description", "new", "gold")
    assert cloud.changed == [({"settings": {"memory": "75%", "cpu_limit": 50},
                               "description": "new"}, f'"{DATABASE}-3"')]
    assert ended.out == "policy gold: revision 4\n"
    openstack.good("policy", "unset", "--no-wait", "--memory", "--io-limit", "gold")
    assert cloud.changed[-1] == ({"settings": {"cpu_limit": 50}}, f'"{DATABASE}-4"')
    openstack.good("policy", "unset", "--no-wait", "--all", "7")
    assert cloud.changed[-1][0] == {"settings": {}}
    for option, is_default in (("--default", True), ("--no-default", False)):
        openstack.good("policy", "set", "--no-wait", option, "gold")
        assert cloud.changed[-1][0] == {"is_default": is_default}
    assert not any("in_use" in request for request in cloud.requests)


def test_nothing_to_change(openstack: OpenStack, cloud: PolicyCloud) -> None:
    assert openstack.bad("policy", "set", "gold").error().startswith("Nothing to set: give one")
    assert openstack.bad("policy", "unset", "gold").error().startswith("Nothing to unset: give")
    error = openstack.bad("policy", "unset", "--all", "--memory", "gold").error()
    assert error == "Give either --all or what to unset, not both."
    assert cloud.requests == []


def test_a_policy_that_was_changed_meanwhile(openstack: OpenStack, cloud: PolicyCloud) -> None:
    gold = cloud.policy("gold")
    cloud.meanwhile = lambda: gold.update(revision=4)
    error = openstack.bad("policy", "set", "--memory", "75%", "gold").error()
    assert error == "policy gold has revision 4 by now; read it again (HTTP 412)"
    assert cloud.changed == []


@pytest.mark.parametrize(("etag", "revision"), [
    ('"{0}-3"', 3), ('W/"{0}-3"', 3), ('"{0}-3-gzip"', 3), ('"{0}-3;gzip"', 3), ('"{0}-92"', 92)])
def test_a_condition_is_made_of_the_revision(etag: str, revision: int) -> None:
    policy: Any = {"name": "gold", "revision": revision}
    seen = Seen(policy, etag.format(DATABASE), None, None)
    assert seen.condition == f'"{DATABASE}-{revision}"'


@pytest.mark.parametrize("etag", [None, '"abc"', '"3"', f'"{DATABASE}-4"'])
def test_without_its_tag_a_policy_is_not_changed(etag: str | None) -> None:
    policy: Any = {"name": "gold", "revision": 3}
    with pytest.raises(errors.ApiRefused, match="Does a proxy remove or replace it"):
        _ = Seen(policy, etag, None, None).condition


def test_set_waits_until_all_have_it(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50})
    cloud.users["7"], cloud.stopped = ["vm1", "vm2", "vm3"], {"vm3"}
    late = qos(cpu_limit=by("policy gold", 60, 4, applied=50, state="drifted"))
    there = qos(cpu_limit=by("policy gold", 60, 4))
    cloud.page_of_host("compute", vm1=late, vm2=there)
    looks = cloud.queries

    def change_later() -> bool:
        if len(looks) == 1:
            cloud.page_of_host("compute", vm1=there, vm2=there)
        return False

    inner = cloud.answer

    def answer(method: str, path: str, body: Any) -> Any:
        found = inner(method, path, body)
        change_later()
        return found

    cloud.answer = answer  # type: ignore[method-assign]
    ended = openstack.good("policy", "set", "--cpu-limit", "60", "gold")
    assert ended.out == "policy gold: revision 4, in force on 2 of 2 running servers\n"
    assert len(looks) == 2


@pytest.mark.parametrize(("part", "told"), [
    (by("policy gold", 60, 4, applied=50, state="drifted"),
     "cpu_limit 60 percent of one CPU requested, 50 percent of one CPU applied"),
    (by("policy gold", 60, 3), "cpu_limit of an older revision"),
    (by("policy gold", 60, 4, applied=None, state="pending", reason="the agent is away"),
     "cpu_limit 60 percent of one CPU requested, nothing applied: the agent is away")])
def test_set_ends_after_the_timeout(
    part: dict[str, object], told: str, openstack: OpenStack, cloud: PolicyCloud
) -> None:
    cloud.policy("gold")
    cloud.users["7"] = ["vm1", "vm2"]
    cloud.page_of_host("compute", vm1=qos(cpu_limit=part), vm2=qos())
    error = openstack.bad("policy", "set", "--timeout", "0", "--cpu-limit", "60", "gold").error()
    assert error == ("Revision 4 of policy gold is saved, but in force on 1 of 2 running servers. "
                     f"vm1 on compute: {told}.")


def test_what_a_host_refuses_is_not_waited_for(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", projects=[PROJECT])
    refused = by("policy gold", 60, 4, applied=None, state="unsupported", reason="no uplink")
    cloud.page_of_host("compute", vm1=qos(net_limit=refused), vm2=qos(net_limit=by("server", 9)),
                       vm3=qos(net_limit=by("policy gold", 60, 4)))
    error = openstack.bad("policy", "set", "--net-limit", "60", "gold").error()
    assert error.endswith("in force on 2 of 3 running servers. vm1 on compute: net_limit 60 "
                          "kbit/s requested, nothing applied: no uplink.")
    assert len(cloud.queries) == 1


@pytest.mark.parametrize("state", ["refused", "deflated"])
def test_what_a_host_refused_before_is_waited_for(
    state: str, openstack: OpenStack, cloud: PolicyCloud
) -> None:
    cloud.policy("gold", is_default=True)
    pages = [qos(net_guarantee=by("policy gold", 60, 4, **{"applied": 70, **each})) for each in (
        {"state": "pending", "reason": "the host has yet to get revision 4 of policy gold"},
        # it has that revision, and was not looked at with it yet
        {"state": state, "reason": "more than the uplink has"}, {"applied": 60})]

    def turn(queries: list[Any]) -> None:
        late = pages[min(len(queries), len(pages) - 1)]
        cloud.page_of_host("compute", vm1=late, vm2=qos(), vm3=qos())

    inner = cloud.answer

    def answer(method: str, path: str, body: Any) -> Any:
        turn(cloud.queries)
        return inner(method, path, body)

    cloud.answer = answer  # type: ignore[method-assign]
    ended = openstack.good("policy", "set", "--net-guarantee", "60", "gold")
    assert ended.out == "policy gold: revision 4, in force on 3 of 3 running servers\n"
    assert len(cloud.queries) == 3


def test_what_a_host_goes_on_refusing_is_not_waited_for(
    openstack: OpenStack, cloud: PolicyCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.1)
    cloud.policy("gold", is_default=True)
    refused = by("policy gold", 60, 4, applied=None, state="refused", reason="no room")
    cloud.page_of_host("compute", vm1=qos(net_guarantee=refused), vm2=qos(), vm3=qos())
    error = openstack.bad("policy", "set", "--net-guarantee", "60", "gold").error()
    assert error.endswith("vm1 on compute: net_guarantee 60 kbit/s requested, nothing applied: "
                          "no room.")
    assert len(cloud.queries) == 2


def test_a_setting_that_is_removed_is_waited_for(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50, "io_limit": 200}, is_default=True)
    cloud.page_of_host(
        "compute", vm1=qos(cpu_limit={"applied": 50}), vm2=qos(cpu_limit=by("server", 70)),
        vm3=qos(cpu_limit=by("policy silver", 40, 9, applied=50, state="drifted")))
    error = openstack.bad("policy", "unset", "--timeout", "0", "--cpu-limit", "gold").error()
    assert error.endswith(
        "in force on 1 of 3 running servers. vm1 on compute: cpu_limit unset, default unlimited, "
        "50 percent of one CPU applied. vm3 on compute: cpu_limit 40 percent of one CPU "
        "requested, 50 percent of one CPU applied.")


def test_a_policy_that_is_the_default_no_longer(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", settings={"cpu_limit": 50}, is_default=True)
    left = qos(cpu_limit={"applied": 50})
    cloud.page_of_host("compute", vm1=left, vm2=qos(), vm3=qos())
    error = openstack.bad("policy", "set", "--timeout", "0", "--no-default", "gold").error()
    assert "in force on 2 of 3 running servers. vm1 on compute: cpu_limit unset" in error


def test_servers_that_stop_or_go_are_not_waited_for(
    openstack: OpenStack, cloud: PolicyCloud
) -> None:
    cloud.policy("gold")
    cloud.users["7"] = ["vm1", "vm2"]
    waits = qos(cpu_limit=by("policy gold", 60, 4, applied=None, state="pending", reason="off"))
    cloud.page_of_host("compute", vm1=waits)
    find = cloud._name

    def gone(server_id: str) -> str | None:
        cloud.stopped.add("vm1")
        return None if server_id == cloud.servers["vm2"] else find(server_id)

    cloud._name = gone  # type: ignore[method-assign]
    ended = openstack.good("policy", "set", "--cpu-limit", "60", "gold")
    assert ended.out == "policy gold: revision 4, in force on 0 of 0 running servers\n"


def test_where_it_is_in_force_may_be_unknown(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold")
    cloud.is_admin = False
    error = openstack.bad("policy", "set", "--memory", "75%", "gold").error()
    assert error == ("Revision 4 of policy gold is saved, but it is not known where it is in "
                     "force: this API does not tell you who uses the policy")


def test_a_cell_that_is_down_is_told(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold")
    cloud.incomplete = True
    ended = openstack.good("policy", "set", "--memory", "75%", "gold")
    assert ended.out.endswith("servers, not counting a cell that does not answer\n")


def test_a_new_description_waits_for_nobody(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.policy("gold", is_default=True)
    assert openstack.good("policy", "set", "--description", "x", "gold").out == (
        "policy gold: revision 4\n")


def test_a_server_is_set_to_a_policy(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, qos(
        cpu_limit=by("policy gold", 60), io_limit=by("default policy bronze", 200),
        memory=by("server", 300, None)))
    ended = openstack.good("set", "--policy", "Gold", "--memory", "300", "vm1")
    assert cloud.asked == [("vm1", SET_ALL, {"memory": 300, "policy": "Gold"})]
    assert ended.rows()[1] == [
        "vm1", "applied", "policy Gold (cpu_limit 60 percent of one CPU, io_limit 200 IOPS of "
        "default policy bronze), memory 300 MiB"]


def test_a_server_is_to_have_no_policy(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, qos())
    assert openstack.good("set", "--policy", "none", "vm1").rows()[1][2] == "policy none"
    assert openstack.good("unset", "--policy", "vm1").rows()[1][2] == "policy unset"
    assert cloud.asked[-1] == ("vm1", SET_ALL, {"policy": None})
    ended = openstack.good("unset", "--all", "--policy", "vm1")
    assert ended.rows()[1][2] == "all settings unset, policy unset"
    assert cloud.asked[-1] == ("vm1", SET_ALL, {**dict.fromkeys(TABLE), "policy": None})


def test_unset_falls_back_to_a_policy(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, qos(cpu_limit=by("policy gold", 60)))
    assert openstack.good("unset", "--cpu-limit", "vm1").rows()[1][2] == (
        "cpu_limit 60 percent of one CPU of policy gold")


def test_a_policy_of_a_server_that_does_not_run(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (202, qos(cpu_limit={
        **waiting(60), "source": "policy gold", "policy_revision": 3}))
    assert openstack.good("set", "--policy", "gold", "vm1").rows()[1] == [
        "vm1", "pending", "saved, will be applied: the server is not running"]


def test_a_policy_that_does_not_exist(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", SET_ALL] = fault(400, "policy: there is no policy 'gold'")
    assert openstack.bad("set", "--policy", "gold", "vm1").rows()[1] == [
        "vm1", "failed", "policy: there is no policy 'gold' (HTTP 400)"]


@pytest.mark.parametrize(("part", "result"), [
    (by("policy gold", 60), "applied"),
    (by("policy gold", 60, applied=50, state="drifted"), "pending"),
    (by("policy gold", 60, state="refused"), "failed"),
    (by("server", 60, None, state="refused"), "applied"),
    ({"source": "none", "applied": 50}, "pending"),
    ({"source": "none", "state": "pending", "reason": "policy 7 is not known here"}, "pending"),
    ({"source": "none", "applied": 50, "reason": "raised by cpu_guarantee"}, "applied")])
def test_the_result_of_a_policy(part: dict[str, object], result: str) -> None:
    outcome = Outcome.of(qos(cpu_limit=part), {"policy": "gold"})
    assert (outcome.result, outcome.policy) == (result, "gold")


def test_many_servers_are_set_to_a_policy(cloud: PolicyCloud, policies: Policies) -> None:
    for name in ("vm1", "vm2"):
        cloud.answers[name, SET_ALL] = (200, qos(cpu_limit=by("policy gold", 60)))
    changes: dict[str, dict[str, int | str | None]] = {
        cloud.servers[name]: {"policy": "gold"} for name in ("vm1", "vm2")}
    found = Client(policies._adapter).set_many(changes)
    assert [each.by_policies for each in found.values() if isinstance(each, Outcome)] == [
        ("cpu_limit",)] * 2
    assert {each.result for each in found.values() if isinstance(each, Outcome)} == {"applied"}


def test_show_tells_the_source(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, qos(
        cpu_limit=by("policy gold", 60), memory=by("server", 300, None)))
    words = ("show", "vm1", "-c", "Resource", "-c", "Source")
    shown = dict(openstack.good(*words).rows())
    assert (shown["cpu_limit"], shown["memory"], shown["io_priority"]) == (
        "policy gold (3)", "server", "none")
    rows = json.loads(openstack.good("show", "vm1", "--long", "-f", "json").out)
    limit = next(row for row in rows if row["Resource"] == "cpu_limit")
    assert (limit["Source"], limit["Policy Revision"]) == ("policy gold", 3)
    cloud.answers["vm1", GET_ALL] = (200, reports())
    assert dict(openstack.good(*words).rows())["memory"] == "-"
    assert json.loads(openstack.good("show", "vm1", "-f", "json").out)[0]["Source"] is None


def test_list_tells_the_sources(openstack: OpenStack, cloud: PolicyCloud) -> None:
    cloud.listed = [
        listed("id1", "vm1", qos(cpu_limit=by("policy gold", 60), io_limit=by("policy gold", 200),
                                 memory=by("server", 300, None))),
        listed("id2", "vm2", qos())]
    assert [row[-1] for row in openstack.good("list").rows()] == [
        "Source", "server, policy gold (3)", ""]
    first = json.loads(openstack.good("list", "-f", "json").out)[0]
    assert first["Source"]["cpu_limit"] == "policy gold"
    cloud.listed = [listed("id1", "vm1", reports())]
    assert "Source" not in openstack.good("list").rows()[0]
    assert openstack.good("list", "-c", "Name", "-c", "Source").rows()[1] == ["vm1", "-"]


def test_list_tells_what_is_not_known(openstack: OpenStack, cloud: PolicyCloud) -> None:
    unknown = {name: {**each, "source": "unknown"} for name, each in qos().items()}
    mine = {"memory": qos(memory=by("server", 300, None))["memory"]}
    cloud.listed = [listed("id1", "vm1", {**unknown, **mine})]
    words = ("-c", "Name", "-c", "Memory", "-c", "CPU Priority")
    assert openstack.good("list", *words).rows()[1] == ["vm1", "300", "unknown"]
    assert openstack.good("list").rows()[1][-1] == "server, unknown"
    row = json.loads(openstack.good("list", "-f", "json").out)[0]
    assert (row["CPU Priority"], row["Source"]["cpu_priority"]) == (None, "unknown")


def test_from_python(cloud: PolicyCloud, policies: Policies) -> None:
    made = policies.create("gold", {"memory": "75%"}, description="x")
    assert policies.find("GOLD") == made
    assert policies.find(made["id"]) == made
    changed = policies.change(policies.get(made["id"]), settings={})
    assert (changed["revision"], changed["settings"]) == (2, {})
    with pytest.raises(errors.NoSuchPolicy, match="no policy has the name or ID 'lead'"):
        policies.find("lead")
    policies.delete(made["id"])
    assert policies.list() == []
    with pytest.raises(errors.ApiRefused, match="HTTP 404"):
        policies.get("../servers")
    assert cloud.requests[-1] == "GET /os-qos-policies/..%2Fservers"
    cloud.has_policies = False
    with pytest.raises(errors.NotInstalled, match=UPGRADE):
        policies.find("5")
