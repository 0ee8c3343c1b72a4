# SPDX-License-Identifier: Apache-2.0
"""Balancing while guests, users and misfortune do what they like.

``NOVA_QOS_SOAK_S`` says for how many seconds, before a release 3600; ``NOVA_QOS_SOAK_SEED`` repeats
one.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from tools.bed.balance.agent_process import Balancing
from tools.bed.balance.overcommitted import CALM_REPORT_S
from tools.bed.balance.parts import MEMORY_MIB
from tools.bed.balance.recorder import Recorder, Sample, crossings
from tools.bed.balance.site import Site
from tools.bed.processes import wait_until

#: New ones find new things; at reduced size, a change is blamed only for what it has changed.
SEED = int(os.environ.get("NOVA_QOS_SOAK_SEED", (
    546434 if os.environ.get("NOVA_QOS_TEST_SIZE") == "reduced" else random.randrange(10**6))))
#: Balloons that nobody lacks anything of stay where they are within so much.
_BAND_MIB, _SETTLE_S, _CALM_S, _POLL_S = 24, 180, 240, 0.5
#: What guests are guaranteed together, at most: the API refuses more than the host has.
_MOST_GUARANTEED_MIB = 600
_GUARANTEES_MIB, _MEMORY_MIB = (0, 96, 192, 288), (MEMORY_MIB, 330, 300)
_PRIORITIES = (50, 100, 400)
#: A guarantee that was raised, or a guest or an agent that is back, has to be noticed.
_NOTICED_S = 15.0


@dataclass(frozen=True)
class _Promise:
    """What a guest was guaranteed from some time on (0 = nothing), or that nobody could keep it
    until some other time."""

    name: str
    since_s: float
    mib: int
    until_s: float = float("inf")


class Soak:
    """Does one thing after the other, by chance."""

    def __init__(self, site: Site, mode: str, seed: int) -> None:
        self._site, self._mode, self._choose = site, mode, random.Random(seed)
        self._host = site.host
        self._servers = self._host.servers
        self._stack = ExitStack()
        self._recorder = Recorder(self._host.libvirt, self._host.scarce)
        self._began_s = time.monotonic()
        self._promises = [_Promise(part.name, 0.0, part.guarantee_mib) for part in self._host.parts]
        self._disturbed: list[_Promise] = []
        #: What guests ran out of before they were started again.
        self._ooms_before = dict.fromkeys(self._host.guests, 0)
        self.counts: dict[str, int] = {}
        self.agent = self._start()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Sample meanwhile; times count from now on."""
        self._began_s = time.monotonic()
        with self._recorder.recording():
            yield

    def act(self, seconds: float) -> None:
        """For so long."""
        acts: dict[Callable[[], None], int] = {
            self._play: 6, self._set: 4, self._kill: 2, self._hang: 1, self._pause: 1,
            self._reboot: 1}
        give_up_s = time.monotonic() + seconds
        while time.monotonic() < give_up_s:
            (act,) = self._choose.choices(list(acts), list(acts.values()))
            name = act.__name__.strip("_")
            self.counts[name] = self.counts.get(name, 0) + 1
            act()
            time.sleep(self._choose.uniform(1, 6))

    def settle(self) -> bool:
        """Nobody changes anything more, and guests have sets of one size: whether all balloons come
        to where the plan wants them."""
        for part in self._host.parts:
            self._host.perform(replace(part, steps=[(100, 3600)]))
        return self._mode != "on" or wait_until(self.is_as_planned, _SETTLE_S, _POLL_S)

    def is_as_planned(self) -> bool:
        """Whether all balloons are where the plan says."""
        said, actual = self.agent.last(), self._host.actual_mib()
        return len(said["plans"]) == len(actual) and all(
            abs(said["plans"][guest.uuid]["wish_mib"] - actual[name]) <= _BAND_MIB
            for name, guest in self._host.guests.items())

    def crossings(self) -> list[Sample]:
        """When a guest had less than its guarantee while it had nothing to spare, but for the time
        that it takes to notice what has changed."""
        found: list[Sample] = []
        for part in self._host.parts:
            for promise in self._intervals(part.name):
                crossed = crossings(self._recorder.samples, replace(
                    part, guarantee_mib=promise.mib))
                found += [each for each in crossed if promise.since_s + _NOTICED_S < each.at_s
                          < promise.until_s and not self._is_disturbed(part.name, each.at_s)]
        return found

    def oom_kills(self) -> int:
        """How often guests have run out of memory in all."""
        now = self._host.oom_kills()
        return sum(now.values()) + sum(self._ooms_before.values())

    def stop(self) -> None:
        """End the agent."""
        self._stack.close()

    def give_back(self) -> None:
        """There is enough for all again: everybody comes to have everything."""
        self.stop()
        self._host.end()
        self.agent = self._start()
        assert wait_until(self._host.is_whole, _CALM_S, _POLL_S), (
            self.agent.last(), self._host.actual_mib())
        assert wait_until(lambda: self._site.periods_s() == {CALM_REPORT_S}, _CALM_S, _POLL_S)

    def _start(self) -> Balancing:
        agent = self._stack.enter_context(self._site.balancing(mode=self._mode))
        assert wait_until(lambda: agent.last()["at_s"] > 0, _CALM_S, _POLL_S), agent.log()
        return agent

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _intervals(self, name: str) -> list[_Promise]:
        own = [each for each in self._promises if each.name == name]
        return [replace(each, until_s=later.since_s)
                for each, later in pairwise(own)] + own[-1:]

    def _is_disturbed(self, name: str, at_s: float) -> bool:
        return any(each.name in (name, "") and each.since_s - 1 <= at_s <= each.until_s + _NOTICED_S
                   for each in self._disturbed)

    @contextmanager
    def _disturbing(self, name: str) -> Iterator[None]:
        """Nobody can keep this guest's guarantee meanwhile; no name = nobody's."""
        since_s = self._now_s()
        try:
            yield
        finally:
            self._disturbed.append(_Promise(name, since_s, 0, self._now_s()))

    def _name(self) -> str:
        return self._choose.choice(list(self._host.guests))

    def _play(self) -> None:
        part = self._choose.choice(self._host.parts)
        steps = [(self._choose.randrange(16, 240), self._choose.randrange(5, 40))
                 for _ in range(self._choose.randrange(1, 5))]
        self._host.perform(replace(part, steps=steps))

    def _set(self) -> None:
        """A server's memory, guarantee and priority."""
        name = self._name()
        uuid = self._host.guests[name].uuid
        settings = {"memory": self._choose.choice(_MEMORY_MIB),
                    "memory_guarantee": self._choose.choice(_GUARANTEES_MIB),
                    "memory_priority": self._choose.choice(_PRIORITIES)}
        others = sum(each.get("memory_guarantee", 0)
                     for other, each in self._servers.items() if other != uuid)
        if others + settings["memory_guarantee"] > _MOST_GUARANTEED_MIB:
            settings["memory_guarantee"] = 0
        self._promises.append(_Promise(name, self._now_s(), settings["memory_guarantee"]))
        own = {key: value for key, value in settings.items() if value}
        self._servers = {**self._servers, uuid: {"memory_mib": MEMORY_MIB, **own}}
        self.agent.set(self._servers)

    def _kill(self) -> None:
        """Balancing dies, and begins again a while later."""
        with self._disturbing(""):
            self.agent.kill()
            time.sleep(self._choose.uniform(0, 5))
            self.agent = self._start()
            self.agent.set(self._servers)

    def _hang(self) -> None:
        name = self._name()
        pid = self._host.libvirt.qemu_pid(name)
        with self._disturbing(name):
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(self._choose.uniform(1, 8))
            finally:
                os.kill(pid, signal.SIGCONT)

    def _pause(self) -> None:
        name = self._name()
        with self._disturbing(name):
            self._host.libvirt.virsh("suspend", name)
            time.sleep(self._choose.uniform(1, 8))
            self._host.libvirt.virsh("resume", name)

    def _reboot(self) -> None:
        name = self._name()
        self._ooms_before[name] += self._host.oom_kills()[name]
        with self._disturbing(name):
            self._host.guests[name].restart_itself()


def seconds(otherwise: float) -> float:
    """How long to soak."""
    return float(os.environ.get("NOVA_QOS_SOAK_S", otherwise))


def nothing_is_lost(site: Site, for_s: float, available_mib: float) -> None:
    """Soak, and judge: no guest runs out of memory that would not without balancing."""
    killed = soaked(site, "on", SEED, for_s, available_mib)
    if killed:
        assert killed <= soaked(site, "off", SEED, for_s, available_mib)


def soaked(site: Site, mode: str, seed: int, seconds: float, available_mib: float) -> int:
    """Soak for so long; how often guests have run out of memory. With mode on, no guarantee may be
    crossed, and balloons end where the plan says."""
    host = site.host
    host.quiet()
    host.scarce.leave(available_mib)
    pids = host.qemu_pids()
    soak = Soak(site, mode, seed)
    before = soak.oom_kills()
    try:
        with soak.recording():
            host.begin()
            soak.act(seconds)
            is_settled = soak.settle()
        kills = soak.oom_kills() - before
        print(f"seed {seed}, mode {mode}, {seconds:g} s: {soak.counts}, {kills} OOM kills")
        assert is_settled, (soak.agent.last(), host.actual_mib())
        assert host.qemu_pids() == pids
        if mode == "on":
            assert not soak.crossings()
            soak.give_back()
    finally:
        soak.stop()
    return kills
