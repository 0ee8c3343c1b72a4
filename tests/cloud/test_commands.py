# SPDX-License-Identifier: Apache-2.0
"""The nova commands as a person types them."""

import subprocess
import sys
from pathlib import Path

from tests.cloud.api import Person
from tests.cloud.host import Observer

NOVA = str(Path(sys.executable).with_name("nova"))


def nova(person: Person, *arguments: str) -> tuple[int, str]:
    """Exit status, and what was printed: results first, then errors."""
    answer = subprocess.run(
        [NOVA, *arguments], env=person.environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True)
    return answer.returncode, answer.stdout + answer.stderr


def test_memory_in_units(admin: Person, host: Observer, vm1: str) -> None:
    assert nova(admin, "lv-set-mem", "vm1", "0.25G")[0] == 0
    assert host.virsh_value("dommemstat", vm1, "actual") == 256 * 1024
    status, printed = nova(admin, "lv-get-mem", "vm1")
    assert status == 0
    assert "262144 KiB" in printed
    assert nova(admin, "lv-set-mem", vm1, "512")[0] == 0


def test_soft_limit(admin: Person, host: Observer, vm1: str) -> None:
    assert nova(admin, "lv-set-mem-soft-limit", "vm1", "128MiB")[0] == 0
    assert host.virsh_value("memtune", vm1, "soft_limit") == 128 * 1024
    assert "131072 KiB" in nova(admin, "lv-get-mem-soft-limit", "vm1")[1]
    assert nova(admin, "lv-set-mem-soft-limit", "vm1", "-1")[0] == 0
    assert "unlimited" in nova(admin, "lv-get-mem-soft-limit", "vm1")[1]


def test_priorities(admin: Person, host: Observer, vm1: str) -> None:
    assert nova(admin, "lv-set-cpu-priority", "vm1", "3000")[0] == 0
    assert host.cgroup(vm1, "cpu", "cpu.shares") == 3000
    assert "3000" in nova(admin, "lv-get-cpu-priority", "vm1")[1]
    assert nova(admin, "lv-set-io-priority", "vm1", "700")[0] == 0
    assert host.cgroup(vm1, "blkio", "blkio.bfq.weight") == 700
    assert "700" in nova(admin, "lv-get-io-priority", "vm1")[1]


def test_ballooning_enabled(admin: Person, vm1: str) -> None:
    status, printed = nova(admin, "ballooning-enabled", "vm1")
    assert (status, "True" in printed) == (0, True)


def test_several_servers_and_one_that_is_not_there(
    admin: Person, host: Observer, vm1: str, vm2: str
) -> None:
    status, printed = nova(admin, "lv-set-cpu-priority", "vm1", "nobody", "vm2", "1234")
    assert status == 1
    assert [host.cgroup(server, "cpu", "cpu.shares") for server in (vm1, vm2)] == [1234, 1234]
    lines = printed.splitlines()
    assert lines[0] == "vm1: cpu_priority 1234 shares, applied"
    assert lines[1].startswith("nobody: ERROR ")
    assert lines[2] == "vm2: cpu_priority 1234 shares, applied"


def test_refusals_are_one_line(admin: Person, member: Person, vm1: str) -> None:
    status, printed = nova(admin, "lv-set-cpu-priority", "vm1", "1")
    assert status == 1
    assert "2 to 262144" in printed
    status, printed = nova(member, "lv-set-cpu-priority", "vm1", "1000")
    assert status == 1
    assert "os_compute_api:os-qos:cpu_priority:set" in printed
