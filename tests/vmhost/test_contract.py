# SPDX-License-Identifier: Apache-2.0
"""Real libvirt under systemd and cgroup v2 keeps the contract of the protocols.

What a balloon does in time has nothing to do with cgroups: the host tier tests that.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import domain as contract
from tests.vmhost.servers import ModernBench, make_network, take_network

_HUGE_PAGES = Path("/proc/sys/vm/nr_overcommit_hugepages")


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModernBench]:
    before = _HUGE_PAGES.read_text()
    _HUGE_PAGES.write_text("128")
    make_network()
    bench = ModernBench(tmp_path_factory.mktemp("guests"))
    yield bench
    bench.remove()
    take_network()
    _HUGE_PAGES.write_text(before)


class OnModernHost:
    @pytest.fixture
    def bench(self, modern: ModernBench) -> ModernBench:
        return modern


class TestPinnedMemory(OnModernHost, contract.PinnedMemoryContract): ...


class TestKernelKnobs(OnModernHost, contract.KernelKnobsContract): ...


class TestNetwork(OnModernHost, contract.NetworkContract): ...


class TestLook(OnModernHost, contract.LookContract): ...


class TestSnapshot(OnModernHost, contract.SnapshotContract): ...


class TestRoom(OnModernHost, contract.RoomContract): ...


class TestStopped(OnModernHost, contract.StoppedContract): ...


class TestAway(OnModernHost, contract.AwayContract): ...
