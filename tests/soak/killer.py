# SPDX-License-Identifier: Apache-2.0
"""Who kills the agent and libvirtd, and starts them again."""

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.cloud.api import Person, wait_for
from tests.cloud.host import Observer
from tests.soak.calm import Calm

#: nova-compute's start and its first report.
_COMPUTE_BACK_S = 60


class Killer:
    """Counts what it does."""

    def __init__(
        self, admin: Person, host: Observer, calm: Calm, choose: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self._admin, self._host, self._calm = admin, host, calm
        self._choose, self._say = choose, say
        self.agent_kills = self.libvirtd_kills = 0

    def strike(self) -> None:
        """Wait a little, kill one of them, and let it come back."""
        time.sleep(self._choose.uniform(2, 12))
        away_s = self._choose.choice((0.0, 0.5, 4.0))
        # whoever was killed less often is the likelier one: a short soak is to see both
        likely = 0.8 if self.agent_kills <= self.libvirtd_kills else 0.2
        if self._choose.random() < likely:
            self._kill_agent(away_s)
        else:
            self._kill_libvirtd(self._choose.choice((signal.SIGKILL, signal.SIGTERM)), away_s)

    def _kill_agent(self, away_s: float) -> None:
        self._say(f"kill -9 of the agent, back after {away_s} s")
        self.agent_kills += 1
        self._host.kill_agent()
        time.sleep(away_s)
        self._host.start_agent()

    def _kill_libvirtd(self, number: signal.Signals, away_s: float) -> None:
        # nova-compute would not survive it within an operation, and loses what it is asked
        # to do while it starts; sets go on meanwhile
        with self._calm.kept():
            self._say(f"{number.name} to libvirtd, back after {away_s} s")
            self.libvirtd_kills += 1
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
