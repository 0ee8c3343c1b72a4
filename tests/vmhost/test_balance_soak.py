# SPDX-License-Identifier: Apache-2.0
"""Balancing while guests, users and misfortune do what they like: NOVA_QOS_SOAK_S seconds long."""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.vmhost.balancing import CALM_REPORT_S, Balancing
from tests.vmhost.kvm import kvm
from tests.vmhost.overcommitted import Part, Recorder, crossings
from tests.vmhost.servers import comes_true
from tests.vmhost.test_balance import AVAILABLE_MIB, GUARANTEE_MIB, MEMORY_MIB, PARTS, Site

REDUCED = os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced"
SOAK_S = float(os.environ.get("NOVA_QOS_SOAK_S", "60" if REDUCED else "300"))
SEED = int(os.environ.get("NOVA_QOS_SOAK_SEED", random.randrange(10**6)))
#: Balloons that nobody lacks anything of stay where they are within so much.
_BAND_MIB, _SETTLE_S, _CALM_S = 24, 120, 240

pytestmark = pytest.mark.timeout(int(2 * SOAK_S) + 2400)


@pytest.fixture
def site() -> Iterator[Site]:
    with kvm(), tempfile.TemporaryDirectory(prefix="soak-", dir="/var/tmp") as place:
        site = Site(Path(place))
        try:
            site.host.start()
            yield site
        finally:
            site.host.remove()


class Soak:
    """Does one thing after the other, by chance."""

    def __init__(self, site: Site, mode: str, seed: int) -> None:
        self._site, self._mode, self._choose = site, mode, random.Random(seed)
        self._servers = site.host.servers
        self._stack = ExitStack()
        self.agent = self._start()
        self.counts: dict[str, int] = {}

    def _start(self) -> Balancing:
        return self._stack.enter_context(self._site.balancing(mode=self._mode))

    def act(self, seconds: float) -> None:
        """For so long."""
        acts: dict[Callable[[], None], int] = {
            self._play: 5, self._set: 3, self._kill: 2, self._hang: 1, self._pause: 1}
        give_up_s = time.monotonic() + seconds
        while time.monotonic() < give_up_s:
            (act,) = self._choose.choices(list(acts), list(acts.values()))
            name = act.__name__.strip("_")
            self.counts[name] = self.counts.get(name, 0) + 1
            act()
            time.sleep(self._choose.uniform(1, 6))

    def settle(self) -> None:
        """Nobody changes anything more; guests have sets of one size."""
        for part in self._site.host.parts:
            self._run(part, [(100, 3600)])

    def stop(self) -> None:
        self._stack.close()

    def _name(self) -> str:
        return self._choose.choice(list(self._site.host.guests))

    def _play(self) -> None:
        part = self._choose.choice(self._site.host.parts)
        sizes = [(self._choose.randrange(16, 240), self._choose.randrange(5, 40))
                 for _ in range(self._choose.randrange(1, 5))]
        self._run(part, sizes)

    def _run(self, part: Part, steps: list[tuple[int, int]]) -> None:
        guest = self._site.host.guests[part.name]
        guest.run(Part(part.name, part.memory_mib, steps).command)

    def _set(self) -> None:
        """A user's own memory, or a priority, of a server without a guarantee."""
        name = self._choose.choice([each.name for each in self._site.host.parts
                                    if not each.guarantee_mib])
        settings = {"memory": self._choose.choice((MEMORY_MIB, 300, 200)),
                    "memory_priority": self._choose.choice((50, 100, 400))}
        uuid = self._site.host.guests[name].uuid
        self._servers = {**self._servers, uuid: {"memory_mib": MEMORY_MIB, **settings}}
        self.agent.set(self._servers)

    def _kill(self) -> None:
        self.agent.kill()
        time.sleep(self._choose.uniform(0, 5))
        self.agent = self._start()
        self.agent.set(self._servers)

    def _hang(self) -> None:
        pid = self._site.host.libvirt.qemu_pid(self._name())
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self._choose.uniform(1, 8))
        os.kill(pid, signal.SIGCONT)

    def _pause(self) -> None:
        name = self._name()
        self._site.host.libvirt.virsh("suspend", name)
        time.sleep(self._choose.uniform(1, 8))
        self._site.host.libvirt.virsh("resume", name)

    def is_as_planned(self) -> bool:
        """Whether all balloons are where the plan says."""
        said, actual = self.agent.last(), self._site.actual_mib()
        return len(said["plans"]) == len(actual) and all(
            abs(said["plans"][guest.uuid]["wish_mib"] - actual[name]) <= _BAND_MIB
            for name, guest in self._site.host.guests.items())


def soaked(site: Site, mode: str) -> dict[str, int]:
    """What the guests of a soak ran out of memory."""
    before, recorder = site.host.oom_kills(), Recorder(site.host.libvirt)
    site.host.leave_free(AVAILABLE_MIB)
    site.host.begin()
    soak = Soak(site, mode, SEED)
    try:
        with recorder.recording():
            soak.act(SOAK_S)
            soak.settle()
            if mode == "on":
                assert comes_true(soak.is_as_planned, _SETTLE_S), (
                    soak.agent.last(), site.actual_mib())
        print(f"seed {SEED}, mode {mode}, {SOAK_S:g} s: {soak.counts}")
        if mode == "on":
            guaranteed = next(part for part in PARTS if part.guarantee_mib == GUARANTEE_MIB)
            assert not crossings(recorder.samples, guaranteed)
            soak.agent.set(site.host.servers)
            site.host.end()
            assert comes_true(site.is_whole, _CALM_S), (soak.agent.last(), site.actual_mib())
            assert comes_true(lambda: site.periods_s() == {CALM_REPORT_S}, _CALM_S)
    finally:
        soak.stop()
    return {name: number - before[name] for name, number in site.host.oom_kills().items()}


def test_nothing_is_lost(site: Site) -> None:
    killed = soaked(site, "on")
    print(f"OOM kills: {killed}")
    if any(killed.values()):
        site.host.quiet()
        without = soaked(site, "off")
        assert sum(killed.values()) <= sum(without.values()), (killed, without)
