# SPDX-License-Identifier: Apache-2.0
"""The memory of a host whose servers may use only a part of it, with libvirt's driver for tests:
one domain runs there, of id 1 and name test."""

from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.balloon import Movements
from nova_qos.virt.calls import Calls
from nova_qos.virt.definitions import Definitions
from nova_qos.virt.guests import GuestsMemory
from nova_qos.virt.inventory import Inventory
from nova_qos.virt.kernel import Kernel

MIB = 2**20
V1 = ("cache 99\nrss 7\nshmem 7\ninactive_anon 7\ntotal_cache 99\ntotal_rss {0}\ntotal_shmem {1}\n"
      "total_inactive_anon 9\n")
V2 = "anon {0}\nfile 99\nkernel 99\nshmem {1}\ninactive_anon 9\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    kernel = Kernel(tmp_path, tmp_path / "mounts", tmp_path / "meminfo", tmp_path / "pressure")
    kernel.memory.write_text("MemTotal:  4194304 kB\nMemAvailable:  2097152 kB\n")
    return kernel


def left_mib(kernel: Kernel, budget_mib: int, uri: str = "test:///default") -> float:
    calls = Calls(uri)
    definitions = Definitions(calls)
    memory = GuestsMemory(
        calls, Inventory(calls, definitions), definitions, Movements(), kernel, budget_mib)
    return memory.now().available_mib


@pytest.mark.parametrize(("root", "text"), [("memory", V1), ("", V2)])
def test_only_this_libvirts_servers_count(kernel: Kernel, root: str, text: str) -> None:
    place = kernel.groups / root
    kernel.mounts.write_text(f"cgroup {place} cgroup rw,memory 0 0\n")
    if not root:
        (place / "cgroup.controllers").write_text("memory\n")
    for group, used_mib in (("gold.partition/qemu-1-test.libvirt-qemu", 100),
                            ("qemu-1-another.libvirt-qemu", 300), ("lxc-1-test", 500)):
        (place / "machine" / group).mkdir(parents=True)
        (place / "machine" / group / "memory.stat").write_text(
            text.format(used_mib * MIB, 2 * MIB))
    assert left_mib(kernel, 1024) == 1024 - 102
    assert left_mib(kernel, 4096) == 2048
    assert left_mib(kernel, 0) == 2048


def test_libvirt_is_away(kernel: Kernel) -> None:
    (kernel.groups / "cgroup.controllers").write_text("memory\n")
    nowhere = "qemu+unix:///system?socket=/nonexistent/socket"
    assert left_mib(kernel, 0, nowhere) == 2048
    with pytest.raises(errors.HostAway):
        left_mib(kernel, 1024, nowhere)
