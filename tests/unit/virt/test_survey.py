# SPDX-License-Identifier: Apache-2.0
"""What a host says that it can do, told from files like the kernel's."""

from dataclasses import replace
from pathlib import Path

import pytest

from nova_qos.cmd.check import lines
from nova_qos.core import errors
from nova_qos.core.room import Pressure
from nova_qos.host import Ability
from nova_qos.resources import TABLE
from nova_qos.virt.survey import Configuration, Kernel, survey

CONFIGURATION = Configuration(
    # libvirt's own driver for tests, within this process
    connection_uri="test:///default", instances_path="/nonexistent/instances", images_type="qcow2",
    mem_stats_period_s=10, soft_limit_v2="protect", rpc_timeout_s=30)
V1_MOUNTS = """\
tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/blkio cgroup rw,relatime,blkio 0 0
"""
ALL = "cpuset cpu io memory hugetlb pids\n"


@pytest.fixture
def v1(tmp_path: Path) -> Kernel:
    """A host with cgroup v1 and swap."""
    kernel = Kernel(tmp_path / "groups", tmp_path / "mounts", tmp_path / "meminfo",
                    generations=tmp_path / "lru_gen")
    kernel.groups.mkdir()
    kernel.mounts.write_text(V1_MOUNTS)
    kernel.memory.write_text("MemTotal:  1000 kB\nSwapTotal:  500 kB\n")
    return kernel


@pytest.fixture
def v2(v1: Kernel) -> Kernel:
    """A host with cgroup v2 and swap, where no server has run yet."""
    v1.mounts.write_text(f"cgroup2 {v1.groups} cgroup2 rw 0 0\n")
    (v1.groups / "cgroup.controllers").write_text(ALL)
    (v1.groups / "cgroup.subtree_control").write_text("memory pids\n")
    return v1


def run_server(kernel: Kernel, above: str, controllers: str) -> None:
    group = kernel.groups / above
    (group / "qemu-1-instance-00000001").mkdir(parents=True)
    for each in (group, *group.parents):
        if kernel.groups in (each, *each.parents):
            (each / "cgroup.subtree_control").write_text(controllers)


def told(kernel: Kernel, configuration: Configuration = CONFIGURATION) -> dict[str, str]:
    return {name: str(ability) for name, ability in survey(configuration, kernel).items()}


def test_cgroup_v1(v1: Kernel) -> None:
    assert told(v1) == told(v1) | {
        "memory": "works",
        "memory_soft_limit": "works (cgroup v1)",
        "cpu_priority": "works (cgroup v1)",
        "io_priority": "works without effect because the device below disk "
                       "/nonexistent/instances is unknown: No such file or directory: "
                       "/nonexistent/instances"}


def test_cgroup_v2(v2: Kernel) -> None:
    assert told(v2)["cpu_priority"] == "works (cgroup v2)"
    assert told(v2)["memory_soft_limit"] == "works (cgroup v2, protects: memory.low)"
    throttle = replace(CONFIGURATION, soft_limit_v2="throttle")
    assert told(v2, throttle)["memory_soft_limit"] == (
        "works (cgroup v2, throttles: memory.high)")


@pytest.mark.parametrize(("period_s", "works"), [(29, True), (30, False), (300, False)])
def test_a_period_of_reports_that_no_request_can_wait_for(
    v1: Kernel, period_s: int, works: bool
) -> None:
    said = told(v1, replace(CONFIGURATION, mem_stats_period_s=period_s))["memory"]
    assert said == ("works" if works else (
        f"works (guests report every {period_s} s, and a request that has to wait for a report is "
        "refused after [nova_qos] rpc_timeout, 30 s; set [libvirt] mem_stats_period_seconds to 10, "
        "restart nova-compute, reboot servers hard)"))


def test_a_v1_controller_that_is_not_mounted(v1: Kernel) -> None:
    v1.mounts.write_text("\n".join(V1_MOUNTS.splitlines()[:-1]))
    assert told(v1)["io_priority"] == (
        "cannot because the cgroup v1 controller blkio is not mounted; mount it and restart "
        "libvirtd")
    assert told(v1)["cpu_priority"] == "works (cgroup v1)"


def test_a_v2_controller_that_the_kernel_does_not_have(v2: Kernel) -> None:
    (v2.groups / "cgroup.controllers").write_text("cpu memory pids\n")
    assert told(v2)["io_priority"] == (
        "cannot because the kernel has no cgroup v2 controller io; look for cgroup_disable= or a "
        "cgroup v1 mount in how it is started")


@pytest.mark.parametrize("above", [
    "machine.slice", "machine", "kubepods.slice/x.slice/cri-containerd-1.scope/machine"])
def test_a_v2_controller_that_is_kept_from_servers(v2: Kernel, above: str) -> None:
    run_server(v2, above, "cpu io memory\n")
    assert told(v2)["cpu_priority"] == "works (cgroup v2)"
    (v2.groups / above / "cgroup.subtree_control").write_text("io memory\n")
    assert told(v2)["cpu_priority"] == (
        f"cannot because servers' groups have no controller cpu; write +cpu to "
        f"{v2.groups}/{above}/cgroup.subtree_control")
    assert told(v2)["memory_soft_limit"].startswith("works")


def test_of_several_groups_the_outermost_is_named(v2: Kernel) -> None:
    run_server(v2, "kubepods.slice/x.slice/cri-containerd-1.scope/machine", "cpu io memory\n")
    for group in ("kubepods.slice/x.slice", "kubepods.slice"):
        (v2.groups / group / "cgroup.subtree_control").write_text("io memory\n")
    assert f"to {v2.groups}/kubepods.slice/cgroup" in told(v2)["cpu_priority"]


@pytest.mark.parametrize("period_s", [0, -1])
def test_balloons_without_statistics(v1: Kernel, period_s: int) -> None:
    assert told(v1, replace(CONFIGURATION, mem_stats_period_s=period_s))["memory"] == (
        f"cannot because servers have no balloon while [libvirt] mem_stats_period_seconds is "
        f"{period_s}; set 10, restart nova-compute, reboot servers hard")


def test_a_host_without_swap(v2: Kernel) -> None:
    v2.memory.write_text("MemTotal:  1000 kB\nSwapTotal:  0 kB\n")
    assert told(v2)["memory_soft_limit"] == (
        "works without effect because this host has no swap, and the kernel can reclaim a guest's "
        "memory only by swapping; add swap")


@pytest.mark.parametrize(("bits", "is_on"), [("0x0007", True), ("0x0001", True),
                                             ("0x0006", False), ("0x0000", False), ("no", False)])
def test_a_kernel_that_hardly_heeds_protection(v2: Kernel, bits: str, is_on: bool) -> None:
    v2.generations.write_text(f"{bits}\n")
    assert told(v2)["memory_soft_limit"] == (
        "works without effect because the kernel's multi-generational LRU is on, which hardly "
        f"heeds memory.low; write n to {v2.generations}, or give the server a memory guarantee"
        if is_on else "works (cgroup v2, protects: memory.low)")
    throttle = replace(CONFIGURATION, soft_limit_v2="throttle")
    assert told(v2, throttle)["memory_soft_limit"] == "works (cgroup v2, throttles: memory.high)"
    assert told(v2)["memory_guarantee"] == "works (cgroup v2, memory.min)"


@pytest.mark.parametrize("kind", ["rbd", "lvm"])
def test_disks_that_are_no_files(v1: Kernel, kind: str) -> None:
    assert told(v1, replace(CONFIGURATION, images_type=kind))["io_priority"] == (
        "works without effect because servers' disks are not files on this host ([libvirt] "
        f"images_type = {kind}); get-qos of a server shows whether weights have an effect")


def test_a_hosts_own_figures(v1: Kernel, tmp_path: Path) -> None:
    kernel = replace(v1, pressure=tmp_path / "pressure")
    kernel.memory.write_text("MemTotal:  4194304 kB\nMemAvailable:  2097152 kB\n")
    capacity = {"memory": 5, "cpu": 100, "net": None}
    room = kernel.room(capacity)
    assert (room.memory_mib, room.available_mib, room.capacity) == (4096, 2048, capacity)
    assert room.cpus > 0
    # a kernel without pressure stall information
    assert room.pressure == dict.fromkeys(("memory", "cpu", "io"), Pressure())
    kernel.pressure.mkdir()
    lines = {kind: f"{kind} avg10={percent} avg60=9.00 avg300=9.00 total=9\n"
             for kind, percent in (("some", "1.25"), ("full", "0.50"))}
    (kernel.pressure / "memory").write_text(lines["some"] + lines["full"])
    # before 5.13 the kernel has no second line for processors
    (kernel.pressure / "cpu").write_text(lines["some"])
    # it was started with psi=0, and reading the file fails
    (kernel.pressure / "io").mkdir()
    assert kernel.room(capacity).pressure == {
        "memory": Pressure(1.25, 0.5), "cpu": Pressure(1.25), "io": Pressure()}


@pytest.mark.parametrize("text", ["", "MemTotal:  5 kB\n", "MemTotal: much\nMemAvailable: 5 kB\n"])
def test_a_kernel_that_does_not_tell_its_memory(v1: Kernel, text: str) -> None:
    v1.memory.write_text(text)
    with pytest.raises(errors.HostRefused, match="the kernel does not tell its memory"):
        v1.room({})


def test_libvirt_is_away(v1: Kernel) -> None:
    nowhere = "qemu+unix:///system?socket=/nonexistent/socket"
    with pytest.raises(errors.HostAway, match="libvirt does not answer at"):
        survey(replace(CONFIGURATION, connection_uri=nowhere), v1)


def with_network(kernel: Kernel, ability: Ability) -> dict[str, Ability]:
    names = [name for name, row in TABLE.items() if row.knob in ("net_class", "net_in_class")]
    return {**survey(CONFIGURATION, kernel), **dict.fromkeys(names, Ability()),
            "net_priority": ability}


def test_every_resource_has_its_line(v1: Kernel) -> None:
    abilities = with_network(v1, Ability("nobody knows"))
    report = lines(abilities)
    held = [name for name, row in TABLE.items() if row.knob is not None]
    assert [line.partition(":")[0] for line in report] == held
    assert report[0] == "memory: works\n"
    assert report[held.index("net_priority")] == (
        "net_priority: cannot because nobody knows\n")


def test_warnings_come_last(v1: Kernel) -> None:
    abilities = with_network(v1, Ability(warnings=("one", "two")))
    assert abilities["net_priority"].works
    assert lines(abilities)[-2:] == [
        "warning: net_priority: one\n", "warning: net_priority: two\n"]


def test_only_what_works_works() -> None:
    assert Ability(how="somehow").works
    assert not Ability(cannot="never").works
    assert not Ability(without_effect="in vain").works
    assert str(Ability("never", "in vain")) == "cannot because never"
