# SPDX-License-Identifier: Apache-2.0
"""Real libvirt with real guests keeps the contract of the protocols."""

import pytest

from tests.contract import domain as contract
from tests.contract import memory
from tests.host.bench import RealBench


class OnLibvirt:
    @pytest.fixture
    def bench(self, bench: RealBench, huge_pages: None) -> RealBench:
        return bench


class TestMemory(OnLibvirt, contract.MemoryContract): ...


class TestNoBalloon(OnLibvirt, contract.NoBalloonContract): ...


class TestPinnedMemory(OnLibvirt, contract.PinnedMemoryContract): ...


class TestKernelKnobs(OnLibvirt, contract.KernelKnobsContract): ...


class TestNetwork(OnLibvirt, contract.NetworkContract): ...


class TestLook(OnLibvirt, contract.LookContract): ...


class TestSnapshot(OnLibvirt, contract.SnapshotContract): ...


class TestRoom(OnLibvirt, contract.RoomContract): ...


class TestPaused(OnLibvirt, contract.PausedContract): ...


class TestStopped(OnLibvirt, contract.StoppedContract): ...


class TestAway(OnLibvirt, contract.AwayContract): ...


class TestHostMemory(OnLibvirt, memory.HostMemoryContract): ...


class TestGuests(OnLibvirt, memory.GuestsContract): ...


class TestUnmovable(OnLibvirt, memory.UnmovableContract): ...
