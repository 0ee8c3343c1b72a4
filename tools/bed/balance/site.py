# SPDX-License-Identifier: Apache-2.0
"""An overcommitted host with balancing that is turned on and off, and the same play with both."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.bed.balance.agent_process import Balancing, balancing
from tools.bed.balance.overcommitted import Overcommitted, Played, cpu_s
from tools.bed.balance.recorder import crossings, save
from tools.bed.errors import TestbedError
from tools.bed.processes import wait_until

#: The thresholds in MiB are made for guests of gigabytes: for these small ones they are smaller,
#: and balloons change by more.
OPTIONS: Mapping[str, Any] = {
    "cushion_mib": 32, "floor_mib": 64, "band_mib": 16, "exact_mib": 2, "calm_after_s": 20.0,
    "shrink_percent": 10.0}
_START_S, _POLL_S = 240, 0.5


class Site:
    """The host, and the plays on it by mode."""

    def __init__(self, place: Path, host: Overcommitted, **options: Any) -> None:
        """:param options: those of balancing that differ here from ``OPTIONS``"""
        self.place, self.host, self.options = place, host, {**OPTIONS, **options}
        self.played: dict[str, Played] = {}
        self._runs = 0

    @contextmanager
    def balancing(self, **options: Any) -> Iterator[Balancing]:
        """Balance with these options, of the budget that guests have at this moment."""
        self._runs += 1
        asked = {**self.options, "memory_mib": self.host.scarce.budget_mib, **options}
        with balancing(self.place / "agent", f"run{self._runs}", self.host.libvirt.uri,
                       self.host.servers, **asked) as found:
            yield found

    def play(self, mode: str, seconds: float, available_mib: float) -> Played:
        """Let guests play for so long with that mode, with so much memory beyond what they have at
        rest."""
        self.host.quiet()
        self.host.scarce.leave(available_mib)
        with self.balancing(mode=mode) as agent:
            if not wait_until(lambda: agent.last()["at_s"] > 0, _START_S, _POLL_S):
                raise TestbedError(f"balancing does not begin: {agent.log()}")
            agent_s = cpu_s(agent.process.pid)
            played = self.played[mode] = self.host.play(seconds)
            last = agent.last()
            print(f"{mode}: agent's processor time {cpu_s(agent.process.pid) - agent_s:.1f} s, "
                  f"{last['moves']} moves, {last['state']}: {'; '.join(last['reasons'])}")
        save(played.samples, self.place / f"{mode}.csv")
        return played

    def crossings(self, mode: str) -> int:
        """How often a guest was seen below its guarantee while it had nothing to spare."""
        return sum(len(crossings(self.played[mode].samples, part)) for part in self.host.parts)

    def periods_s(self) -> set[int]:
        """How often guests report, as libvirt has it."""
        found = set()
        for name in self.host.guests:
            period = re.search(r"<stats period='(\d+)'/>", self.host.libvirt.virsh("dumpxml", name))
            assert period is not None
            found.add(int(period[1]))
        return found

    def is_balanced(self, agent: Balancing) -> bool:
        """Whether the host is known to be tense, guests report often, and some balloon has moved.
        """
        last = agent.last()
        return (last["state"] in ("tense", "short") and last["moves"] > 0
                and self.periods_s() == {self.options["tense_report_s"]}
                and not self.host.is_whole())

    def show(self) -> None:
        """Print the figures of all modes side by side."""
        modes = list(self.played)
        print("\n" + f"{'':32}" + "".join(f"{mode:>10}" for mode in modes))
        for title, figures in self.rows():
            print(f"{title:32}" + "".join(f"{each:>10}" for each in figures))

    def rows(self) -> list[tuple[str, list[str]]]:
        """A figure's name, and what it was with each mode."""
        plays = list(self.played.values())
        rows = [
            ("host swapped in, MiB", [f"{play.host_in_mib:.0f}" for play in plays]),
            ("host swapped out, MiB", [f"{play.host_out_mib:.0f}" for play in plays]),
            ("guarantee crossed, samples", [str(self.crossings(mode)) for mode in self.played])]
        for name in self.host.guests:
            rows += [
                (f"{name}: work done, %", [f"{play.done_percent[name]:.1f}" for play in plays]),
                (f"{name}: processor time, s", [f"{play.cpu_s[name]:.1f}" for play in plays]),
                (f"{name}: swapped in, MiB", [f"{play.swap_in_mib[name]:.1f}" for play in plays]),
                (f"{name}: major faults", [str(play.major_faults[name]) for play in plays]),
                (f"{name}: OOM kills", [str(play.oom_kills[name]) for play in plays])]
        return rows

    def keep(self, place: Path) -> None:
        """Copy what was recorded and what the agents wrote there."""
        place.mkdir(parents=True, exist_ok=True)
        for file in (*self.place.glob("*.csv"), *self.place.glob("agent/*")):
            if file.is_file():
                shutil.copy(file, place)


def is_apart(said: Mapping[str, Any], server_uuid: str) -> bool:
    """Whether balancing leaves a guest out, or counts it by what the host sees of it alone."""
    plan = said["plans"].get(server_uuid)
    return plan is None or plan["stale"] or plan["stuck"]
