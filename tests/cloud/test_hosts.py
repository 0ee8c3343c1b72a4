# SPDX-License-Identifier: Apache-2.0
"""A host as a whole: what the API says of it, beside /proc, virsh and the settings themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer

OPENSTACK = str(Path(sys.executable).with_name("openstack"))


def told(admin: Person) -> dict[str, Any]:
    """The demo's host."""
    answer = admin.request("GET", "/os-qos/hosts")
    assert answer.status_code == 200, answer.text
    (host,) = answer.json()["hosts"]
    return dict(host)


def openstack(admin: Person, *arguments: str) -> str:
    answer = subprocess.run(
        [OPENSTACK, "server", "qos", "host", *arguments],
        env=admin.environment | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def meminfo_mib(field: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) // 1024


@pytest.fixture(autouse=True)
def _without_settings(clean: None) -> None:
    """The servers as the flavor has them."""


def test_what_the_machine_has(admin: Person, servers: dict[str, str]) -> None:
    host = told(admin)
    assert host["agent"] == "up"
    assert host["cpus"] == os.cpu_count()
    assert host["memory"]["total"] == meminfo_mib("MemTotal")
    assert host["memory"]["available"] == pytest.approx(meminfo_mib("MemAvailable"), rel=0.1)
    assert host["state"] in ("calm", "tense")
    assert host["running"] >= len(servers)


def test_sums_of_its_servers(
    admin: Person, host: Observer, servers: dict[str, str]
) -> None:
    before = told(admin)
    vm1, vm2 = servers["vm1"], servers["vm2"]
    assert admin.act(vm1, "set-qos", {"memory": 300, "memory_guarantee": 200,
                                      "cpu_guarantee": 30, "net_guarantee": 5000})[0] == 200
    assert admin.act(vm2, "set-qos", {"memory_guarantee": 100, "cpu_guarantee": 20})[0] == 200
    wait_for(lambda: host.virsh_value("dommemstat", vm1, "actual") == 300 * 1024, 30, "it shrinks")
    # in the bulk call, the size of a balloon that moves may be a second old
    wait_for(lambda: before["memory"]["applied"] - told(admin)["memory"]["applied"]
             == pytest.approx(212, abs=1), 10, "it is told")
    now = told(admin)
    guaranteed = {name: now[name]["guaranteed"] - before[name]["guaranteed"]
                  for name in ("memory", "cpu", "net")}
    assert guaranteed == {"memory": 300, "cpu": 50, "net": 5000}
    assert now["memory"]["flavors"] == before["memory"]["flavors"]
    assert now["memory"]["needs"] <= now["memory"]["applied"]
    shown = json.loads(openstack(admin, "show", now["name"], "-f", "json"))
    assert now["name"] in shown.values()


def test_the_agent_is_away(admin: Person, host: Observer, servers: dict[str, str]) -> None:
    before = told(admin)
    host.kill_agent()
    try:
        # each process of the API remembers answers of its own
        wait_for(lambda: told(admin)["agent"] == "down", 60, "nova knows that it is down")
        away = told(admin)
        assert away["name"] == before["name"]
        assert away["reason"]
        assert before["name"] in openstack(admin, "list")
    finally:
        host.start_agent()
    wait_for(lambda: told(admin)["agent"] == "up", 60, "it is back")


def test_who_may_look(admin: Person, reader: Person, member: Person) -> None:
    for person in reader, member:
        assert person.request("GET", "/os-qos/hosts").status_code == 403
    assert admin.request("GET", "/os-qos/hosts?host=nowhere").status_code == 404
