# SPDX-License-Identifier: Apache-2.0
"""Both command lines, whole, with nova's real API."""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from novaclient import exceptions
from novaclient import shell as novaclient

from nova_qos.core.reading import LEFT_IN_PLACE
from nova_qos.resources import BY_FAMILY, TABLE
from novaclient_qos.osc import rollout
from tests.fakehost import CAPACITY
from tests.functional import shells
from tests.functional.caller import ADMIN
from tests.functional.cloud import HOOKS, Cloud, Server, eventually
from tests.functional.values import SETTINGS
from tests.shells import OpenStack
from tests.unit.clients.recorded import RecordedCloud

HOST, BARE_HOST = "nova-of-the-shells", "nova-as-shipped"
ABSENT = "this cloud's nova has no nova-qos: its API does not know"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of ours, and no log of the nova that runs in the same process."""
    for name in os.environ:
        if name.startswith(("OS_", "NOVA")) and name != "OS_NOVA_DISABLE_EVENTLET_PATCHING":
            monkeypatch.delenv(name)
    for name in ("nova", "nova_qos", "placement", "tests", "oslo_messaging", "oslo_policy",
                 "oslo.service", "oslo_db"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", False)


@pytest.fixture
def keystone(cloud: Cloud) -> Iterator[RecordedCloud]:
    with (RecordedCloud(compute_url=f"http://{HOST}/v2.1") as keystone,
          shells.intercepted(cloud.api_fixture.app(), HOST)):
        yield keystone


@pytest.fixture
def openstack(keystone: RecordedCloud, capsys: pytest.CaptureFixture[str]) -> OpenStack:
    return OpenStack(keystone.credentials("admin"), capsys)


@pytest.fixture
def nova(keystone: RecordedCloud, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def nova(*words: str) -> str:
        capsys.readouterr()
        novaclient.OpenStackComputeShell().main([*keystone.credentials("admin"), *words])
        return capsys.readouterr().out

    return nova


@pytest.fixture
def named(boot: Callable[..., Server]) -> Callable[..., Server]:
    """Makes servers of a name."""
    return lambda name: rename(boot(), name)


def rename(server: Server, name: str) -> Server:
    """The same server, once it has the name."""
    renamed = ADMIN.request(
        "PUT", f"/servers/{server.uuid}", json.dumps({"server": {"name": name}}))
    assert renamed.status == 200, renamed
    return server


def test_hosts(openstack: OpenStack, server: Server) -> None:
    rows = openstack.good("host", "list", "-c", "Host", "-c", "Agent").rows()
    assert rows[1:] == [["compute", "up"], ["halted", "down"], ["second", "up"], ["silent", "down"]]
    found = json.loads(openstack.good("host", "show", "compute", "-f", "json").out)
    assert (found["name"], found["agent"], found["memory_capacity"]) == (
        "compute", "up", CAPACITY.memory_mib)
    assert openstack.bad("host", "show", "nowhere").error().startswith(
        "there is no compute host nowhere (HTTP 404)")


def test_the_report_of_a_host(openstack: OpenStack, server: Server) -> None:
    openstack.good("set", "--cpu-priority", "2048", "--memory-guarantee", "64", server.uuid)
    told = openstack.good("report", "compute")
    assert told.out.startswith("Host compute is calm")
    rows = {row[1]: row[2:9] for row in told.rows() if len(row) == 11}
    assert rows["cpu_priority"][1:] == ["2048", "2048", "shares", "True", "applied", "server"]
    assert 0 < float(rows["cpu_priority"][0]) <= 100
    found = json.loads(openstack.good("report", "compute", "-f", "json").out)
    assert (found["host"]["agent"], found["capacity"]["memory"]["guaranteed"]) == ("up", 64)
    assert {(each["resource"], each["requested"]) for each in found["settings"]
            if each["server_id"] == server.uuid} == {
        ("cpu_priority", 2048), ("memory_guarantee", 64)}
    assert openstack.bad("report", "nowhere").error().startswith("there is no compute host nowhere")


def test_the_report_of_a_host_without_an_agent(openstack: OpenStack) -> None:
    told = openstack.good("report", "halted")
    assert "Its agent is down: nova-qos-agent on host halted did not answer" in told.out


def test_set_show_and_unset(openstack: OpenStack, server: Server) -> None:
    options = [word for name, value in SETTINGS.items()
               for word in (TABLE[name].names.option, str(value))]
    assert openstack.good("set", *options, server.uuid).rows()[1][:2] == [server.uuid, "applied"]
    assert server.saved() == SETTINGS
    assert (server.domain.shares, server.domain.weight) == (77, 900)
    rows = openstack.good("show", server.uuid).rows()[1:]
    assert [(row[0], row[1], row[2], row[4]) for row in rows] == [
        (name, str(SETTINGS[name]), str(SETTINGS[name]), "applied") for name in BY_FAMILY]
    openstack.good("unset", "--cpu-priority", server.uuid)
    assert server.saved().keys() == SETTINGS.keys() - {"cpu_priority"}
    openstack.good("unset", "--all", server.uuid)
    assert (server.saved(), server.domain.shares) == ({}, 1024)


def test_sizes_with_units(openstack: OpenStack, server: Server) -> None:
    openstack.good("set", "--memory", "0.25GiB", server.uuid)
    assert server.saved() == {"memory": 256}


def test_several_servers(openstack: OpenStack, named: Callable[..., Server]) -> None:
    one, two = named("one of several"), named("два")
    ended = openstack.bad("set", "--cpu-priority", "77", "one of several", "nobody", "два")
    assert ended.rows()[1:] == [
        ["one of several", "applied", "cpu_priority 77 shares"],
        ["nobody", "failed", "No Server found for nobody"],
        ["два", "applied", "cpu_priority 77 shares"]]
    assert (one.saved(), two.saved()) == ({"cpu_priority": 77}, {"cpu_priority": 77})


@pytest.mark.parametrize("name", ["vm with spaces", "vérité", "虚拟机", "100%", "a.b_c-d"])
def test_names(name: str, openstack: OpenStack, named: Callable[..., Server]) -> None:
    server = named(name)
    openstack.good("set", "--io-priority", "900", name)
    assert server.domain.weight == 900
    assert openstack.good("show", name, "-f", "value", "-c", "Applied").out.split()[3] == "900"


def test_an_ambiguous_name(openstack: OpenStack, named: Callable[..., Server]) -> None:
    first, second = named("twin"), named("twin")
    rows = openstack.bad("set", "--cpu-priority", "77", "twin").rows()
    assert rows[1:] == [["twin", "failed", "More than one Server exists with the name 'twin'. "
                         "Give the ID of one of them."]]
    assert (first.saved(), second.saved()) == ({}, {})
    openstack.good("set", "--cpu-priority", "77", second.uuid)
    assert (first.saved(), second.saved()) == ({}, {"cpu_priority": 77})
    assert "Give the ID" in openstack.bad("show", "twin").error()


def test_servers_of_other_projects(
    keystone: RecordedCloud, openstack: OpenStack, named: Callable[..., Server],
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = named("elsewhere")
    server.change(project_id="another")
    # --all is an option of its own, not short for --all-projects
    for words in (("show",), ("show", "--all")):
        assert openstack.bad(*words, "elsewhere").error() == "No Server found for elsewhere"
    openstack.good("set", "--all-projects", "--cpu-priority", "77", "elsewhere")
    assert server.saved() == {"cpu_priority": 77}
    openstack.good("show", server.uuid)
    member = OpenStack(keystone.credentials("member"), capsys)
    assert "found" in member.bad("show", server.uuid).error()


def test_who_may_not(
    keystone: RecordedCloud, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    member = OpenStack(keystone.credentials("member"), capsys)
    row = member.bad("set", "--cpu-priority", "77", server.uuid).rows()[1]
    assert row[1] == "failed"
    assert "Policy doesn't allow os_compute_api:os-qos:cpu_priority:set" in row[2]
    member.good("show", server.uuid)
    member.good("list")
    assert "(HTTP 403)" in member.bad("list", "--host", "compute").error()


def test_a_value_out_of_range(openstack: OpenStack, server: Server) -> None:
    row = openstack.bad("set", "--net-priority", "99", server.uuid).rows()[1]
    assert row[1] == "failed"
    assert "0 (highest) to 98" in row[2]


def test_what_the_guest_cannot_spare(
    openstack: OpenStack, server: Server, option: Callable[[str, object], None]
) -> None:
    server.domain.used_kib = 200 * 1024
    option("memory_reserve_mib", 10)
    assert "210 MiB" in openstack.bad("set", "--memory", "209", server.uuid).rows()[1][2]
    openstack.good("set", "--memory", "209", "--force", server.uuid)
    assert server.saved() == {"memory": 209}


def test_waiting_for_a_stopped_server(openstack: OpenStack, server: Server) -> None:
    del server.machine.domains[server.uuid]
    ended = openstack.good("set", "--cpu-priority", "77", server.uuid)
    assert ended.rows()[1][1:] == ["pending", "saved, will be applied: the server is not running"]

    def start() -> None:
        eventually(lambda: server.saved() == {"cpu_priority": 78})
        time.sleep(1.5)
        server.restart()

    started = threading.Thread(target=start)
    started.start()
    ended = openstack.good("set", "--wait", "--cpu-priority", "78", server.uuid)
    started.join()
    assert ended.rows()[1][1:] == ["applied", "cpu_priority 78 shares"]
    assert server.domain.shares == 78


def test_waiting_for_a_guest_that_stays_silent(
    openstack: OpenStack, server: Server, option: Callable[[str, object], None]
) -> None:
    option("balloon_timeout", 0.3)
    server.domain.balloon_step_kib = 0
    ended = openstack.bad("set", "--wait", "--timeout", "2", "--memory", "300", server.uuid)
    name, result, details = ended.rows()[1]
    assert (name, result) == (server.uuid, "pending")
    assert details.startswith("saved, but not applied after 2 s: memory 300 MiB requested, 512 MiB "
                              "applied: memory: reached 512 of 300 MiB after")
    assert server.saved() == {"memory": 300}


def test_waiting_ends_where_drift_is_only_reported(
    cloud: Cloud, openstack: OpenStack, server: Server, option: Callable[[str, object], None]
) -> None:
    option("drift", "report")
    option("balloon_timeout", 0.3)
    # keeps the command waiting
    server.domain.balloon_step_kib = 0

    def drift() -> None:
        eventually(lambda: server.saved() == {"memory": 300, "cpu_priority": 77})
        eventually(lambda: server.domain.shares == 77)
        # the agent has seen its value in force
        history = cloud.agents["compute"].manager.looker.history
        eventually(lambda: history.was_in_force(server.uuid, "cpu_priority", 77))
        server.domain.shares = 3000
        server.machine.happened(None, "unknown")

    drifting = threading.Thread(target=drift)
    drifting.start()
    ended = openstack.bad(
        "set", "--wait", "--timeout", "30", "--memory", "300", "--cpu-priority", "77", server.uuid)
    drifting.join()
    assert ended.rows()[1] == [
        server.uuid, "failed",
        f"cpu_priority 77 shares requested, 3000 shares applied: {LEFT_IN_PLACE}"]
    assert server.domain.shares == 3000


def test_waiting_for_an_unset_on_a_coarse_scale(
    openstack: OpenStack, server: Server, option: Callable[[str, object], None]
) -> None:
    server.domain.unified = True
    option("cpu_share_per_vcpu", 128)
    openstack.good("set", "--wait", "--cpu-priority", "1001", server.uuid)
    ended = openstack.good("unset", "--wait", "--cpu-priority", server.uuid)
    assert ended.rows()[1][1:] == ["applied", "cpu_priority unset"]
    shown = openstack.good("show", server.uuid, "--long", "-f", "json").out
    (cpu,) = (each for each in json.loads(shown) if each["Resource"] == "cpu_priority")
    # cgroup v2 holds the weight 13
    assert (cpu["Default"], cpu["Applied"], server.domain.shares) == (128, 133, 128)


def test_list(openstack: OpenStack, named: Callable[..., Server]) -> None:
    server = named("to be listed")
    openstack.good("set", "--cpu-priority", "77", "to be listed")
    (row,) = (each for each in openstack.good("list").rows() if each[1] == server.uuid)
    assert row == ["to be listed", server.uuid, "", "", "77", "", ""]
    (shown,) = (each for each in json.loads(openstack.good("list", "-f", "json").out)
                if each["ID"] == server.uuid)
    assert (shown["CPU Priority"], shown["Memory"]) == (77, None)


def test_list_of_a_host(openstack: OpenStack, cloud: Cloud) -> None:
    first, second = cloud.boot("second"), cloud.boot("second")
    try:
        openstack.good("set", "--io-priority", "300", "--memory", "256", first.uuid)
        del second.machine.domains[second.uuid]
        openstack.good("set", "--io-priority", "500", second.uuid)
        titles, *rows, total = openstack.good("list", "--host", "second").rows()
        shown = {row[1]: dict(zip(titles, row, strict=True)) for row in rows}
        assert shown[first.uuid]["Memory"] == "256"
        assert shown[first.uuid]["Disk I/O %"] == "100.0"
        assert shown[second.uuid]["Disk I/O Priority"] == "500 (pending)"
        assert shown[second.uuid]["CPU %"] == ""
        assert total[0] == "Total"
        assert total[2].startswith("256 of ")
        programs = json.loads(openstack.good("list", "--host", "second", "-f", "json").out)
        assert {each["ID"]: each["Memory"] for each in programs} == {
            first.uuid: 256, second.uuid: None}
    finally:
        cloud.delete(first)
        cloud.delete(second)


def test_no_such_host(openstack: OpenStack) -> None:
    error = openstack.bad("list", "--host", "nowhere").error()
    assert "nowhere" in error
    assert "no nova-qos" not in error
    assert "(HTTP 404)" in error


@pytest.mark.parametrize("kind", ["json", "yaml", "csv", "value", "table"])
@pytest.mark.parametrize("words", [
    ("show", "{}"), ("show", "--long", "{}"), ("set", "--cpu-priority", "5", "{}"),
    ("unset", "--all", "{}"), ("list",), ("list", "--host", "compute")])
def test_every_format(
    kind: str, words: tuple[str, ...], openstack: OpenStack, server: Server
) -> None:
    assert openstack.good(*(word.format(server.uuid) for word in words), "-f", kind).out


@pytest.mark.parametrize("version", ["2.1", "2.47", "2.96"])
def test_any_microversion(version: str, openstack: OpenStack, server: Server) -> None:
    # so python-openstackclient before 8, of all but the first microversion
    warning = f"compute version {version} is not in supported versions: 2, 2.1\n"
    for words in (("set", "--cpu-priority", "5", server.uuid), ("show", server.uuid), ("list",)):
        ended = openstack("--os-compute-api-version", version, "server", "qos", *words)
        assert (ended.status, ended.err.removeprefix(warning)) == (0, "")


def test_the_nova_commands_are_of_one_mind_with_them(
    openstack: OpenStack, nova: Callable[..., str], server: Server
) -> None:
    line = nova("lv-set-cpu-priority", server.uuid, "77")
    assert line == f"{server.uuid}: cpu_priority 77 shares, applied\n"
    shown = openstack.good("show", server.uuid, "-f", "value", "-c", "Requested").out
    assert shown.split()[2] == "77"
    openstack.good("set", "--net-priority", "20", server.uuid)
    assert "| prio     | 20    |" in nova("tc-get-net-priority", server.uuid)
    with pytest.raises(exceptions.CommandError):
        nova("lv-set-io-priority", server.uuid, "99")
    del server.machine.domains[server.uuid]
    line = nova("lv-set-io-priority", server.uuid, "300")
    assert line == f"{server.uuid}: saved, will be applied: the server is not running\n"


def test_a_nova_without_nova_qos(
    cloud: Cloud, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with (RecordedCloud(compute_url=f"http://{BARE_HOST}/v2.1") as keystone,
          shells.intercepted(shells.without_nova_qos(), BARE_HOST)):
        openstack = OpenStack(keystone.credentials("admin"), capsys)
        assert openstack.bad("show", server.uuid).error() == f"{ABSENT} get-qos"
        set_ = openstack.bad("set", "--memory", "300", server.uuid, server.uuid)
        assert set_.error() == f"{ABSENT} set-qos"
        assert openstack.bad("list").error() == f"{ABSENT} /os-qos"
        assert openstack.bad("list", "--host", "compute").error() == f"{ABSENT} /os-qos"
        command = [*keystone.credentials("admin"), "lv-get-mem", server.uuid]
        with pytest.raises(exceptions.CommandError, match=f"^{ABSENT} get-current-memory$"):
            novaclient.OpenStackComputeShell().main(command)


def test_what_a_dry_run_shows_comes_true(
    openstack: OpenStack, named: Callable[..., Server]
) -> None:
    first, second = named("forecast-1"), named("forecast-2")
    words = ("--cpu-priority", "2048", "--io-priority", "300", "--net-priority", "9",
             "--net-in-priority", "30", first.uuid)
    rows = json.loads(openstack.good("set", "--dry-run", *words, "-f", "json").out)
    assert first.domain.writes == second.domain.writes == []
    assert first.saved() == {}
    openstack.good("set", *words)
    listed = json.loads(openstack.good("list", "--host", "compute", "-f", "json").out)
    columns = ("CPU %", "Disk I/O %", "Network %", "Network In %")
    assert {row["Server"]: [row[f"{column} Then"] for column in columns] for row in rows} == {
        row["Name"]: [row[column] for column in columns] for row in listed}


def wishes() -> dict[str, dict[str, tuple[str, str]]]:
    """Of each server of the host, by name, what is requested of each resource and whose wish that
    is."""
    answer = ADMIN.request("GET", "/os-qos?host=compute")
    return {server["name"]: {
        name: ("unset" if each["requested"] is None else str(each["requested"]), each["source"])
        for name, each in server["qos"].items()} for server in answer.body["servers"]}


def changed(before: dict[str, tuple[str, str]], words: str) -> dict[str, tuple[str, str]]:
    """The wishes for a server after what a dry run says of it."""
    after = dict(before)
    for name, value, notes in re.findall(r"(\w+) [^>]*-> ([\w-]+)(?: \(([^)]*)\))?", words):
        found = re.search(r"(?:default )?policy \w+|hook", notes)
        after[name] = (value, found[0] if found else "none" if value == "unset" else "server")
    return after


@pytest.fixture
def foretold(
    openstack: OpenStack, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Runs a command dry, then does it, and compares what the list of the host shows."""
    monkeypatch.setattr(rollout, "_POLL_SECONDS", 0.2)
    columns = ("CPU %", "Disk I/O %", "Network %", "Network In %")

    def parts() -> dict[str, list[float | None]]:
        rows = json.loads(openstack.good("list", "--host", "compute", "-f", "json").out)
        return {row["Name"]: [row[column] for column in columns] for row in rows}

    def foretold(*words: str) -> None:
        shares, wished = parts(), wishes()
        ended = openstack("server", "qos", *words, "--dry-run", "-f", "json")
        assert ended.status == 0, ended
        rows = {row["Server"]: row for row in json.loads(ended.out)}
        assert (parts(), wishes()) == (shares, wished)
        assert any(row["Changes"] for row in rows.values())
        assert shares == {
            name: [row[column] for column in columns] for name, row in rows.items()}
        openstack.good(*words)
        then = {name: [row[f"{column} Then"] for column in columns] for name, row in rows.items()}
        # an agent writes weights of neighbours a moment later
        eventually(lambda: parts() == then)
        assert wishes() == {name: changed(wished[name], row["Changes"])
                            for name, row in rows.items()}

    return foretold


@pytest.mark.usefixtures("policies")
def test_what_a_dry_run_of_a_policy_shows_comes_true(
    openstack: OpenStack, named: Callable[..., Server], foretold: Callable[..., None]
) -> None:
    first, second, third = (named(f"foretold-{number}") for number in range(3))
    instance = third.instance()
    instance.flavor.extra_specs["qos:policy"] = "flavored"
    instance.save()
    openstack.good("set", "--io-priority", "200", "--cpu-guarantee", "50", first.uuid)
    for name in ("gold", "flavored", "bronze"):
        openstack.good("policy", "create", name)
    openstack.good("set", "--policy", "gold", first.uuid)
    foretold("policy", "set", "--cpu-priority", "2000/vcpu", "--io-priority", "700",
             "--cpu-limit", "40", "--net-priority", "9", "gold")
    foretold("set", "--policy", "gold", second.uuid)
    foretold("policy", "set", "--io-priority", "400", "--net-in-priority", "20", "flavored")
    foretold("policy", "set", "--default", "--cpu-priority", "512", "--io-priority", "300",
             "--net-in-priority", "5", "bronze")
    foretold("policy", "unset", "--cpu-priority", "--io-priority", "--net-priority", "gold")
    # the policy's limit bounds its guarantee, until there is none
    foretold("set", "--cpu-limit", "-1", first.uuid)
    foretold("set", "--policy", "none", second.uuid)
    foretold("policy", "set", "--cpu-priority", "900", "bronze")
    foretold("policy", "set", "--no-default", "bronze")


@pytest.mark.usefixtures("policies")
def test_unset_all_leaves_the_policy(openstack: OpenStack, server: Server) -> None:
    """What is set is one thing, whose values a server has beyond that another."""
    openstack.good("policy", "create", "--io-priority", "500", "gold")
    for words, left in ((("--all",), {"io_priority": 500}), (("--all", "--policy"), {})):
        openstack.good("set", "--policy", "gold", "--io-priority", "300", "--cpu-priority", "77",
                       server.uuid)
        openstack.good("unset", *words, server.uuid)
        assert server.saved() == {}
        shown = json.loads(openstack.good("show", server.uuid, "--long", "-f", "json").out)
        assert {row["Resource"]: row["Applied"] for row in shown
                if row["Source"] != "none"} == left


@pytest.mark.usefixtures("policies")
def test_a_dry_run_shows_what_a_hook_gave(
    openstack: OpenStack, named: Callable[..., Server], foretold: Callable[..., None]
) -> None:
    """Below a policy nothing of it is to be seen, until the policy ends."""
    HOOKS["half"] = lambda server: {"memory": server.flavor.memory_mib // 2}
    try:
        ballooned, other = named("ballooned"), named("other")
        ballooned.machine.happened(ballooned.uuid, "started")
        eventually(lambda: ballooned.domain.held()["memory"] == 256)
    finally:
        del HOOKS["half"]
    openstack.good("policy", "create", "--memory", "75%", "--io-priority", "500", "gold")
    foretold("set", "--policy", "gold", ballooned.uuid)
    openstack.good("set", "--policy", "gold", other.uuid)
    assert (ballooned.domain.held()["memory"], other.domain.held()["memory"]) == (384, 384)
    foretold("set", "--policy", "none", ballooned.uuid)
    assert ballooned.domain.held()["memory"] == 256
    foretold("set", "--policy", "gold", ballooned.uuid)
    foretold("policy", "unset", "--memory", "gold")
    assert (ballooned.domain.held()["memory"], other.domain.held()["memory"]) == (256, 512)
    # a setting of its own replaces it for good
    foretold("set", "--memory", "300", ballooned.uuid)
    openstack.good("set", "--policy", "none", other.uuid)
    openstack.good("unset", "--memory", "--policy", ballooned.uuid)
    assert ballooned.domain.held()["memory"] == 512


@pytest.mark.usefixtures("policies")
def test_a_dry_run_of_a_policy_says_what_changes(
    openstack: OpenStack, named: Callable[..., Server]
) -> None:
    first, second = named("said-1"), named("said-2")
    openstack.good("policy", "create", "--memory", "75%", "--cpu-limit", "80", "gold")
    openstack.good("set", "--policy", "gold", "--io-priority", "300", first.uuid)
    openstack.good("set", "--policy", "none", second.uuid)
    third, gold = named("said-3"), json.loads(
        openstack.good("policy", "show", "gold", "-f", "json").out)["id"]
    listed = ADMIN.request("GET", "/os-qos?host=compute").body["servers"]
    policies = {each["id"]: each["policy"] for each in listed}
    assert [policies[each.uuid] for each in (first, second, third)] == [gold, "none", None]
    writes = len(first.domain.writes)
    ended = openstack("server", "qos", "policy", "set", "--dry-run", "--default", "--memory",
                      "50%", "--io-priority", "500", "gold", "-f", "json")
    found = {row["Server"]: row["Changes"] for row in json.loads(ended.out)}
    assert (found["said-1"], found["said-2"]) == ("memory 384 -> 256 (policy gold)", "")
    assert len(first.domain.writes) == writes
    assert openstack.good("policy", "list", "-c", "Revision", "-f", "value").out == "1\n"
    openstack.good("policy", "set", "--default", "--memory", "50%", "--io-priority", "500", "gold")
    shown = {row["Resource"]: row for row in json.loads(
        openstack.good("show", first.uuid, "-f", "json").out)}
    assert (shown["memory"]["Requested"], shown["memory"]["Source"]) == (256, "policy gold")
    assert shown["io_priority"]["Source"] == "server"
    openstack.good("policy", "set", "--no-default", "gold")
