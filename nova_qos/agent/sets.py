# SPDX-License-Identifier: Apache-2.0
"""Sets: what a user requests for a server of this host, applied within the time that the API waits.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from oslo_config import cfg
from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.change import Change, changed
from nova_qos.agent.locks import locked
from nova_qos.agent.look import Looker
from nova_qos.agent.outcome import SOON_S, Outcome
from nova_qos.agent.readings import Readings
from nova_qos.bus.wire import Result, SetAnswer, Wish
from nova_qos.core import desired, errors
from nova_qos.core.policy import check_number
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY, SavedServer, next_stamp
from nova_qos.host import Host
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: How long a message, and its answer, may be under way.
_TRANSIT_S = 0.5
_POLL_S = 0.1
#: How long a set waits for a policy that the agent does not know yet.
_SEEK_S = 3.0
#: The name of the lock under which a host is promised more.
PROMISES = "promises"
#: How many servers of one request are changed side by side.
_WORKERS = 4


class Sets:
    """Carries out sets, one server's one after another; used by many threads."""

    def __init__(
        self, machine: Host, options: cfg.ConfigOpts, looker: Looker, readings: Readings,
        later: Callable[[str], None], seek: Callable[[float], None],
    ) -> None:
        """:param later: takes a server that is to be looked at
        :param seek: asks for the policies, for so many seconds at most
        """
        self._machine = machine
        self._options = options
        self._looker = looker
        self._readings = readings
        self._later, self._seek = later, seek

    def answer_by(self, within_s: float | None = None) -> float:
        """Until when (monotonic) the API waits for the answer to what arrives now.

        :param within_s: for how long it says that it waits; None: as long as the agent would
        """
        waits_s = float(self._options.nova_qos.rpc_timeout)
        return time.monotonic() + min(waits_s, within_s or waits_s) - _TRANSIT_S

    def carry_out(
        self, server: SavedServer, settings: Mapping[str, Any], force: bool, answer_by: float,
        names: Iterable[str],
    ) -> SetAnswer:
        """Apply settings, all or none.

        :param names: the resources to answer readings for, beside those of ``settings``
        :raises InvalidSetting: a value is outside its range
        :raises AgentAway: the lock was not free by then
        :raises TooEarly: the guest has yet to report
        """
        self._learn([(server, settings)])
        return self._carry_out(server, settings, force, answer_by, names)

    def _carry_out(
        self, server: SavedServer, settings: Mapping[str, Any], force: bool, answer_by: float,
        names: Iterable[str],
    ) -> SetAnswer:
        try:
            with (locked(server.uuid, answer_by), _weighed(settings, answer_by),
                  self._looker.history.counts.counting(settings.keys() - {POLICY})):
                server = self._looker.roster.newest(server)
                change = self.change(server, settings, force)
                change.carry_out()
                self._follow_policy(change)
                answer = self.answer(change)
                is_late = time.monotonic() > answer_by
                if not is_late:
                    # else the API has given up waiting, and saves the settings by itself
                    self._looker.roster.accept(
                        server.uuid, answer.entries, self._options.nova_qos.rpc_timeout)
        except errors.AgentAway as error:
            # the API saves the settings by itself
            self._later(server.uuid)
            # the other side of the bus knows the names of the tree alone
            raise errors.AgentAway(error.message) from error
        others = self._readings.of_any(
            server.uuid, [each for each in names if each not in answer.readings])
        readings = {**answer.readings, **others}
        if is_late or any(reading.unmet == "pending" for reading in readings.values()):
            self._later(server.uuid)
        return replace(answer, readings=readings)

    def carry_out_each(
        self, wishes: Sequence[Wish], force: bool, answer_by: float
    ) -> dict[str, Result]:
        """Apply the settings of several servers, side by side and each on its own, with readings of
        what was set.

        :returns: by server; AgentAway for one whose turn has not come by then: the API saves its
            settings by itself, and they are applied afterwards
        """
        # once for all of them
        self._learn([(wish.server, wish.settings) for wish in wishes])
        # threads that end with the request: most agents never get another one
        workers = ThreadPoolExecutor(_WORKERS, "qos-set")
        begun = {wish.server.uuid: workers.submit(
            self._carry_out, wish.server, wish.settings, force, answer_by,
            desired.held_together(TABLE, wish.settings.keys() - {POLICY})) for wish in wishes}
        workers.shutdown(wait=False)
        futures.wait(begun.values(), max(0.0, answer_by - time.monotonic()))
        return {uuid: self._result(uuid, future) for uuid, future in begun.items()}

    def _result(self, server_uuid: str, future: "Future[SetAnswer]") -> Result:
        if future.cancel() or not future.done():
            self._later(server_uuid)
            return errors.AgentAway("the agent did not come to this server in time")
        error = future.exception()
        match error:
            case None:
                return future.result()
            case errors.TooEarly():
                return SetAnswer(too_early=error)
            case errors.QosError():
                return error
        LOG.error("Could not set server %s", server_uuid, exc_info=error)
        return errors.HostRefused("the agent failed; its log says why")

    def save_and_wait(
        self, context: Any, server_uuid: str, settings: Mapping[str, Any], force: bool,
        answer_by: float,
    ) -> dict[str, Reading]:
        """What an API before 1.2 wants: the agent saves, and waits for the guest."""
        while True:
            record = self._looker.roster.records.load(server_uuid, context)
            try:
                answer = self.carry_out(record.server, settings, force, answer_by, settings)
                break
            except errors.TooEarly as error:
                if time.monotonic() + _POLL_S > answer_by:
                    # that API does not know the name of this error
                    raise errors.HostRefused(error.message) from error
                time.sleep(_POLL_S)
        try:
            record.save(answer.entries)
        except errors.QosError:
            self._looker.undo(server_uuid, answer.entries)
            raise
        readings, give_up = dict(answer.readings), time.monotonic() + answer.settle_s
        while time.monotonic() < give_up and any(
                readings[name].unmet == "pending" for name in answer.moving):
            time.sleep(_POLL_S)
            readings |= self._readings.of_any(server_uuid, answer.moving)
        return readings

    def change(self, server: SavedServer, settings: Mapping[str, Any], force: bool) -> Change:
        """What is to be carried out under the server's lock.

        :raises InvalidSetting: a value is outside its range
        """
        policy = {POLICY: check_number(settings[POLICY])} if POLICY in settings else {}
        # whether -1 is a setting of its own, or none, the API has decided
        checked = policy | {
            name: TABLE[name].check(value, server.flavor, name, keeps_reset=True)
            for name, value in settings.items() if name != POLICY}
        after = self._looker.roster.assigned(changed(server, checked))
        return Change(
            server, self._machine, checked, self._looker.limits(force is True), after)

    def _learn(self, sets: Iterable[tuple[SavedServer, Mapping[str, Any]]]) -> None:
        """Ask for the policies where one that is set is not known here: it may have been made a
        moment ago."""
        if any(self._is_unknown(server, settings) for server, settings in sets):
            self._seek(_SEEK_S)

    def _is_unknown(self, server: SavedServer, settings: Mapping[str, Any]) -> bool:
        if POLICY not in settings:
            return False
        try:
            after = changed(server, {POLICY: check_number(settings[POLICY])})
        except errors.InvalidSetting:
            # the set says so
            return False
        return self._looker.roster.assigned(after).assigned.missing is not None

    def _follow_policy(self, change: Change) -> None:
        """Apply what another policy comes to, as far as the host can: no part of that is a reason
        against the policy.

        :raises ServerNotRunning, HostAway: nothing at all is to be applied, and could not be either
        """
        names = change.by_policy
        if not names:
            if not change.targets:
                # nothing else has told whether it runs
                self._machine.domain(change.server.uuid)
            return
        try:
            outcomes = self._looker.converge(change.after, names, change.limits)
        except (errors.ServerNotRunning, errors.HostAway) as error:
            outcomes = dict.fromkeys(names, Outcome(Reading.unread(error), SOON_S))
        targets = desired.resolve(TABLE, change.after)
        change.targets |= {name: targets[name] for name in names}
        change.outcomes |= outcomes

    def answer(self, change: Change) -> SetAnswer:
        """The answer to a change that was carried out, which is remembered."""
        server, outcomes = change.server, change.outcomes
        entries = change.entries(next_stamp(server.entries, time.time()))
        written = {name: outcome for name, outcome in outcomes.items()
                   if not change.targets[name].balanced}
        hold.record(self._looker.history, server.uuid, change.host_targets, written, {
            name for name, each in change.targets.items() if each.source.kind == "policy"})
        LOG.info("Set %s on server %s; the host holds %s", change.settings, server.uuid,
                 {name: outcome.reading.applied for name, outcome in outcomes.items()})
        readings = {name: self._readings.observe(server.uuid, name, outcome.reading)
                    for name, outcome in outcomes.items()}
        for name in change.settings.keys() & outcomes.keys():
            self._looker.history.counts.set(
                name, "applied" if outcomes[name].reading.unmet is None else "pending")
        moving = tuple(name for name, each in outcomes.items() if each.follows)
        settle_s = self._options.nova_qos.balloon_timeout if moving else 0.0
        return SetAnswer(readings, moving, settle_s, entries=entries)


def _weighed(settings: Mapping[str, Any], until: float) -> AbstractContextManager[None]:
    """Guarantees one after another: each is weighed against those that all others have."""
    promises = any(value is not None and name in TABLE and TABLE[name].at_most is not None
                   for name, value in settings.items())
    return locked(PROMISES, until) if promises else nullcontext()
