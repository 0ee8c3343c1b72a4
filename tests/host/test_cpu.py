# SPDX-License-Identifier: Apache-2.0
"""CPU time that real guests get, set through our code and measured in the kernel's own files."""

import os
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.agent.roster import Roster
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors
from nova_qos.core.plan import Capacity
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Domain
from nova_qos.virt.host import LibvirtHost
from tests.host.bench import RealBench, RealServer
from tests.knobs import apply, read, write
from tools.bed.domain import Shape, TestGuest
from tools.bed.memory_records import HOST, MemoryRecord, MemoryRecords
from tools.bed.observer import group_of
from tools.bed.processes import wait_until

pytestmark = pytest.mark.alone
_MEASURED_S = 10


def cpu_group(bench: RealBench, guest: TestGuest) -> Path:
    return group_of(bench.libvirt.qemu_pid(guest.name), "cpu")


def used_s(bench: RealBench, guest: TestGuest) -> float:
    """The CPU time that all threads of a guest's QEMU have used."""
    stat = Path(f"/proc/{bench.libvirt.qemu_pid(guest.name)}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def domain(bench: RealBench, server: RealServer) -> Domain:
    return bench.host.domain(server.uuid)


@pytest.fixture
def before_others(bench: RealBench, server: RealServer) -> Iterator[None]:
    """All guests together come before whatever else this machine does."""
    shares = cpu_group(bench, server.guest).parent / "cpu.shares"
    before = shares.read_text()
    shares.write_text("262144")
    yield
    shares.write_text(before)


@pytest.mark.parametrize("percent", [30, 100])
@pytest.mark.usefixtures("before_others")
@pytest.mark.flaky(reruns=2)
@pytest.mark.resources("cpu_limit")
def test_a_cpu_limit_is_exact(
    bench: RealBench, server: RealServer, domain: Domain, percent: int
) -> None:
    apply(domain, {"cpu_limit": percent, "cpu_priority": 262144}, 5)
    group = cpu_group(bench, server.guest)
    assert (group / "cpu.cfs_quota_us").read_text() == f"{200 * percent}\n"
    assert (group / "cpu.cfs_period_us").read_text() == "20000\n"
    schedule = bench.libvirt.virsh("schedinfo", server.guest.name, "--live").split()
    assert schedule[schedule.index("global_quota") + 2] == str(200 * percent)
    part = busy_part(bench, server.guest, f"burn-cpu {_MEASURED_S + 6}")
    print(f"CPU limit {percent} percent: {100 * part:.1f}")
    # a busy machine gives less than the limit, but none gives more
    assert 0.9 <= 100 * part / percent <= 1.03
    assert (group / "cpu.cfs_quota_us").read_text() == "-1\n"
    assert (group / "cpu.cfs_period_us").read_text() == "100000\n"


@pytest.mark.usefixtures("before_others")
@pytest.mark.flaky(reruns=2)
def test_a_cpu_limit_above_one_processor_is_exact(bench: RealBench, server: RealServer) -> None:
    """For a guest with two vCPUs; all others stand still."""
    server.pause()
    guest = TestGuest(bench.libvirt, bench.images, "two", Shape(memory_mib=96, vcpus=2))
    try:
        guest.start()
        domain = bench.host.domain(guest.uuid)
        apply(domain, {"cpu_limit": 150, "cpu_priority": 262144}, 5)
        group = cpu_group(bench, guest)
        assert (group / "cpu.cfs_quota_us").read_text() == "30000\n"
        # what both print at once would tear the shell's prompt
        part = busy_part(bench, guest, f"burn-cpu {_MEASURED_S + 6} >/dev/null & "
                         f"burn-cpu {_MEASURED_S + 6}; wait")
        print(f"CPU limit 150 percent of two vCPUs: {100 * part:.1f}")
        # a busy machine gives less than the limit, but none gives more
        assert 0.9 <= part / 1.5 <= 1.03
    finally:
        guest.remove()
        server.resume()


def busy_part(bench: RealBench, guest: TestGuest, command: str) -> float:
    """What a guest uses while it runs a command that keeps it busy, in processors."""
    with futures.ThreadPoolExecutor() as threads:
        done = threads.submit(guest.run, command, 200)
        time.sleep(3)
        began, used = time.monotonic(), used_s(bench, guest)
        time.sleep(_MEASURED_S)
        part = (used_s(bench, guest) - used) / (time.monotonic() - began)
        apply(bench.host.domain(guest.uuid), {"cpu_limit": UNLIMITED}, 5)
        done.result()
    return part


@pytest.mark.resources("cpu_limit")
def test_a_limit_that_another_program_changed_is_read_from_the_kernel(
    bench: RealBench, server: RealServer, domain: Domain
) -> None:
    write(domain, "cpu_limit", 80)
    (cpu_group(bench, server.guest) / "cpu.cfs_quota_us").write_text("8000")
    assert read(domain, "cpu_limit").applied == 40


@pytest.mark.resources("cpu_limit")
def test_a_limit_below_what_the_flavor_gives_a_vcpu_is_refused(
    bench: RealBench, server: RealServer
) -> None:
    bench.libvirt.virsh("schedinfo", server.guest.name, "--live", "vcpu_quota=50000")
    try:
        domain = bench.host.domain(server.uuid)
        with pytest.raises(errors.HostRefused, match=r"quota:cpu_quota .* 50 percent"):
            write(domain, "cpu_limit", 49)
        assert read(domain, "cpu_limit").applied == UNLIMITED
        write(domain, "cpu_limit", 50)
        assert read(domain, "cpu_limit").applied == 50
    finally:
        bench.libvirt.virsh("schedinfo", server.guest.name, "--live", "global_quota=-1")
        bench.libvirt.virsh("schedinfo", server.guest.name, "--live", "vcpu_quota=-1")


@dataclass
class Crowd:
    """Guests on one processor, of a host that has no other for servers."""

    bench: RealBench
    host: LibvirtHost
    guests: list[TestGuest]

    def start(self, name: str) -> TestGuest:
        """One more, which works as soon as it is up."""
        guest = TestGuest(self.bench.libvirt, self.bench.images, name, Shape(memory_mib=96))
        self.guests.append(guest)
        guest.start()
        # not by libvirt, where a pinned vCPU counts as one with a CPU of its own
        for task in Path(f"/proc/{self.bench.libvirt.qemu_pid(name)}/task").iterdir():
            os.sched_setaffinity(int(task.name), {0})
        return guest

    def start_paused(self, name: str) -> TestGuest:
        """One more, of which libvirt has just said that it started."""
        guest = TestGuest(self.bench.libvirt, self.bench.images, name, Shape(memory_mib=96))
        self.guests.append(guest)
        guest.start("--paused")
        return guest

    def shares(self) -> list[int]:
        """Of each, as the kernel has them."""
        return [int(guest.cgroup_value("cpu", "cpu.shares")) for guest in self.guests]

    def parts(self, seconds: float) -> list[float]:
        """The part that each has of the CPU time that all of them get, in percent."""
        with futures.ThreadPoolExecutor(len(self.guests)) as threads:
            done = [threads.submit(guest.run, f"burn-cpu {seconds + 12:.0f}", 300)
                    for guest in self.guests]
            time.sleep(5)
            before = [used_s(self.bench, guest) for guest in self.guests]
            time.sleep(seconds)
            used = [used_s(self.bench, guest) - early
                    for guest, early in zip(self.guests, before, strict=True)]
            for each in done:
                each.result()
        return [100 * each / sum(used) for each in used]


@pytest.fixture
def crowd(bench: RealBench) -> Iterator[Crowd]:
    one_cpu = Capacity(cpu_percent=100, memory_mib=2**20, most_shares=262144)
    crowd = Crowd(bench, LibvirtHost(bench.libvirt.uri, bench.networks, capacity=one_cpu), [])
    try:
        for name in ("first", "second", "third", "fourth"):
            crowd.start(name)
        yield crowd
    finally:
        for guest in crowd.guests:
            guest.remove()
        crowd.host.close()


@pytest.mark.flaky(reruns=2)
@pytest.mark.resources("cpu_guarantee")
def test_a_cpu_guarantee_beside_busy_neighbours(crowd: Crowd) -> None:
    options = cfg.ConfigOpts()
    options([])
    conf.register(options)
    records = MemoryRecords()
    first = crowd.guests[0]
    records.all[first.uuid] = MemoryRecord(first.uuid, cpu_guarantee=50)
    looker = Looker(
        Roster(HOST, records), crowd.host, options, Hooks({}, options), History(), 0.0)
    loop = Loop(looker, options, Unfinished(options.nova_qos.state_directory))
    loop.start()
    try:
        assert wait_until(lambda: crowd.shares()[0] > 1024, 10)
        raised = crowd.shares()
        # 3072, and more where this machine has other guests
        assert raised[0] >= 3072
        assert raised[1:] == [1024] * 3
        parts = crowd.parts(20)
        ideal = 100 * raised[0] / sum(raised)
        print(f"CPU guarantee 50 percent: {raised[0]} shares of {sum(raised)}, ideal {ideal:.1f}, "
              f"parts {', '.join(f'{part:.1f}' for part in parts)}")
        assert parts[0] == pytest.approx(ideal, abs=3)
        assert parts[0] >= 47
        fifth = crowd.start_paused("fifth")
        began = time.monotonic()
        assert wait_until(lambda: crowd.shares()[0] >= raised[0] + 1024, 1)
        print(f"a fifth server: {crowd.shares()[0]} shares after "
              f"{1000 * (time.monotonic() - began):.0f} ms")
        crowd.bench.libvirt.virsh("destroy", fifth.name)
        crowd.guests.remove(fifth)
        assert wait_until(lambda: crowd.shares()[0] == raised[0], 1)
        fifth.remove()
    finally:
        loop.stop()
