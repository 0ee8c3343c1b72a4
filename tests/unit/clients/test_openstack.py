# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos`` in OpenStackClient's own shell, against a recorded cloud."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from nova_qos.core.reading import LEFT_IN_PLACE
from nova_qos.core.resource import Resource
from nova_qos.resources import BY_FAMILY, FIRST, GET_ALL, SET_ALL, TABLE
from tests.pace import Stopwatch
from tests.shells import Ended, OpenStack
from tests.unit.clients.answers import applied, listed, reports, waiting
from tests.unit.clients.recorded import RecordedCloud, fault
from tests.unit.rows import SWITCH, each_row, inside

ABSENT = "this cloud's nova has no nova-qos: its API does not know"
RESULTS = ["Server", "Result", "Details"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedCloud]:
    for name in os.environ:
        if name.startswith("OS_"):
            monkeypatch.delenv(name)
    with RecordedCloud("vm1", "vm2", "vm3") as cloud:
        yield cloud


@pytest.fixture
def openstack(cloud: RecordedCloud, capsys: pytest.CaptureFixture[str]) -> OpenStack:
    return OpenStack(cloud.credentials(), capsys)


def option(row: Resource, value: object = None) -> list[str]:
    return [row.names.option] if value is None else [row.names.option, str(value)]


@each_row
def test_set(row: Resource, openstack: OpenStack, cloud: RecordedCloud) -> None:
    for value in inside(row):
        cloud.answers["vm1", SET_ALL] = (200, reports(**{row.name: applied(value)}))
        ended = openstack.good("set", *option(row, value), "vm1")
        assert cloud.asked[-1] == ("vm1", SET_ALL, {row.name: value})
        assert ended.rows() == [RESULTS, ["vm1", "applied", f"{row.name} {value} {row.unit.name}"]]


@each_row
def test_unset(row: Resource, openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports())
    ended = openstack.good("unset", *option(row), "vm1")
    assert cloud.asked[-1] == ("vm1", SET_ALL, {row.name: None})
    assert ended.rows() == [RESULTS, ["vm1", "applied", f"{row.name} unset"]]


def test_unset_all(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports())
    openstack.good("unset", "--all", "vm1")
    assert cloud.asked == [("vm1", SET_ALL, dict.fromkeys(TABLE))]


def test_several_settings_are_one_request(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(
        memory=applied(256), memory_soft_limit={"state": "unset"}))
    ended = openstack.good(
        "set", "--memory", "0.25G", "--memory-soft-limit", "-1", "--force", "vm1")
    assert cloud.asked == [
        ("vm1", SET_ALL, {"memory": 256, "memory_soft_limit": -1, "force": True})]
    assert ended.rows()[1][2] == "memory 256 MiB, memory_soft_limit unset"


def test_every_server_is_tried_and_has_its_row(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers.update({
        ("vm1", SET_ALL): (200, reports(cpu_priority=applied(5))),
        ("vm2", SET_ALL): (202, reports(cpu_priority=waiting(5))),
        ("vm3", SET_ALL): fault(409, "the host\nrefused")})
    ended = openstack.bad("set", "--cpu-priority", "5", "vm3", "vm9", "vm1", "vm2")
    assert ended.err == ""
    assert ended.rows() == [
        RESULTS, ["vm3", "failed", "the host refused (HTTP 409)"],
        ["vm9", "failed", "No Server found for vm9"],
        ["vm1", "applied", "cpu_priority 5 shares"],
        ["vm2", "pending", "saved, will be applied: the server is not running"]]


def test_each_reason_is_told_once(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (202, reports(
        memory=waiting(9), cpu_priority=waiting(9), io_priority=waiting(500, "no disk")))
    ended = openstack.good("set", "--memory", "9", "--cpu-priority", "9", "--io-priority", "500",
                           "vm1", "-c", "Details", "-f", "value")
    assert ended.out == ("saved, will be applied: memory, cpu_priority: the server is not running; "
                         "io_priority: no disk\n")


def test_a_value_without_effect_is_told(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(io_priority={
        **applied(500), "effective": False, "reason": "the scheduler is none"}))
    assert openstack.good("set", "--io-priority", "500", "vm1").rows()[1] == [
        "vm1", "applied", "io_priority 500 weight, without effect: the scheduler is none"]


def test_a_service_that_dies_meanwhile_fails_its_server_alone(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.takes_many = False
    cloud.answers["vm1", SET_ALL] = (0, None)
    cloud.answers["vm2", SET_ALL] = (200, reports(cpu_priority=applied(5)))
    rows = openstack.bad("set", "--cpu-priority", "5", "vm1", "vm2").rows()
    assert [row[1] for row in rows[1:]] == ["failed", "applied"]
    assert "onnect" in rows[1][2]


def test_a_service_that_dies_while_it_changes_all_fails_all(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (0, None)
    rows = openstack.bad("set", "--cpu-priority", "5", "vm1", "vm2").rows()
    assert [row[1] for row in rows[1:]] == ["failed", "failed"]
    assert all("onnect" in row[2] for row in rows[1:])


@pytest.mark.parametrize("words", [
    ("set", "vm1"), ("set", "--force", "vm1"), ("unset", "vm1")])
def test_nothing_to_change(
    words: tuple[str, ...], openstack: OpenStack, cloud: RecordedCloud
) -> None:
    error = openstack.bad(*words).error()
    assert all(row.names.option in error for row in TABLE.values())
    assert cloud.asked == []


def test_all_or_some(openstack: OpenStack, cloud: RecordedCloud) -> None:
    error = openstack.bad("unset", "--all", "--memory", "vm1").error()
    assert error == "Give either --all or what to unset, not both."
    assert cloud.asked == []


@each_row
def test_what_is_no_value_asks_nothing(
    row: Resource, openstack: OpenStack, cloud: RecordedCloud
) -> None:
    for wrong in ("much", "1.5", "", "nan", "5X"):
        ended = openstack("server", "qos", "set", row.names.option, wrong, "vm1")
        assert (ended.status, cloud.asked) == (2, [])
        assert f"argument {row.names.option}: {wrong!r}" in ended.err


@each_row
def test_the_help_names_unit_range_and_default(row: Resource, openstack: OpenStack) -> None:
    told = " ".join(openstack("help", "server", "qos", "set").out.split())
    of_row = told.partition(f"{row.names.option} <{row.names.argument}> ")[2].partition(" --")[0]
    assert str(row.value.minimum) in of_row
    assert row.unit.name in f"{row.names.argument} {of_row}"
    assert "Default: " in of_row
    assert (row.value.in_words(None)) in of_row


def test_show(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, reports(
        cpu_priority=applied(2048), memory=waiting(256),
        io_priority={**applied(500), "effective": False, "reason": "the scheduler is none"}))
    assert openstack.good("show", "vm1").rows() == [
        ["Resource", "Requested", "Applied", "Unit", "State", "Effective", "Source", "Reason"],
        ["memory", "256", "", "MiB", "pending", "False", "-", "the server is not running"],
        ["memory_soft_limit", "", "unlimited", "MiB", "unset", "True", "-", ""],
        ["cpu_priority", "2048", "2048", "shares", "applied", "True", "-", ""],
        ["io_priority", "500", "500", "weight", "applied", "False", "-", "the scheduler is none"],
        ["net_priority", "", "none", "prio", "unset", "True", "-", ""]]
    assert openstack.good("show", "--long", "vm1").rows()[1] == [
        "memory", "256", "", "MiB", "1 to 512", "512", "pending", "False", "-",
        "", "2026-01-31T12:00:00+00:00", "the server is not running"]
    assert openstack.good("show", "-c", "default", "-c", "Resource", "vm1").rows()[2] == [
        "memory_soft_limit", "unlimited"]


def test_show_for_programs(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, reports(memory=waiting(256)))
    first, soft = json.loads(openstack.good("show", "--long", "vm1", "-f", "json").out)[:2]
    assert first == {
        "Resource": "memory", "Requested": 256, "Applied": None, "Unit": "MiB", "Range": [1, 512],
        "Default": 512, "State": "pending", "Effective": False, "Source": None,
        "Policy Revision": None, "Since": "2026-01-31T12:00:00+00:00",
        "Reason": "the server is not running"}
    assert soft["Applied"] == -1
    assert yaml.safe_load(openstack.good("show", "--long", "vm1", "-f", "yaml").out)[0] == first
    table = csv.DictReader(io.StringIO(openstack.good("show", "vm1", "-f", "csv").out))
    assert next(table)["Requested"] == "256"
    words = openstack.good("show", "vm1", "-f", "value", "-c", "Resource", "-c", "Requested").out
    assert words.splitlines()[0] == "memory 256"


def test_a_resource_of_a_newer_cloud_is_shown(openstack: OpenStack, cloud: RecordedCloud) -> None:
    luck = {**reports()["cpu_priority"], "requested": 1024, "unit": "clovers"}
    cloud.answers["vm1", GET_ALL] = (200, {**reports(), "luck": luck})
    assert openstack.good("show", "vm1").rows()[-1][:4] == ["luck", "1024", "1024", "clovers"]


def test_a_table_hides_what_is_not_set(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = (200, reports(cpu_limit=applied(50)))

    def shown(*words: str) -> list[str]:
        return [row[0] for row in openstack.good("show", "vm1", *words).rows()[1:]]

    assert shown() == ["memory", "memory_soft_limit", "cpu_priority", "cpu_limit", "io_priority",
                       "net_priority"]
    assert shown("--unset") == shown("--all") == list(BY_FAMILY)
    cloud.answers["vm1", GET_ALL] = (200, reports())
    assert shown() == list(FIRST)


@pytest.mark.parametrize("words", [(), ("--unset",), ("--all",)])
def test_programs_get_every_resource_in_the_order_of_the_table(
    words: tuple[str, ...], openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", GET_ALL] = (200, reports(cpu_limit=applied(50)))

    def out(form: str) -> str:
        return openstack.good("show", "vm1", "-f", form, "-c", "Resource", *words).out

    for rows in (json.loads(out("json")), yaml.safe_load(out("yaml")),
                 csv.DictReader(io.StringIO(out("csv")))):
        assert [row["Resource"] for row in rows] == list(TABLE)
    assert out("value").split() == list(TABLE)


def test_a_table_has_what_the_host_holds_without_a_setting(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    left = {"applied": 500, "reason": LEFT_IN_PLACE}
    cloud.answers["vm1", GET_ALL] = (200, reports(io_limit=left, cpu_limit=waiting(None)))
    rows = openstack.good("show", "vm1").rows()[1:]
    assert [row[0] for row in rows if row[0] not in FIRST] == ["io_limit"]
    assert rows[4] == ["io_limit", "", "500", "IOPS", "unset", "True", "-", LEFT_IN_PLACE]


def test_an_error_of_show_is_one_line(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", GET_ALL] = fault(403, "Policy\ndoes not allow it")
    assert openstack.bad("show", "vm1").error() == "Policy does not allow it (HTTP 403)"
    assert openstack.bad("show", "vm9").error() == "No Server found for vm9"


def test_a_cloud_without_nova_qos_is_told_plainly(openstack: OpenStack) -> None:
    assert openstack.bad("show", "vm1").error() == f"{ABSENT} get-qos"
    assert openstack.bad("set", "--memory", "9", "vm1", "vm2").error() == f"{ABSENT} set-qos"
    assert openstack.bad("unset", "--all", "vm1", "vm2").error() == f"{ABSENT} set-qos"
    assert openstack.bad("list").error() == f"{ABSENT} /os-qos"
    assert openstack.bad("list", "--host", "compute").error() == f"{ABSENT} /os-qos"


def test_list(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.listed = [
        listed("id1", "vm1", reports(cpu_priority=applied(5), net_priority=applied(0))),
        listed("id2", "vm2", reports()), listed("id3", "vm 3", reports(memory=applied(256)))]
    assert openstack.good("list").rows() == [
        ["Name", "ID", "Memory", "Memory Soft Limit", "CPU Priority", "Disk I/O Priority",
         "Network Priority"],
        ["vm1", "id1", "", "", "5", "", "0"], ["vm2", "id2", "", "", "", "", ""],
        ["vm 3", "id3", "256", "", "", "", ""]]
    assert len(cloud.queries) == 2
    first = json.loads(openstack.good("list", "-f", "json").out)[0]
    assert (first["CPU Priority"], first["Memory"], first["Network Priority"]) == (5, None, 0)


def test_a_column_is_there_once_a_server_has_the_setting(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.listed = [listed("id1", "vm1", reports()),
                    listed("id2", "vm2", reports(cpu_limit=applied(50)))]
    assert [row[-1] for row in openstack.good("list").rows()] == ["CPU Limit", "", "50"]
    del cloud.listed[1]
    assert openstack.good("list").rows()[0][-1] == "Network Priority"
    assert "CPU Limit" in json.loads(openstack.good("list", "-f", "json").out)[0]
    assert openstack.good("list", "-c", "CPU Limit").rows()[0] == ["CPU Limit"]


def on_host(cloud: RecordedCloud) -> None:
    """Three servers on a host of four processors: the third does not run."""
    def server(number: int, vcpus: int, weights: dict[str, int | None], **parts: object) -> None:
        qos = reports(**parts)  # type: ignore[arg-type]
        for name, part in qos.items():
            part["weight"] = weights.get(name)
        assert cloud.listed is not None
        cloud.listed.append(listed(f"id{number}", f"vm{number}", qos, vcpus))

    cloud.listed, cloud.host = [], {"name": "compute", "vcpus": 4, "memory_mib": 24012}
    server(1, 1, {"cpu_priority": 3072, "io_priority": 500, "net_priority": 39},
           cpu_priority=applied(3072), memory=applied(256), net_priority=applied(60))
    server(2, 4, {"cpu_priority": 1024, "net_priority": 26}, io_priority={
        **applied(100), "effective": False})
    server(3, 2, {}, **{name: waiting(None) for name in TABLE} | {"cpu_priority": waiting(7)})


def test_list_with_a_cell_that_is_down(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.listed = [listed("id1", "vm1", reports(cpu_priority=applied(5)))]
    for number in (2, 3):
        unknown = listed(f"id{number}", "", {name: {"requested": None} for name in TABLE})
        cloud.listed.append({**unknown, "name": None, "vcpus": None, "status": "UNKNOWN"})
    ended = openstack("server", "qos", "list")
    assert ended.status == 0
    assert ended.err == "The list is incomplete: 2 servers are in a cell that does not answer.\n"
    assert ended.rows()[2] == ["", "id2", *["unknown"] * len(FIRST)]
    rows = json.loads(openstack("server", "qos", "list", "-f", "json").out)
    assert [row["CPU Priority"] for row in rows] == [5, None, None]


def test_list_of_a_host(openstack: OpenStack, cloud: RecordedCloud) -> None:
    on_host(cloud)
    assert openstack.good("list", "--host", "compute").rows() == [
        ["Name", "ID", "Memory", "Memory Soft Limit", "CPU Priority", "CPU %", "Disk I/O Priority",
         "Disk I/O %", "Network Priority", "Network %"],
        ["vm1", "id1", "256", "unlimited", "3072", "25.0", "100", "100.0", "60", "60.0"],
        ["vm2", "id2", "512", "unlimited", "1024", "75.0", "100", "", "none", "40.0"],
        ["vm3", "id3", "", "", "7 (pending)", "", "", "", "", ""],
        ["Total", "", "768 of 24012", "", "", "100.0", "", "100.0", "", "100.0"]]
    assert [query["host"] for query in cloud.queries] == [["compute"]] * 2


def test_list_of_a_host_for_programs(openstack: OpenStack, cloud: RecordedCloud) -> None:
    on_host(cloud)
    rows = json.loads(openstack.good("list", "--host", "compute", "-f", "json").out)
    assert len(rows) == 3
    assert (rows[0]["CPU %"], rows[0]["Memory Soft Limit"]) == (25.0, -1)
    assert (rows[2]["CPU Priority"], rows[2]["CPU %"], rows[2]["Memory"]) == (None, None, None)
    words = openstack.good("list", "--host", "compute", "-f", "value", "-c", "Name").out
    assert words.split() == ["vm1", "vm2", "vm3"]


@pytest.mark.parametrize(("direction", "names"), [
    ("--sort-ascending", ["vm2", "vm1", "vm3", "Total"]),
    ("--sort-descending", ["vm3", "vm1", "vm2", "Total"])])
def test_the_total_stays_last(
    direction: str, names: list[str], openstack: OpenStack, cloud: RecordedCloud
) -> None:
    on_host(cloud)
    ended = openstack.good(
        "list", "--host", "compute", "--sort-column", "CPU Priority", direction, "-c", "Name",
        "-c", "Memory")
    assert [row[0] for row in ended.rows()[1:]] == names
    assert ended.rows()[-1] == ["Total", "768 of 24012"]


def test_an_empty_host(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.listed, cloud.host = [], {"name": "compute", "vcpus": 4, "memory_mib": 2097152}
    total = openstack.good("list", "--host", "compute").rows()[1]
    assert total[:3] == ["Total", "", "0 of 2097152"]
    assert openstack.good("list").out.strip() == ""


def looks_at(cloud: RecordedCloud) -> list[str]:
    """The servers that the command has looked at."""
    return [name for name, action, _value in cloud.asked if action == GET_ALL]


def later(change: Callable[[], None], cloud: RecordedCloud, looks: int = 2) -> None:
    """Change something when the command has looked so many times at a server."""
    act = cloud.act

    def then_change(server_id: str, body: dict[str, object]) -> object:
        answer = act(server_id, body)
        if len(looks_at(cloud)) == looks:
            change()
        return answer

    cloud.act = then_change  # type: ignore[method-assign, assignment]


def test_wait(openstack: OpenStack, cloud: RecordedCloud) -> None:
    there = (200, reports(cpu_priority=applied(5)))
    cloud.answers["vm1", SET_ALL] = there
    for action in (SET_ALL, GET_ALL):
        cloud.answers["vm2", action] = (202, reports(cpu_priority=waiting(5)))
    later(lambda: cloud.answers.update({("vm2", GET_ALL): there}), cloud)
    ended = openstack.good("set", "--wait", "--cpu-priority", "5", "vm1", "vm2")
    assert [row[:2] for row in ended.rows()[1:]] == [["vm1", "applied"], ["vm2", "applied"]]
    assert looks_at(cloud) == ["vm2"] * 3


def test_wait_until_an_unset_is_there(openstack: OpenStack, cloud: RecordedCloud) -> None:
    for action in (SET_ALL, GET_ALL):
        cloud.answers["vm1", action] = (202, reports(cpu_priority=waiting(None)))
    later(lambda: cloud.answers.update({("vm1", GET_ALL): (200, reports())}), cloud, 1)
    ended = openstack.good("unset", "--wait", "--cpu-priority", "vm1")
    assert ended.rows()[1] == ["vm1", "applied", "cpu_priority unset"]


@pytest.mark.parametrize(("end", "details"), [
    ((200, reports(memory={"requested": 9, "state": "refused", "reason": "no room"})), "no room"),
    (fault(404, "Instance x could not be found."), "Instance x could not be found. (HTTP 404)")])
def test_wait_for_what_does_not_come(
    end: tuple[int, object], details: str, openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (202, reports(memory=waiting(9)))
    cloud.answers["vm1", GET_ALL] = end
    ended = openstack.bad("set", "--wait", "--memory", "9", "vm1")
    assert ended.rows()[1] == ["vm1", "failed", details]


def process(
    cloud: RecordedCloud, *words: str, stderr: int, stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    # who runs tests in the background lets them, and their children, ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "openstackclient.shell", *cloud.credentials(), "server", "qos",
         *words], stdout=stdout, stderr=stderr, text=True)


LEFT = {"state": "drifted", "reason": LEFT_IN_PLACE}


@pytest.mark.parametrize(("end", "details"), [
    ({"requested": 5, "applied": 77, **LEFT},
     f"cpu_priority 5 shares requested, 77 shares applied: {LEFT_IN_PLACE}"),
    ({"applied": 77, **LEFT, "state": "unset"},
     f"cpu_priority unset, default 1024 shares, 77 shares applied: {LEFT_IN_PLACE}")])
def test_wait_ends_where_drift_is_left_in_place(
    end: dict[str, object], details: str, openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (202, reports(cpu_priority=waiting(5)))
    cloud.answers["vm1", GET_ALL] = (200, reports(cpu_priority=end))
    ended = openstack.bad("set", "--wait", "--cpu-priority", "5", "vm1")
    assert ended.rows()[1] == ["vm1", "failed", details]


def test_what_failed_and_what_drifted_are_told_together(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(
        memory={"requested": 9, "state": "refused", "reason": "no room"},
        memory_soft_limit={"requested": 9, "applied": -1, **LEFT},
        io_priority=waiting(500)))
    ended = openstack.bad("set", "--memory", "9", "--memory-soft-limit", "9", "--io-priority",
                          "500", "vm1")
    assert ended.rows()[1] == [
        "vm1", "failed",
        f"no room; memory_soft_limit 9 MiB requested, unlimited applied: {LEFT_IN_PLACE}"]


SHORTFALLS: list[tuple[dict[str, object], str]] = [
    (waiting(5), "cpu_priority 5 shares requested, nothing applied: the server is not running"),
    (waiting(None), "cpu_priority unset, default 1024 shares, nothing applied: "
     "the server is not running"),
    ({"requested": 5, "applied": 77, "state": "drifted", "reason": None},
     "cpu_priority 5 shares requested, 77 shares applied"),
    ({"applied": 77}, "cpu_priority unset, default 1024 shares, 77 shares applied")]


def test_wait_ends_after_the_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    late = [f"late{number}" for number in range(len(SHORTFALLS))]
    with RecordedCloud("vm1", *late) as cloud:
        cloud.answers["vm1", SET_ALL] = (200, reports(cpu_priority=applied(5)))
        for name, (part, _shortfall) in zip(late, SHORTFALLS, strict=True):
            for action in (SET_ALL, GET_ALL):
                cloud.answers[name, action] = (202, reports(cpu_priority=part))
        began = time.monotonic()
        with Stopwatch() as watch:
            ended = OpenStack(cloud.credentials(), capsys).bad(
                "set", "--wait", "--timeout", "1", "--cpu-priority", "5", "vm1", *late)
        assert time.monotonic() - began >= 1
        assert watch.seconds < 10
    assert ended.rows()[1][:2] == ["vm1", "applied"]
    assert ended.rows()[2:] == [
        [name, "pending", f"saved, but not applied after 1 s: {shortfall}"]
        for name, (_part, shortfall) in zip(late, SHORTFALLS, strict=True)]
    assert set(looks_at(cloud)) == set(late)


def test_all_that_was_waited_for_in_vain_is_told(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    cloud.answers["vm1", SET_ALL] = (202, reports(
        memory={"requested": 9, "applied": 300.5, "state": "pending", "reason": "on its way"},
        io_priority=applied(500), net_priority=waiting(None)))
    ended = openstack.bad("unset", "--all", "--wait", "--timeout", "0", "vm1")
    assert ended.rows()[1][2] == (
        "saved, but not applied after 0 s: memory 9 MiB requested, 300.5 MiB applied: on its way; "
        "net_priority unset, default none, nothing applied: the server is not running")
    assert [action for _name, action, _value in cloud.asked] == [SET_ALL]


def test_a_timeout_is_nothing_without_waiting(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    error = openstack.bad("set", "--timeout", "5", "--cpu-priority", "5", "vm1").error()
    assert error == "Give --timeout together with --wait."
    for wrong in ("-1", "1.5", "soon", "nan", "", "9" * 20):
        ended = openstack("server", "qos", "unset", "--all", "--wait", f"--timeout={wrong}", "vm1")
        assert ended.status == 2
        assert f"argument --timeout: {wrong!r} is not a whole number of seconds" in ended.err
    assert cloud.asked == []
    for command in ("set", "unset"):
        told = " ".join(openstack("help", "server", "qos", command).out.split())
        assert "--timeout <seconds> Wait no longer" in told
        assert "Default: 600." in told


@pytest.mark.parametrize(("words", "third", "status"), [
    (("set", "--cpu-priority", "5"), (200, reports(cpu_priority=applied(5))), 141),
    (("set", "--cpu-priority", "5"), fault(409, "no"), 1),
    (("unset", "--cpu-priority"), (200, reports()), 141)])
def test_every_server_is_tried_although_nobody_reads(
    words: tuple[str, ...], third: tuple[int, object], status: int, cloud: RecordedCloud
) -> None:
    for name in ("vm1", "vm2"):
        cloud.answers[name, SET_ALL] = (200, reports())
    cloud.answers["vm3", SET_ALL] = third
    here, there = os.pipe()
    os.close(here)
    with process(cloud, *words, "vm1", "vm2", "vm3", stderr=subprocess.PIPE,
                 stdout=there) as command:
        os.close(there)
        _out, err = command.communicate(timeout=60)
    assert [name for name, *_ in cloud.asked] == ["vm1", "vm2", "vm3"]
    assert (command.returncode, err) == (status, "")


def test_nobody_wants_to_wait_any_longer(cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(cpu_priority=applied(5)))
    for action in (SET_ALL, GET_ALL):
        cloud.answers["vm2", action] = (202, reports(cpu_priority=waiting(5)))
    with process(cloud, "set", "--wait", "--cpu-priority", "5", "vm1", "vm2",
                 stderr=subprocess.PIPE) as command:
        while not looks_at(cloud):
            time.sleep(0.01)
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert out == ""
    assert err == ("Interrupted. The settings are saved; still waiting: vm2 (saved, will be "
                   "applied: the server is not running).\n")


def test_interrupted_while_all_are_asked(cloud: RecordedCloud) -> None:
    asked, hangs = threading.Event(), threading.Event()

    def slow(_server_id: str, _body: dict[str, object]) -> object:
        asked.set()
        return hangs.wait(60)

    cloud.act = slow  # type: ignore[method-assign, assignment]
    with process(cloud, "set", "--cpu-priority", "5", "vm1", "vm2",
                 stderr=subprocess.PIPE) as command:
        assert asked.wait(60)
        command.send_signal(signal.SIGINT)
        _out, err = command.communicate(timeout=60)
    hangs.set()
    assert command.returncode == 130
    assert err == "Interrupted. No answer, or no request sent: vm1, vm2.\n"


def test_interrupted_before_all_were_asked(cloud: RecordedCloud) -> None:
    """One after the other, by an API that knows no better."""
    cloud.takes_many = False
    cloud.answers["vm1", SET_ALL] = (202, reports(cpu_priority=waiting(5)))
    asked, hangs = threading.Event(), threading.Event()
    act = cloud.act

    def slow(server_id: str, body: dict[str, object]) -> object:
        if server_id == cloud.servers["vm2"]:
            asked.set()
            hangs.wait(60)
        return act(server_id, body)

    cloud.act = slow  # type: ignore[method-assign, assignment]
    with process(cloud, "set", "--cpu-priority", "5", "vm1", "vm2", "vm3",
                 stderr=subprocess.PIPE) as command:
        assert asked.wait(60)
        command.send_signal(signal.SIGINT)
        _out, err = command.communicate(timeout=60)
    hangs.set()
    assert command.returncode == 130
    (line,) = err.splitlines()
    assert line.endswith("vm1 (saved, will be applied: the server is not running). "
                         "No answer, or no request sent: vm2, vm3.")


def test_progress_is_shown_on_a_terminal(cloud: RecordedCloud) -> None:
    for name in cloud.servers:
        cloud.answers[name, SET_ALL] = (200, reports(cpu_priority=applied(5)))
    here, there = pty.openpty()
    with process(cloud, "set", "--cpu-priority", "5", "vm1", "vm2", "vm3",
                 stderr=there) as command:
        out, _err = command.communicate(timeout=60)
    os.close(there)
    shown = os.read(here, 4096).decode()
    os.close(here)
    assert re.findall(r"\d of 3: vm\d", shown) == ["1 of 3: vm1", "2 of 3: vm2", "3 of 3: vm3"]
    # nothing is left of it
    assert shown.endswith("\r") or shown.split("\r")[-1] == ""
    assert Ended(command.returncode, out, "").rows()[1][1] == "applied"


def test_three_hundred_servers_in_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"server-{n:03}" for n in range(300)]
    with RecordedCloud(*names) as cloud:
        for name in names:
            cloud.answers[name, SET_ALL] = (200, reports(cpu_priority=applied(5)))
        cloud.answers[names[150], SET_ALL] = fault(409, "no")
        openstack = OpenStack(cloud.credentials(), capsys)
        ended = openstack.bad("set", "--cpu-priority", "5", *names)
    assert [row[0] for row in ended.rows()[1:]] == names
    assert [row[0] for row in ended.rows()[1:] if row[1] != "applied"] == [names[150]]
    assert [name for name, *_ in cloud.asked] == names


@pytest.mark.parametrize("name", ["vm with spaces", "vérité", "машина", "虚拟机", "a/b", "a&b=c"])
def test_names_of_all_kinds(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with RecordedCloud(name) as cloud:
        cloud.answers[name, SET_ALL] = (200, reports(cpu_priority=applied(5)))
        ended = OpenStack(cloud.credentials(), capsys).good("set", "--cpu-priority", "5", name)
    assert ended.rows()[1] == [name, "applied", "cpu_priority 5 shares"]


def test_a_server_goes_by_its_id_too(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm2", GET_ALL] = (200, reports())
    openstack.good("show", cloud.servers["vm2"])
    assert cloud.asked == [("vm2", GET_ALL, None)]


def test_debug_shows_requests_but_no_token(openstack: OpenStack, cloud: RecordedCloud) -> None:
    cloud.answers["vm1", SET_ALL] = (200, reports(cpu_priority=applied(5)))
    shown = openstack("--debug", "server", "qos", "set", "--cpu-priority", "5", "vm1")
    assert shown.status == 0
    assert f"{cloud.servers['vm1']}/action" in shown.err
    assert '{"set-qos": {"cpu_priority": 5}}' in shown.err
    assert "token-of-demo" not in shown.err + shown.out


def test_a_switch_is_on_or_off(
    openstack: OpenStack, cloud: RecordedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLE, SWITCH.name, SWITCH)  # type: ignore[arg-type]
    off = {"requested": False, "applied": False, "state": "applied"}
    for action in (SET_ALL, GET_ALL):
        cloud.answers["vm1", action] = (200, reports(trial_switch=off))
    ended = openstack.good("set", "--trial-switch", "off", "vm1")
    assert cloud.asked[-1] == ("vm1", SET_ALL, {"trial_switch": False})
    assert ended.rows()[1] == ["vm1", "applied", "trial_switch off"]
    shown = {row[0]: row for row in openstack.good("show", "vm1", "--long").rows()}
    assert shown["trial_switch"][1:3] == ["off", "off"]
    assert shown["trial_switch"][5] == "on"
    assert "'maybe' is neither on nor off" in openstack(
        "server", "qos", "set", "--trial-switch", "maybe", "vm1").err
    drifted = listed("id1", "vm1", {name: {**each, "weight": None} for name, each in reports(
        trial_switch={"requested": False, "applied": True, "state": "drifted"}).items()})
    cloud.listed, cloud.host = [drifted], {"name": "compute", "vcpus": 4, "memory_mib": 1024}
    listing = openstack.good("list", "--host", "compute", "-c", "Trial Switch").rows()
    assert listing[1] == ["off (drifted)"]


def sharing(cloud: RecordedCloud, **parts: dict[str, object]) -> None:
    """vm1 and vm2 share a host of one processor; the reports of vm1 are changed."""
    cloud.listed, cloud.host = [], {"name": "compute", "vcpus": 1, "memory_mib": 4096}
    for name in ("vm1", "vm2"):
        qos = reports(**parts if name == "vm1" else {})
        for resource, report in qos.items():
            weight = {"cpu_priority": 1024, "io_priority": 100}.get(resource)
            report["weight"] = weight
        cloud.listed.append(listed(cloud.servers[name], name, qos))


def test_a_dry_run_changes_nothing_and_shows_the_neighbours(
    openstack: OpenStack, cloud: RecordedCloud
) -> None:
    sharing(cloud)
    ended = openstack.good("set", "--dry-run", "--cpu-priority", "3072", "vm1")
    assert ended.rows() == [
        ["Host", "Server", "Changes", "CPU %", "CPU % Then"],
        ["compute", "vm1", "cpu_priority unset -> 3072", "50.0", "75.0"],
        ["compute", "vm2", "", "50.0", "25.0"]]
    assert (cloud.asked, ended.err) == ([], "")


def test_a_dry_run_for_programs(openstack: OpenStack, cloud: RecordedCloud) -> None:
    sharing(cloud, net_priority=applied(10))
    rows = json.loads(openstack.good(
        "set", "--dry-run", "--net-priority", "20", "--memory", "300M", "vm1", "-f", "json").out)
    assert rows[0]["Changes"] == "memory unset -> 300, net_priority 10 -> 20"
    assert (rows[0]["Network %"], rows[0]["Network % Then"]) == (None, 61.24)
    assert {row["Refusal"] for row in rows} == {""}


@pytest.mark.parametrize(("words", "refusal"), [
    (("--memory", "513M"), "memory: 513 is not within 1 to 512"),
    (("--cpu-guarantee", "101"), "cpu_guarantee: 101 is not within 1 to 100"),
    (("--memory-guarantee", "300M", "--memory", "200M"),
     "memory_guarantee 300 MiB is more than memory 200 MiB; ask for a memory_guarantee of 200 at "
     "most, or for another memory"),
])
def test_a_dry_run_tells_what_would_be_refused(
    words: tuple[str, ...], refusal: str, openstack: OpenStack, cloud: RecordedCloud
) -> None:
    sharing(cloud)
    ended = openstack.bad("set", "--dry-run", *words, "vm1")
    titles, first, second = ended.rows()
    assert (titles[-1], first[-1], second[-1]) == ("Refusal", refusal, "")


def test_a_dry_run_weighs_guarantees(openstack: OpenStack, cloud: RecordedCloud) -> None:
    sharing(cloud, cpu_guarantee=applied(60))
    ended = openstack.bad("set", "--dry-run", "--cpu-guarantee", "50", "vm2")
    assert ended.err == (
        "compute: cpu_guarantee of all servers together: 110 of 100 percent of one CPU.\n")
    assert "has promised 60 to others, so 40 are left, less than 50" in ended.rows()[2][-1]


def test_a_dry_run_is_for_who_sees_hosts(openstack: OpenStack, cloud: RecordedCloud) -> None:
    error = openstack.bad("set", "--dry-run", "--memory", "300M", "vm1").error()
    assert error.startswith("vm1 is on no host, or you may not see which")
