# SPDX-License-Identifier: Apache-2.0
"""The commands in novaclient's own shell, against a recorded cloud."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from novaclient import exceptions, shell

from nova_qos.core.resource import Resource
from nova_qos.resources import BALLOON, BALLOON_COMMAND, NET_PRIORITIES_COMMAND, NET_PRIORITY, TABLE
from novaclient_qos import commands
from tests.unit.clients.recorded import RecordedCloud, fault
from tests.unit.rows import SWITCH, each_row, inside

ROW = TABLE["cpu_priority"]
MEMORY = TABLE["memory"]


class Nova:
    """``nova`` as a person types it: what it prints, and whether it failed."""

    def __init__(self, cloud: RecordedCloud, capsys: pytest.CaptureFixture[str]) -> None:
        self.cloud, self._capsys = cloud, capsys

    def __call__(self, *words: str) -> str:
        shell.OpenStackComputeShell().main([*self.cloud.credentials(), *words])
        return self._capsys.readouterr().out

    def failing(self, *words: str) -> tuple[str, str]:
        """What a failing command prints, and the error that makes nova's exit status 1."""
        with pytest.raises(exceptions.CommandError) as caught:
            self(*words)
        return self._capsys.readouterr().out, str(caught.value)

    def misused(self, *words: str) -> str:
        """What is said of words that are no command line; nothing may have been asked."""
        with pytest.raises(SystemExit) as caught:
            self(*words)
        assert caught.value.code == 2
        assert self.cloud.asked == []
        return self._capsys.readouterr().err


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedCloud]:
    for name in os.environ:
        if name.startswith(("OS_", "NOVA")):
            monkeypatch.delenv(name)
    with RecordedCloud("vm1", "vm2", "vm3") as cloud:
        yield cloud


@pytest.fixture
def nova(cloud: RecordedCloud, capsys: pytest.CaptureFixture[str]) -> Nova:
    return Nova(cloud, capsys)


def cells(table: str) -> dict[str, str]:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in table.splitlines() if line.startswith("|")]
    assert rows[0] == ["Property", "Value"]
    return dict(rows[1:])


def an_answer(row: Resource, requested: int) -> dict[str, object]:
    """What nova answers to a set that was applied; the body's key where it reads back."""
    return {"success": 1} if row.unit.scale > 1 else {row.names.key: requested}


@each_row
def test_a_set_sends_the_value_in_the_unit_of_the_api(row: Resource, nova: Nova) -> None:
    for value in inside(row):
        nova.cloud.answers["vm1", row.names.set_action] = (200, an_answer(row, value))
        line = nova(row.names.set_command, "vm1", str(value))
        assert nova.cloud.asked[-1] == ("vm1", row.names.set_action, {row.names.key: value})
        assert line == f"vm1: {row.name} {value} {row.unit.name}, applied\n"


@each_row
def test_a_get_shows_the_value_with_its_unit(row: Resource, nova: Nova) -> None:
    unit = row.unit.host_name
    nova.cloud.answers["vm1", row.names.get_action] = (200, {"figure": 4711})
    assert cells(nova(row.names.get_command, "vm1")) == {"figure": f"4711 {unit}"}
    assert nova.cloud.asked == [("vm1", row.names.get_action, None)]


@each_row
def test_a_cloud_without_nova_qos_is_told_plainly(row: Resource, nova: Nova) -> None:
    _lines, error = nova.failing(row.names.get_command, "vm1")
    assert error == ("this cloud's nova has no nova-qos: its API does not know "
                     f"{row.names.get_action}")
    lines, _error = nova.failing(row.names.set_command, "vm1", "300")
    assert lines.startswith("vm1: ERROR this cloud's nova has no nova-qos")


@each_row
def test_force_is_sent_where_the_row_knows_it(row: Resource, nova: Nova) -> None:
    nova.cloud.answers["vm1", row.names.set_action] = (200, an_answer(row, 300))
    if row.forceable:
        nova(row.names.set_command, "--force", "vm1", "300")
        nova(row.names.set_command, "vm1", "300", "--force")
        asked = {row.names.key: 300, "force": True}
        assert [value for *_, value in nova.cloud.asked] == [asked, asked]
    else:
        nova.misused(row.names.set_command, "--force", "vm1", "300")


@each_row
def test_the_help_names_unit_range_and_default(row: Resource, nova: Nova) -> None:
    told = " ".join(nova("help", row.names.set_command).split())
    argument = f"<{row.names.argument}> "
    of_value = told.partition(argument)[2].rpartition(argument)[2]
    assert str(row.value.minimum) in of_value
    assert row.unit.name in f"{row.names.argument} {of_value}"
    assert "Default: " in of_value
    assert (row.value.in_words(None)) in of_value


def test_memory_shows_sizes_in_kib_and_the_rest_as_it_is(nova: Nova) -> None:
    nova.cloud.answers["vm1", MEMORY.names.get_action] = (200, {
        "actual": 524288, "usable": 400000, "swap_in": 0, "major_fault": 12, "last_update": 99})
    assert cells(nova(MEMORY.names.get_command, "vm1")) == {
        "actual": "524288 KiB", "usable": "400000 KiB", "swap_in": "0 KiB",
        "major_fault": "12 faults", "last_update": "99 s since 1970"}


def test_a_unit_is_not_said_twice(nova: Nova) -> None:
    row = TABLE["io_priority"]
    nova.cloud.answers["vm1", row.names.get_action] = (200, {"weight": 500})
    assert cells(nova(row.names.get_command, "vm1")) == {"weight": "500"}


def test_no_soft_limit_is_called_unlimited(nova: Nova) -> None:
    row = TABLE["memory_soft_limit"]
    nova.cloud.answers["vm1", row.names.get_action] = (200, {"soft_limit": -1})
    assert cells(nova(row.names.get_command, "vm1")) == {"soft_limit": "-1 (unlimited)"}


def test_minus_one_lifts_a_soft_limit(nova: Nova) -> None:
    row = TABLE["memory_soft_limit"]
    nova.cloud.answers["vm1", row.names.set_action] = (200, {"success": 1})
    line = nova(row.names.set_command, "vm1", "-1")
    assert nova.cloud.asked == [("vm1", row.names.set_action, {"memory_limit": -1})]
    assert line == "vm1: memory_soft_limit -1 (unlimited), applied\n"


def test_minus_one_takes_a_network_priority_away(nova: Nova) -> None:
    nova.cloud.answers["vm1", NET_PRIORITY.names.set_action] = (200, {"success": True})
    said = nova(NET_PRIORITY.names.set_command, "vm1", "-1")
    assert said == "vm1: net_priority -1 (none), applied\n"
    nova.cloud.answers["vm1", NET_PRIORITY.names.get_action] = (200, {"prio": -1})
    assert cells(nova(NET_PRIORITY.names.get_command, "vm1")) == {"prio": "-1 (none)"}


def test_network_priorities_of_several_servers_are_one_table(nova: Nova) -> None:
    nova.cloud.answers["vm1", NET_PRIORITY.names.get_action] = (200, {"prio": 10})
    nova.cloud.answers["vm2", NET_PRIORITY.names.get_action] = (200, {"prio": -1})
    table = nova(NET_PRIORITIES_COMMAND, "vm1, vm2")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in table.splitlines() if line.startswith("|")]
    assert rows == [["Server", "prio"], ["vm1", "10"], ["vm2", "-1 (none)"]]


def test_a_server_that_cannot_be_shown_has_its_line_too(nova: Nova) -> None:
    nova.cloud.answers["vm1", NET_PRIORITY.names.get_action] = (200, {"prio": 10})
    nova.cloud.answers["vm2", NET_PRIORITY.names.get_action] = fault(501, "an SR-IOV interface")
    table, error = nova.failing(NET_PRIORITIES_COMMAND, "vm2,vm1,vm9")
    assert "ERROR an SR-IOV interface (HTTP 501)" in table
    assert "| vm1 " in table
    assert error == "network priority not shown for 2 of 3: vm2, vm9"


@pytest.mark.parametrize(("size", "mib"), [("512M", 512), ("1G", 1024), ("1.5GiB", 1536)])
def test_sizes_take_units(size: str, mib: int, nova: Nova) -> None:
    for row in (row for row in TABLE.values() if row.unit.name == "MiB"):
        nova.cloud.answers["vm1", row.names.set_action] = (200, {"success": 1})
        nova(row.names.set_command, "vm1", size)
        assert nova.cloud.asked[-1] == ("vm1", row.names.set_action, {row.names.key: mib})


@pytest.mark.parametrize(
    ("rate", "kbit"), [("5000", 5000), ("5M", 5000), ("1.5Gbit/s", 1_500_000)])
def test_network_rates_take_units(rate: str, kbit: int, nova: Nova) -> None:
    for name in ("net_limit", "net_guarantee", "net_in_limit", "net_in_guarantee"):
        names = TABLE[name].names
        nova.cloud.answers["vm1", names.set_action] = (200, {names.key: kbit})
        nova(names.set_command, "vm1", rate)
        assert nova.cloud.asked[-1] == ("vm1", names.set_action, {names.key: kbit})


@pytest.mark.parametrize(("rate", "kib"), [("8192", 8192), ("8M", 8192), ("1.5GiB", 1572864)])
def test_rates_take_units(rate: str, kib: int, nova: Nova) -> None:
    names = TABLE["io_rate_limit"].names
    nova.cloud.answers["vm1", names.set_action] = (200, {names.key: kib})
    nova(names.set_command, "vm1", rate)
    assert nova.cloud.asked[-1] == ("vm1", names.set_action, {names.key: kib})


@each_row
def test_what_is_no_value_asks_nothing(row: Resource, nova: Nova) -> None:
    for wrong in ("much", "1.5", "", "nan", "5X"):
        assert repr(wrong) in nova.misused(row.names.set_command, "vm1", wrong)


@each_row
def test_a_set_needs_a_server_and_a_value(row: Resource, nova: Nova) -> None:
    assert f"<{row.names.argument}>" in nova.misused(row.names.set_command, "vm1")
    nova.misused(row.names.set_command)


@pytest.mark.parametrize("enabled", [True, False])
def test_balloon(enabled: bool, nova: Nova) -> None:
    nova.cloud.answers["vm1", BALLOON] = (200, {"ballooning_enabled": enabled})
    assert cells(nova(BALLOON_COMMAND, "vm1")) == {"ballooning_enabled": str(enabled)}


def test_a_server_goes_by_its_id_too(nova: Nova) -> None:
    nova.cloud.answers["vm2", ROW.names.get_action] = (200, {"share": 1024})
    assert cells(nova(ROW.names.get_command, nova.cloud.servers["vm2"])) == {"share": "1024 shares"}


def test_every_server_is_tried_and_has_its_line(nova: Nova) -> None:
    nova.cloud.answers.update({
        ("vm1", ROW.names.set_action): (200, {"share": 2048}),
        ("vm2", ROW.names.set_action): (202, {"state": "pending", "requested": 2048,
                                        "reason": "the server is not running"}),
        ("vm3", ROW.names.set_action): fault(409, "the host\nrefused"),
    })
    lines, error = nova.failing(ROW.names.set_command, "vm3", "nobody", "vm1", "vm2", "2048")
    assert lines.splitlines() == [
        "vm3: ERROR the host refused (HTTP 409)",
        "nobody: ERROR No server with a name or ID of 'nobody' exists.",
        "vm1: cpu_priority 2048 shares, applied",
        "vm2: saved, will be applied: the server is not running",
    ]
    assert error == "CPU priority not set on 2 of 4: vm3, nobody"


def test_saved_for_later_is_no_failure(nova: Nova) -> None:
    nova.cloud.answers["vm1", ROW.names.set_action] = (
        202, {"state": "pending", "requested": 3, "reason": "the agent is away"})
    said = nova(ROW.names.set_command, "vm1", "3")
    assert said == "vm1: saved, will be applied: the agent is away\n"


def test_a_rounded_value_is_told(nova: Nova) -> None:
    nova.cloud.answers["vm1", ROW.names.set_action] = (200, {"share": 10})
    assert nova(ROW.names.set_command, "vm1", "3") == "vm1: cpu_priority 3 shares, applied as 10\n"


def test_a_guest_that_did_not_follow_is_a_failure(nova: Nova) -> None:
    nova.cloud.answers["vm1", MEMORY.names.set_action] = (
        200, {"success": 0, "actual": 307200, "reason": "the guest took memory back"})
    lines, error = nova.failing(MEMORY.names.set_command, "vm1", "256")
    assert lines == ("vm1: ERROR memory 256 MiB requested, 307200 KiB reached: "
                     "the guest took memory back\n")
    assert error == "memory not set on 1 of 1: vm1"


def test_a_service_that_dies_meanwhile_fails_its_server_alone(nova: Nova) -> None:
    nova.cloud.answers["vm1", ROW.names.set_action] = (0, None)
    nova.cloud.answers["vm2", ROW.names.set_action] = (200, {"share": 5})
    lines, _error = nova.failing(ROW.names.set_command, "vm1", "vm2", "5")
    assert re.fullmatch(r"vm1: ERROR .*onnect.*\nvm2: cpu_priority 5 shares, applied\n", lines)


def test_an_error_of_a_get_is_one_line(nova: Nova) -> None:
    nova.cloud.answers["vm1", ROW.names.get_action] = fault(503, "no answer\nfrom the agent")
    assert nova.failing(ROW.names.get_command, "vm1") == ("", "no answer from the agent (HTTP 503)")


def test_the_installed_command_exits_1_when_one_failed(cloud: RecordedCloud) -> None:
    cloud.answers["vm1", ROW.names.set_action] = (200, {"share": 5})
    command = [sys.executable, "-m", "novaclient.shell", *cloud.credentials(),
               ROW.names.set_command]
    good = subprocess.run([*command, "vm1", "5"], capture_output=True, text=True)
    assert (good.returncode, good.stdout) == (0, "vm1: cpu_priority 5 shares, applied\n")
    bad = subprocess.run([*command, "vm1", "vm9", "5"], capture_output=True, text=True)
    assert bad.returncode == 1
    assert "vm9: ERROR No server" in bad.stdout
    assert "not set on 1 of 2: vm9" in bad.stderr


def into(output: int, cloud: RecordedCloud, *words: str) -> tuple[int, list[str]]:
    """Exit status and error lines of the installed command that writes there."""
    ended = subprocess.run(
        [sys.executable, "-m", "novaclient.shell", *cloud.credentials(), *words], stdout=output,
        stderr=subprocess.PIPE, text=True)
    # newer novaclients say in their first line that they are deprecated
    return ended.returncode, [line for line in ended.stderr.splitlines() if "deprec" not in line]


@pytest.mark.parametrize(("third", "status", "errors"), [
    ((200, {"share": 5}), 141, []),
    (fault(409, "no"), 1,
     ["ERROR (CommandError): CPU priority not set on 1 of 3: vm3"]),
])
def test_every_server_is_tried_although_nobody_reads_on(
    third: tuple[int, object], status: int, errors: list[str], cloud: RecordedCloud
) -> None:
    cloud.answers.update({
        (name, ROW.names.set_action): (200, {"share": 5}) for name in cloud.servers})
    cloud.answers["vm3", ROW.names.set_action] = third
    here, there = os.pipe()
    os.close(here)
    ended = into(there, cloud, ROW.names.set_command, "vm1", "vm2", "vm3", "5")
    os.close(there)
    assert [name for name, *_ in cloud.asked] == ["vm1", "vm2", "vm3"]
    assert ended == (status, errors)


def test_every_server_is_tried_although_the_disk_is_full(cloud: RecordedCloud) -> None:
    cloud.answers.update({
        (name, ROW.names.set_action): (200, {"share": 5}) for name in cloud.servers})
    with open("/dev/full", "w") as full:
        status, errors = into(full.fileno(), cloud, ROW.names.set_command, "vm1", "vm2", "5")
    assert [name for name, *_ in cloud.asked] == ["vm1", "vm2"]
    assert status == 1
    assert errors == ["ERROR (OSError): [Errno 28] No space left on device"]


def test_the_commands_import_nothing_heavy() -> None:
    heavy = "nova", "libvirt", "oslo_config", "oslo_messaging", "oslo_policy", "webob", "eventlet"
    code = (f"import novaclient.shell, sys; before = set(sys.modules)\n"
            f"import novaclient_qos.commands\n"
            f"print(*(set(sys.modules) - before) & set({heavy!r}))")
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_a_switch_is_on_or_off(nova: Nova, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "do_lv_set_trial_switch", commands._set_command(SWITCH),
                        raising=False)
    monkeypatch.setattr(commands, "do_lv_get_trial_switch", commands._get_command(SWITCH),
                        raising=False)
    for word, value in (("on", True), ("off", False)):
        nova.cloud.answers["vm1", "set-trial-switch"] = (200, {"trial": value})
        line = nova("lv-set-trial-switch", "vm1", word)
        assert nova.cloud.asked[-1] == ("vm1", "set-trial-switch", {"trial": value})
        assert line == f"vm1: trial_switch {word}, applied\n"
        nova.cloud.answers["vm1", "get-trial-switch"] = (200, {"trial": value})
        assert cells(nova("lv-get-trial-switch", "vm1")) == {"trial": word}
    nova.cloud.asked.clear()
    assert "'maybe' is neither on nor off" in nova.misused("lv-set-trial-switch", "vm1", "maybe")
