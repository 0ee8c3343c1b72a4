# SPDX-License-Identifier: Apache-2.0
"""Who kills the agent and libvirtd and starts them again, starts a second agent, and lets a guest's
QEMU hang."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.soak.calm import Calm

#: nova-compute's start and its first report.
_COMPUTE_BACK_S = 60

_AGENT, _LIBVIRTD = "kills of the agent", "of libvirtd"
_HANGS, _SECOND = "guests that hung", "second agents"


class Killer:
    """Counts what it does."""

    def __init__(
        self, admin: Person, host: Observer, calm: Calm, servers: Sequence[str],
        choose: random.Random, say: Callable[[str], None],
    ) -> None:
        self._admin, self._host, self._calm, self._servers = admin, host, calm, servers
        self._choose, self._say = choose, say
        self.counts = dict.fromkeys((_AGENT, _LIBVIRTD, _HANGS, _SECOND), 0)
        #: What should not have happened.
        self.wrong: list[str] = []

    def strike(self) -> None:
        """Wait a little, then do one of these things, and let come back what went."""
        time.sleep(self._choose.uniform(2, 12))
        strike = self._choose.choices((self._kill, self._hang, self._start_second), (3, 1, 1))[0]
        strike()

    def _kill(self) -> None:
        away_s = self._choose.choice((0.0, 0.5, 4.0))
        # whoever was killed less often is the likelier one: a short soak is to see both
        likely = 0.8 if self.counts[_AGENT] <= self.counts[_LIBVIRTD] else 0.2
        if self._choose.random() < likely:
            self._kill_agent(away_s)
        else:
            self._kill_libvirtd(self._choose.choice((signal.SIGKILL, signal.SIGTERM)), away_s)

    def _hang(self) -> None:
        """Stop the QEMU of a guest for a while, as one that hangs; nova does nothing with it."""
        server, for_s = self._choose.choice(self._servers), self._choose.uniform(2, 8)
        with self._calm.kept():
            self._say(f"the guest of {server} hangs for {for_s:.1f} s")
            self.counts[_HANGS] += 1
            with self._host.hung(server):
                time.sleep(for_s)

    def _start_second(self) -> None:
        self.counts[_SECOND] += 1
        said = self._host.second_agent()
        self._say(f"a second agent: {said.strip().splitlines()[-1][:120]}")
        if not said.startswith("exit status 1") or "is the agent of host" not in said:
            self.wrong.append(said[-500:])

    def _kill_agent(self, away_s: float) -> None:
        self._say(f"kill -9 of the agent, back after {away_s} s")
        self.counts[_AGENT] += 1
        self._host.kill_agent()
        time.sleep(away_s)
        self._host.start_agent()

    def _kill_libvirtd(self, number: signal.Signals, away_s: float) -> None:
        # nova-compute would not survive it within an operation, and loses what it is asked
        # to do while it starts; sets go on meanwhile
        with self._calm.kept():
            self._say(f"{number.name} to libvirtd, back after {away_s} s")
            self.counts[_LIBVIRTD] += 1
            pid = self._host.libvirt.libvirtd_pid()
            assert pid is not None, "libvirtd does not run"
            os.kill(pid, number)
            time.sleep(away_s)
            self._host.libvirt.stop_libvirtd()
            self._host.start_libvirtd()
            started = datetime.now(UTC)
            wait_for(lambda: self._compute_reported() > started, _COMPUTE_BACK_S,
                     "nova-compute reports again")

    def _compute_reported(self) -> datetime:
        answer = self._admin.request("GET", "/os-services?binary=nova-compute").json()
        return datetime.fromisoformat(answer["services"][0]["updated_at"]).replace(tzinfo=UTC)
