# SPDX-License-Identifier: Apache-2.0
"""What becomes of balancing when something goes wrong, or when the host is calm again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tools.bed.balance.overcommitted import CALM_REPORT_S
from tools.bed.balance.parts import MEMORY_MIB
from tools.bed.balance.site import Site, is_apart
from tools.bed.processes import wait_until

SOON_S, CALM_S, START_S = 60, 180, 240
_POLL_S = 0.5
#: A guest takes so long at most to move its balloon to where it was told last.
_UNDER_WAY_S = 5


def wait(what: Callable[[], bool], seconds: float, why: Callable[[], object]) -> None:
    """Until something is so."""
    assert wait_until(what, seconds, _POLL_S), why()


@contextmanager
def tense(site: Site, available_mib: float) -> Iterator[None]:
    """Guests play their parts without an end meanwhile, with so much memory."""
    site.host.quiet()
    site.host.scarce.leave(available_mib)
    site.host.begin()
    yield
    site.host.quiet()


class Failures:
    """On ``site``, whose guests play on a host that has not enough for all."""

    def test_balloons_stay_when_it_is_killed_and_the_next_one_goes_on(self, site: Site) -> None:
        with site.balancing(mode="on") as agent:
            wait(lambda: site.is_balanced(agent), CALM_S, agent.last)
            agent.kill()
            time.sleep(_UNDER_WAY_S)
            left = site.host.actual_mib()
            time.sleep(15)
            assert site.host.actual_mib() == pytest.approx(left, abs=16)
        with site.balancing(mode="on") as second:
            wait(lambda: second.last()["state"] is not None, START_S, second.last)
            assert second.lines()[0]["state"] in (None, "tense", "short")
            assert sum(site.host.actual_mib().values()) < sum(left.values()) + MEMORY_MIB / 4
            second.kill()
        assert site.periods_s() == {site.options["tense_report_s"]}
        with site.balancing(mode="off"):
            wait(lambda: site.periods_s() == {CALM_REPORT_S}, START_S, site.periods_s)

    def test_a_guest_that_hangs_stops_nobody(self, site: Site) -> None:
        hanging = site.host.parts[0].name
        server, qemu = site.host.guests[hanging].uuid, site.host.libvirt.qemu_pid(hanging)
        with site.balancing(mode="on") as agent:
            wait(lambda: site.is_balanced(agent), CALM_S, agent.last)
            os.kill(qemu, signal.SIGSTOP)
            try:
                moves, looks = agent.last()["moves"], len(agent.lines())
                # its figures get old, or libvirt has none
                wait(lambda: is_apart(agent.last(), server), SOON_S, agent.last)
                wait(lambda: agent.last()["moves"] > moves + 2, 2 * SOON_S, agent.last)
                assert len(agent.lines()) > looks
            finally:
                os.kill(qemu, signal.SIGCONT)
            wait(lambda: not is_apart(agent.last(), server), SOON_S, agent.last)

    def test_a_calm_host_gives_all_back(self, site: Site) -> None:
        with site.balancing(mode="on") as agent:
            wait(lambda: site.is_balanced(agent), CALM_S, agent.last)
        site.host.end()
        with site.balancing(mode="on") as agent:
            wait(lambda: agent.last()["state"] == "calm", 2 * CALM_S, agent.last)
            wait(site.host.is_whole, SOON_S, site.host.actual_mib)
            wait(lambda: site.periods_s() == {CALM_REPORT_S}, SOON_S, site.periods_s)
