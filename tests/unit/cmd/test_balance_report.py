# SPDX-License-Identifier: Apache-2.0
"""What --balance-report prints, and that it touches nothing."""

from collections.abc import Iterator

import pytest

from nova_qos.agent.balance.thresholds import Thresholds
from nova_qos.cmd import balance_report
from nova_qos.core.server import Flavor, SavedServer
from tests.fakehost import FakeHost

MIB = 1024
SERVERS = {
    "busy": SavedServer("busy", "here", None, Flavor(512), {"memory_guarantee": 300}),
    "idle": SavedServer("idle", "here", None, Flavor(512), {"memory_priority": 50}),
    "still": SavedServer("still", "here", None, Flavor(512))}


@pytest.fixture
def host() -> Iterator[FakeHost]:
    host = FakeHost()
    for uuid, used_mib in (("busy", 400), ("idle", 60), ("still", 60)):
        host.add(uuid).used_kib = used_mib * MIB
    host.domains["still"].paused = True
    host.memory.memory_mib, host.memory.available_mib = 700.0, None
    yield host
    assert {each.actual_kib for each in host.domains.values()} == {512 * MIB}
    assert {each.period_s for each in host.domains.values()} == {10}


def printed(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert balance_report.run(host.memory, Thresholds(), lambda: SERVERS) == 0
    return capsys.readouterr().out.splitlines()


def test_a_calm_host(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    head, calm, room, columns, busy, idle, still = printed(host, capsys)
    assert head.startswith("The host is calm: 25.7 % ")
    assert calm == "Nothing is touched. While it is tense, this would be the plan:"
    assert room == "Room for the servers that are balanced: 628 MiB."
    assert columns.split() == ["server", "has", "uses", "guarantee", "weight", "at", "most",
                               "would", "get"]
    assert busy.split()[:6] == ["busy", "512", "400", "300", "100", "512"]
    assert idle.split()[:6] == ["idle", "512", "60", "0", "50", "512"]
    assert int(idle.split()[6]) < int(busy.split()[6])
    assert still == "still is not balanced: it is paused"


def test_a_tense_host(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.memory.pressure = 12.0
    head, room, *_table = printed(host, capsys)
    assert head.startswith("The host is tense: memory pressure is 12.0 %")
    assert room.startswith("Room for")


def test_a_host_that_cannot_be_read(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.away = True
    assert balance_report.run(host.memory, Thresholds(), lambda: SERVERS) == 1
    assert capsys.readouterr().out == "The host cannot be read: libvirt does not answer\n"
