# SPDX-License-Identifier: Apache-2.0
"""The in-memory host keeps the contract that real libvirt keeps."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nova_qos.core import errors
from tests.contract import domain as contract
from tests.contract import memory
from tests.contract.bench import Bench
from tests.fakehost import FakeDomain, FakeHost

MIB = 1024


@dataclass
class FakeServer:
    """A server of the fake host."""

    uuid: str
    domain: FakeDomain
    host: FakeHost

    @property
    def memory_kib(self) -> int:
        return self.domain.flavor_kib

    def pause(self) -> None:
        self.domain.paused = True

    def resume(self) -> None:
        self.domain.paused = False

    def stop(self) -> None:
        del self.host.domains[self.uuid]
        self.domain.failure = errors.ServerNotRunning("the server was stopped")

    @contextlib.contextmanager
    def resetting(self) -> Iterator[None]:
        self.domain.reset()
        self.domain.driver = False
        yield
        self.domain.driver = True

    def occupy(self, memory_mib: int) -> None:
        self.domain.used_kib += memory_mib * MIB
        self.domain.unmovable_kib = self.domain.used_kib

    def read_disk(self, mib: int) -> None:
        self.domain.read_kib += mib * MIB


class FakeBench:
    """Fake servers, a new one each time."""

    def __init__(self, unified: bool = False) -> None:
        self.host = FakeHost()
        self._unified = unified

    def server(self) -> FakeServer:
        name = str(uuid.uuid4())
        domain = self.host.add(name, 256 * MIB)
        domain.unified = self._unified
        return FakeServer(name, domain, self.host)

    def driverless(self) -> FakeServer:
        server = self.server()
        server.domain.driver = False
        return server

    def pinned(self) -> FakeServer:
        server = self.server()
        server.domain.pinned = "its memory is in huge pages"
        return server

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self._fail(errors.HostAway("libvirt does not answer"))
        yield
        self._fail(None)

    def pass_time(self, seconds: float) -> None:
        """Nothing: the fake host does all at once, and has no clock."""

    def _fail(self, failure: errors.QosError | None) -> None:
        self.host.away = failure is not None
        for domain in self.host.domains.values():
            domain.failure = failure


class OnFake:
    @pytest.fixture(params=[False, True], ids=["cgroup v1", "cgroup v2"])
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        return FakeBench(request.param)


class TestMemory(OnFake, contract.MemoryContract): ...


class TestNoBalloon(OnFake, contract.NoBalloonContract): ...


class TestPinnedMemory(OnFake, contract.PinnedMemoryContract): ...


class TestKernelKnobs(OnFake, contract.KernelKnobsContract): ...


class TestNetwork(OnFake, contract.NetworkContract): ...


class TestLook(OnFake, contract.LookContract): ...


class TestSnapshot(OnFake, contract.SnapshotContract): ...


class TestRoom(OnFake, contract.RoomContract): ...


class TestPaused(OnFake, contract.PausedContract): ...


class TestStopped(OnFake, contract.StoppedContract): ...


class TestAway(OnFake, contract.AwayContract): ...


class TestHostMemory(OnFake, memory.HostMemoryContract): ...


class TestGuests(OnFake, memory.GuestsContract): ...


class TestUnmovable(OnFake, memory.UnmovableContract): ...
