# SPDX-License-Identifier: Apache-2.0
"""The API's scales mean on cgroup v2 what they mean on v1: in the kernel's files and by measure."""

import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_qos.core.plan import Capacity
from nova_qos.core.reading import Reading
from nova_qos.core.units import UNLIMITED
from nova_qos.virt.host import LibvirtHost
from tests.host.writers import Writers
from tests.knobs import apply
from tests.vmhost.servers import MACHINES, ModernBench, run, scope_of
from tools.bed.slowdisk import SlowDisk

_BURN_CPU_S, _BURN_IO_S = 30, 170
#: So slow that guests of an emulated host have the processor for more.
_RATE_MIB = 4
_SETTLE_CPU_S, _MEASURE_CPU_S = 5, 15
#: The division follows the weights after some seconds, at such a rate.
_SETTLE_IO_S, _MEASURE_IO_S = 12, 25
_CPU_TOLERANCE, _IO_TOLERANCE = 0.1, 0.2


class Pair(Writers):
    """Two servers that compete: for one CPU, and for a slow disk."""

    def __init__(self, bench: ModernBench, disk: SlowDisk) -> None:
        super().__init__(bench, disk)
        self.device = disk.device

    def apply(self, name: str, *values: int) -> list[Reading]:
        return [apply(self.bench.host.domain(guest.uuid), {name: value}, 1.0)[name]
                for guest, value in zip(self.guests, values, strict=False)]

    def files(self, name: str) -> list[str]:
        return [(scope_of(self.bench.libvirt, guest) / name).read_text().split()[-1]
                for guest in self.guests]

    def cpu_ratio(self) -> float:
        """How many times the second's time of one CPU the first gets while both compute."""
        with _one_cpu(), futures.ThreadPoolExecutor(2) as threads:
            burning = [threads.submit(guest.run, f"burn-cpu {_BURN_CPU_S}")
                       for guest in self.guests]
            time.sleep(_SETTLE_CPU_S)
            before = self._cpu_us()
            time.sleep(_MEASURE_CPU_S)
            after = self._cpu_us()
            assert not any(each.done() for each in burning)
        return (after[0] - before[0]) / (after[1] - before[1])

    def cpu_percent(self) -> float:
        """What the first has of one CPU while it computes, and nobody else does."""
        with futures.ThreadPoolExecutor(1) as threads:
            burning = threads.submit(self.guests[0].run, f"burn-cpu {_BURN_CPU_S}")
            time.sleep(_SETTLE_CPU_S)
            began, before = time.monotonic(), self._cpu_us()[0]
            time.sleep(_MEASURE_CPU_S)
            used_us, took_s = self._cpu_us()[0] - before, time.monotonic() - began
            assert not burning.done()
            self.apply("cpu_limit", UNLIMITED)
        return used_us / took_s / 1e4

    def _cpu_us(self) -> list[int]:
        return [int((scope_of(self.bench.libvirt, guest) / "cpu.stat").read_text().split()[1])
                for guest in self.guests]


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Servers have one of the machine's CPUs; none of them is pinned."""
    limit = ("systemctl", "set-property", "--runtime", MACHINES.name)
    effective = MACHINES / "cpuset.cpus.effective"
    every = effective.read_text().strip()
    run(*limit, "AllowedCPUs=1")
    try:
        yield
    finally:
        # systemd takes back no empty list, nor by reverting: all later tests would have one CPU
        run(*limit, f"AllowedCPUs={every}")
        run("systemctl", "revert", MACHINES.name)
    assert effective.read_text().strip() == every


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place: Path = tmp_path_factory.mktemp("scales")
    for module in ("loop", "fuse", "bfq"):
        run("modprobe", module)
    bench = ModernBench(place)
    with SlowDisk(place / "disk", parts=2, rate_mib=_RATE_MIB) as disk:
        pair = Pair(bench, disk)
        try:
            pair.start()
            yield pair
        finally:
            pair.remove()
            bench.remove()


@pytest.mark.resources("cpu_priority")
def test_cpu_shares(pair: Pair) -> None:
    readings = pair.apply("cpu_priority", 1024, 2048)
    assert pair.files("cpu.weight") == ["100", "200"]
    assert [reading.applied for reading in readings] == [1024, 2048]
    assert readings[1].span == (2043, 2053)
    assert "weight 200" in (readings[1].reason or "")
    ratio = pair.cpu_ratio()
    print(f"burn-cpu: ratio {ratio:.3f}")
    assert ratio == pytest.approx(1 / 2, rel=_CPU_TOLERANCE)


@pytest.mark.parametrize("percent", [30, 100])
@pytest.mark.resources("cpu_limit")
def test_a_cpu_limit_is_exact(pair: Pair, percent: int) -> None:
    assert pair.apply("cpu_limit", percent) == [Reading(percent)]
    inner = scope_of(pair.bench.libvirt, pair.guests[0]) / "libvirt/cpu.max"
    assert inner.read_text() == f"{200 * percent} 20000\n"
    got = pair.cpu_percent()
    print(f"CPU limit {percent} percent: {got:.1f}")
    # a busy machine gives less than the limit, but none gives more
    assert 0.9 <= got / percent <= 1.03
    assert inner.read_text().split()[0] == "max"


@pytest.mark.resources("cpu_guarantee")
def test_a_cpu_guarantee(pair: Pair) -> None:
    """Half of the one CPU, beside a neighbour that has three times the shares."""
    host = LibvirtHost(pair.bench.libvirt.uri, pair.bench.networks,
                       capacity=Capacity(cpu_percent=100, memory_mib=2**20, most_shares=262144))
    first, second = (host.domain(guest.uuid) for guest in pair.guests)
    apply(first, {"cpu_priority": 1024}, 1.0)
    apply(second, {"cpu_priority": 3072}, 1.0)
    assert apply(first, {"cpu_guarantee": 50}, 1.0)["cpu_guarantee"] == Reading(50)
    assert pair.files("cpu.weight") == ["300", "300"]
    ratio = pair.cpu_ratio()
    print(f"CPU guarantee 50 percent: ratio {ratio:.3f}")
    assert ratio == pytest.approx(1, rel=_CPU_TOLERANCE)
    apply(first, {"cpu_guarantee": UNLIMITED}, 1.0)
    assert pair.files("cpu.weight") == ["100", "300"]
    host.close()


@pytest.mark.resources("io_priority")
def test_io_weights(pair: Pair) -> None:
    with futures.ThreadPoolExecutor(1) as thread:
        burning = thread.submit(pair.burn, _BURN_IO_S)
        pair.await_both()
        for weights in ((200, 800), (800, 200)):
            readings = pair.apply("io_priority", *weights)
            assert pair.files("io.bfq.weight") == [str(weight) for weight in weights]
            assert [(reading.applied, reading.effective, reading.reason)
                    for reading in readings] == [(weight, True, None) for weight in weights]
            time.sleep(_SETTLE_IO_S)
            ratio = pair.ratio(_MEASURE_IO_S)
            print(f"burn-io: ratio {ratio:.3f} with {weights}")
            assert ratio == pytest.approx(weights[0] / weights[1], rel=_IO_TOLERANCE)
        assert not burning.done()


@pytest.mark.parametrize("weight", [100, 101, 333, 999, 1000])
@pytest.mark.resources("io_priority")
def test_an_io_weight_reaches_the_device_as_it_is(pair: Pair, weight: int) -> None:
    pair.apply("io_priority", weight, weight)
    assert pair.files("io.bfq.weight") == [str(weight)] * 2
    # what libvirt would take along when the server moves has to suit a host with cgroup v1
    definition = pair.bench.libvirt.virsh("dumpxml", pair.guests[0].name)
    assert "<weight>" not in definition


@pytest.mark.resources("io_priority")
def test_an_io_weight_outlives_a_reload_of_systemd(pair: Pair) -> None:
    pair.apply("io_priority", 300, 700)
    run("systemctl", "daemon-reload")
    assert pair.files("io.bfq.weight") == ["300", "700"]


def test_an_io_weight_reaches_io_cost_as_it_is(pair: Pair) -> None:
    """On a device without bfq, where the host has io.cost."""
    number = Path("/sys/block", pair.device.name, "dev").read_text().strip()
    scheduler = Path("/sys/block", pair.device.name, "queue/scheduler")
    cost = Path("/sys/fs/cgroup/io.cost.qos")
    if not cost.exists():
        pytest.skip("this kernel has no io.cost")
    scheduler.write_text("none")
    cost.write_text(f"{number} enable=1")
    try:
        readings = pair.apply("io_priority", 250, 500)
        assert [(reading.applied, reading.effective) for reading in readings] == [
            (250, True), (500, True)]
        assert pair.files("io.weight") == ["250", "500"]
    finally:
        cost.write_text(f"{number} enable=0")
        scheduler.write_text("bfq")
