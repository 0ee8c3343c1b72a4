# SPDX-License-Identifier: Apache-2.0
"""Balancing at work: looks at the host, asks the planner, and has servers held to its plan.

It writes no balloon itself: what it gives is a source of the resolver (``given``), and the agent's
``Looker`` makes the host hold what that comes to.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log

from nova_qos.agent.balance.account import Account, Mode
from nova_qos.agent.balance.errands import Errands
from nova_qos.agent.balance.given import Gift, Given
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.merging import Merging
from nova_qos.agent.balance.plan import Plan, Planner
from nova_qos.agent.balance.sight import Seen, Sight
from nova_qos.agent.balance.thresholds import Thresholds
from nova_qos.core.errors import HostRefused, QosError
from nova_qos.core.guest import Guest
from nova_qos.core.server import SavedServer
from nova_qos.host_memory import HostMemory

LOG = log.getLogger(__name__)
_SECOND_S = 1.0
#: How old nova's word may be on which servers it is at work on.
_BUSY_S = 10.0
#: Pause before libvirt is asked again that could not be.
_AGAIN_S = 10.0


class Balancer:
    """Balances the memory of one host's servers, on threads of its own."""

    def __init__(
        self, memory: HostMemory, options: cfg.ConfigOpts.GroupAttr, thresholds: Thresholds,
        servers: Callable[[], Mapping[str, SavedServer]], busy: Callable[[], Collection[str]],
        hold: Callable[[str], None], released: Callable[[], None],
    ) -> None:
        """
        :param options: the section nova_qos_balance
        :param servers: the servers of the host by uuid, with all that is to be known of them
        :param busy: those that nova is at work on
        :param hold: makes the host hold what a server gets
        :param released: is called when the host is calm, and the balancer gives nothing more
        """
        mode: Mode = options.mode
        self._memory, self._mode, self._thresholds = memory, mode, thresholds
        self._merging = Merging(
            memory.ksm, thresholds, mode == "on" and options.ksm == "adaptive")
        self._servers, self._ask_busy, self._hold, self._released = servers, busy, hold, released
        self._planner, self._sight, self._errands = Planner(thresholds), Sight(), Errands()
        self.given = Given(mode == "on")
        self.account = Account(mode)
        self._moves = 0
        self._complaint: str | None = None
        self._busy: Collection[str] = ()
        self._busy_s = float("-inf")
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
    def start(self) -> None:
        """Begin to balance. Where the host can be read now, what its balloons hold is known when
        this returns."""
        if self._mode != "off":
            self._second()
        self._thread = threading.Thread(target=self._run, name="qos-balance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell guests nothing more; balloons stay as they are."""
        self._stopped.set()
        self._errands.stop()

    def _run(self) -> None:
        if self._mode == "off":
            # an earlier agent may have been killed while it balanced
            while not self._put_back_periods() and not self._stopped.wait(_AGAIN_S):
                pass
            return
        while not self._stopped.wait(_SECOND_S):
            self._second()

    def _put_back_periods(self) -> bool:
        """Have all guests report as seldom as nova asks for; says whether they do so already."""
        calm_s, tense_s = self._thresholds.calm_report_s, self._thresholds.tense_report_s
        try:
            guests = self._memory.guests()
        except QosError:
            return False
        self._set_periods(guests, calm_s)
        # one that does not answer now may report too often, too
        return not any(
            isinstance(guest, HostRefused)
            or (isinstance(guest, Guest) and guest.period_s == tense_s != calm_s)
            for guest in guests.values())

    def _second(self) -> None:
        complaint: str | None = None
        try:
            self._balance()
        except (QosError, messaging.MessagingException) as error:
            # balloons stay as they are
            complaint = str(error)
        except Exception:
            LOG.exception("Could not balance the memory of servers")
            return
        if complaint and complaint != self._complaint:
            LOG.warning("The memory of servers is not balanced now: %s", complaint)
        self._complaint = complaint

    def _balance(self) -> None:
        now_s, now = time.monotonic(), self._memory.now()
        host = HostNow(now.memory_mib, now.available_mib, now.pressure)
        if not self._planner.watch(now_s, host):
            return
        self._merging.follow(now_s, self._planner.state == "tense", now.memory_mib)
        guests = self._memory.guests()
        seen = self._sight.see(self._servers(), guests, self._busy_now(), self.given)
        plan = self._planner.look(now_s, host, seen.managed)
        if self._mode == "on":
            self._give(plan, seen, guests)
        self._set_periods(
            {uuid: guests[uuid] for uuid in seen.managed},
            self._planner.report_period_s if self._mode == "on" else self._thresholds.calm_report_s)
        self._tell(plan, seen)

    def _give(self, plan: Plan, seen: Seen, running: Collection[str]) -> None:
        if self._planner.state == "calm":
            if self.given.clear():
                self._released()
            return
        # those that are not managed for the moment go on with what they have
        kept = {uuid: gift for uuid in seen.waiting if (gift := self.given.of(uuid)) is not None}
        self.given.replace(kept | {
            uuid: Gift(round(plan.targets_mib.get(uuid, guest.target_mib)),
                       plan.standings[uuid].why, seen.bounds[uuid].most_mib,
                       seen.bounds[uuid].flavor_mib)
            for uuid, guest in seen.managed.items()}, set(running).difference(seen.waiting))
        for uuid in plan.targets_mib:
            self._errands.begin(uuid, f"balance server {uuid}", self._moving(uuid))

    def _moving(self, server_uuid: str) -> Callable[[], None]:
        def move() -> None:
            self._hold(server_uuid)
            self._moves += 1

        return move

    def _set_periods(self, guests: Mapping[str, Guest | QosError], period_s: int) -> None:
        """Have guests report as often as that: those that do so as often as nova asks for, or as we
        do; what others have set stays."""
        ours = {self._thresholds.calm_report_s, self._thresholds.tense_report_s}
        for uuid, guest in guests.items():
            if isinstance(guest, Guest) and guest.period_s in ours - {period_s}:
                self._errands.begin(
                    f"reports of {uuid}", f"have server {uuid} report each {period_s} s",
                    self._asking_for_reports(uuid, period_s))

    def _asking_for_reports(self, server_uuid: str, period_s: int) -> Callable[[], None]:
        return lambda: self._memory.set_report_period(server_uuid, period_s)

    def _busy_now(self) -> Collection[str]:
        """The servers that nova was at work on a moment ago; it is not waited for."""
        now_s = time.monotonic()
        if self._planner.state == "tense" and now_s - self._busy_s > _BUSY_S:
            self._busy_s = now_s
            self._errands.begin("nova", "ask nova what it is at work on", self._learn_busy)
        return self._busy

    def _learn_busy(self) -> None:
        self._busy = self._ask_busy()

    def _tell(self, plan: Plan, seen: Seen) -> None:
        before, since_s = self.account.state, self.account.since_s
        if plan.state != before:
            since_s = time.time()
            if before is not None or plan.state != "calm":
                LOG.log(log.WARNING if plan.state == "short" else log.INFO,
                        "The memory of the host is %s: %s", plan.state,
                        "; ".join(plan.reasons) or "all servers have what they may have")
        self.account = Account(
            self._mode, plan.state, since_s, tuple(plan.reasons), plan.room_mib, plan.standings,
            seen.unmanaged, self._moves)
