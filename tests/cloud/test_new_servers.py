# SPDX-License-Identifier: Apache-2.0
"""``[libvirt] ballooning_ram_ratio``: new servers start with a part of their memory."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tools.bed.stack import services
from tools.bed.stack.layout import Layout


def ratio(place: Path, value: str) -> Path:
    file = place / "ratio.conf"
    file.write_text(f"[libvirt]\nballooning_ram_ratio = {value}\n")
    return file


@pytest.fixture
def agent_with(host: Observer, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Starts the agent with a ratio; it is put back after the test."""
    yield lambda value: host.restart_agent(ratio(tmp_path, value))
    host.restart_agent()


def test_half_of_its_memory(
    admin: Person, host: Observer, vm1: str, agent_with: Callable[[str], None],
    boot: Callable[[str, str], str],
) -> None:
    before = requested_memory(admin, vm1)
    agent_with("2")
    server = boot("ballooned", "m512")
    wait_for(lambda: host.virsh_value("dommemstat", server, "actual") == 256 * 1024, 60,
             "it has half of its memory")
    memory = wait_for(lambda: applied(admin, server), 10, "get-qos says so")
    assert (memory["requested"], memory["applied"]) == (256, 256)
    # those that are no new ones keep theirs
    assert requested_memory(admin, vm1) == before
    assert host.virsh_value("dommemstat", vm1, "actual") == 512 * 1024
    assert admin.act(server, "set-current-memory", {"memory": 400}) == (200, {"success": 1})
    assert admin.act(server, "reboot", {"type": "HARD"})[0] == 202
    admin.wait_for_status(server, "ACTIVE")
    wait_for(lambda: host.virsh_value("dommemstat", server, "actual") == 400 * 1024, 60,
             "what was asked for since")


def requested_memory(admin: Person, server: str) -> object:
    return admin.act(server, "get-qos")[1]["memory"]["requested"]


def applied(admin: Person, server: str) -> dict[str, object] | None:
    status, qos = admin.act(server, "get-qos")
    return qos["memory"] if status == 200 and qos["memory"]["state"] == "applied" else None


def test_more_than_its_memory(tmp_path: Path) -> None:
    # nova's services report to the same row: the one that runs is not disturbed
    command = services.agent(Layout.of_environment(), ratio(tmp_path, "0.5"))
    ended = subprocess.run(
        command.command, env=command.environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("nova-qos-agent: ")
    assert "ballooning_ram_ratio" in last
    assert "greater than or equal to 1" in last
    assert "Traceback" not in ended.stderr
