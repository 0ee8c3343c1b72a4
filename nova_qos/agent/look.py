# SPDX-License-Identifier: Apache-2.0
"""Reconcile one server: apply its saved settings to the host, as far as possible."""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from oslo_config import cfg
from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.history import History
from nova_qos.agent.hold import Past
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.locks import locked
from nova_qos.agent.outcome import SELDOM_S, SOON_S, Outcome
from nova_qos.agent.records import Record
from nova_qos.agent.roster import Roster
from nova_qos.agent.schedule import Again
from nova_qos.core import desired, errors
from nova_qos.core.balloon import Limits
from nova_qos.core.desired import Target
from nova_qos.core.server import Entries, SavedServer, newer
from nova_qos.core.units import KIB_PER_MIB
from nova_qos.host import Domain, Host, Snapshot
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: nova's name for the task of a server that migrates.
_MIGRATING = "migrating"


@dataclass
class Looker:
    """Looks at the servers of one host; used by many threads.

    ``new_since``: post-create hooks see servers that were launched here after that time
    (s since 1970). ``settled`` are the servers as the check last found them with all in force, and
    ``looked`` tells when they were last looked at (monotonic).
    """

    roster: Roster
    machine: Host
    options: cfg.ConfigOpts
    hooks: Hooks
    history: History
    new_since: float
    settled: dict[str, SavedServer] = field(default_factory=dict)
    looked: dict[str, float] = field(default_factory=dict)

    def limits(self, force: bool = False) -> Limits:
        """How far a guest's memory may be taken."""
        return Limits(self.options.nova_qos.memory_reserve_mib * KIB_PER_MIB, force)

    def look(self, server_uuid: str) -> Again | None:
        """Make the host hold what is saved for one server.

        :returns: why it is to be looked at again; None when nothing is left to do
        """
        with locked(server_uuid):
            try:
                record = self.roster.records.load(server_uuid)
                self._save_owed(record)
                self.roster.note(record.server)
                domain = self.machine.domain(server_uuid)
            except errors.ServerGone:
                self.history.forget(server_uuid)
                self.roster.forget(server_uuid)
                return None
            except errors.ServerNotRunning:
                return None
            except errors.HostAway:
                return Again("away", SOON_S)
            try:
                return self._look_at(record, domain)
            finally:
                self.looked[server_uuid] = time.monotonic()

    def _save_owed(self, record: Record) -> None:
        """Save the marks that are noted of a server, wherever it is now, and whether it runs."""
        names = self.roster.owed.of(record.server.uuid)
        # while nova is at work, they stay noted
        if names and record.server.task is None:
            with suppress(errors.TaskInProgress):
                record.mark(name for name in TABLE if name in names)
                self.roster.owed.settle(record.server.uuid, names)

    def _look_at(self, record: Record, domain: Domain) -> Again | None:
        server = self.roster.wanted(record)
        if self._is_arriving(server):
            # mostly before its guest runs; nova is still writing its record, so that stays as it is
            self._hold(server, domain, desired.requested(TABLE, server))
            return Again("arriving", SOON_S)
        # never into a running task
        if server.task is not None or server.host != self.roster.host:
            return Again("busy", SOON_S)
        if self.is_new(record):
            record.request_for_new(
                self.hooks.settings(record.new_server(), domain, server.own)
                if record.is_first_launch else {})
        return self._converge(record, domain)

    def _converge(self, record: Record, domain: Domain) -> Again | None:
        record.mend()
        record.mark(desired.to_mark(TABLE, self.roster.wanted(record)))
        server = self.roster.wanted(record)
        due = desired.due(TABLE, server)
        again = self._hold(server, domain, due.targets)
        if due.to_reset and again is None:
            record.forget(due.to_reset)
        return again

    def follow(self, server: SavedServer, targets: Mapping[str, Target]) -> bool:
        """Make the host hold what an edit of policies changes of a server; used under its lock.

        :returns: whether it holds all of that now
        :raises ServerNotRunning, HostAway: there is nothing to write to
        """
        outcomes = self._outcomes(
            server, self.machine.domain(server.uuid), targets, self.limits())
        return all(each.again_s is None and each.reading.unmet is None
                   for each in outcomes.values())

    def converge(
        self, server: SavedServer, names: Iterable[str], limits: Limits
    ) -> dict[str, Outcome]:
        """Make the host hold what is requested of these resources, or their defaults, as far as it
        can; used under the server's lock.

        :param limits: how far whoever asks for this takes the guest's memory
        :raises ServerNotRunning, HostAway: there is nothing to write to
        """
        targets = desired.resolve(TABLE, server)
        return self._outcomes(server, self.machine.domain(server.uuid),
                              {name: targets[name] for name in names}, limits)

    def _outcomes(
        self, server: SavedServer, domain: Domain, wanted: Mapping[str, Target], limits: Limits
    ) -> dict[str, Outcome]:
        wanted = {name: each for name, each in wanted.items() if not each.balanced}
        targets = {name: target.host_value for name, target in
                   hold.at_host(domain, wanted, server.flavor).items()}
        past = Past(self.history, server.uuid, self.options.nova_qos.drift == "correct")
        # a guest on its way back is asked again and again: that is one correction
        followed = {name for name, target in targets.items()
                    if (self.history.followed(server.uuid, name) or (None,))[0] == target}
        outcomes = hold.hold(domain, targets, limits, past)
        for name, outcome in outcomes.items():
            if outcome.written and name not in followed and (
                    self.history.was_in_force(server.uuid, name, targets[name])):
                self.history.counts.corrected(name)
        hold.record(self.history, server.uuid, targets, outcomes, {
            name for name, each in wanted.items() if each.source.kind == "policy"})
        return outcomes

    def balance(self, server_uuid: str) -> None:
        """Make the host hold what its balancer gives a server; one whose lock is held is left for
        the next time.

        The balancer knows what the guest uses, and tells it another size every few seconds: that
        passes no guard, and is no drift.

        :raises QosError: it could not be done
        """
        with suppress(errors.AgentAway), locked(server_uuid, time.monotonic()):
            server = self.roster.known(server_uuid)
            if server is None:
                return
            resolved = desired.resolve(TABLE, server)
            domain = self.machine.domain(server_uuid)
            targets = {name: hold.given(domain, TABLE[name], resolved[name], value, self.limits())
                       for name, value in server.balanced.items() if value is not None}
            outcomes = hold.hold(domain, targets, self.limits(force=True))
            for outcome in outcomes.values():
                if outcome.error is not None:
                    raise outcome.error

    def _hold(
        self, server: SavedServer, domain: Domain, wanted: Mapping[str, Target]
    ) -> Again | None:
        outcomes = self._outcomes(server, domain, wanted, self.limits())
        for name, outcome in outcomes.items():
            if outcome.written and outcome.reading.unmet is None:
                LOG.info("Applied %s again to server %s", name, server.uuid)
        due = [(outcome.again_s, str(outcome.reading.unmet)) for outcome in outcomes.values()
               if outcome.again_s is not None]
        if not due:
            return None
        longest_s, why = min(due)
        # a guest may boot for minutes, or never have a driver
        return Again(why, longest_s, SELDOM_S if why == "pending" else 0.0)

    def undo(self, server_uuid: str, entries: Entries) -> None:
        """Take a set back that was carried out but not saved, whatever nova does with the server:
        the host gets what is saved, or its defaults. Where it raises, the next check tries again.

        :raises QosError: libvirt does not answer
        """
        with locked(server_uuid), ExitStack() as again:
            self.roster.accepted.drop(server_uuid, entries)
            again.callback(self.roster.accepted.add, server_uuid, entries, for_s=0)
            # what was not saved is gone with the domain
            with suppress(errors.ServerGone, errors.ServerNotRunning):
                record = self.roster.records.load(server_uuid)
                self.roster.update(record.server)
                server = self.roster.wanted(record)
                unsaved = newer(entries, server.entries)
                targets = desired.resolve(TABLE, server)
                # beside a policy stands what it has changed
                self._hold(server, self.machine.domain(server_uuid),
                           {name: targets[name] for name in unsaved if name in targets})
            again.pop_all()

    def restore(self, server_uuid: str, names: Iterable[str]) -> None:
        """Make the host hold what is saved of these resources, or their defaults, whatever nova
        does with the server.

        :raises QosError: libvirt does not answer
        """
        with locked(server_uuid), suppress(errors.ServerGone, errors.ServerNotRunning):
            server = self.roster.wanted(self.roster.records.load(server_uuid))
            targets = desired.resolve(TABLE, server)
            self._hold(server, self.machine.domain(server_uuid),
                       {name: targets[name] for name in names if name in targets})

    def retain(self, server_uuids: Collection[str]) -> None:
        """Drop what the check found of all other servers."""
        for found in (self.settled, self.looked):
            for server_uuid in set(found).difference(server_uuids):
                found.pop(server_uuid, None)

    def watched(self, record: Record) -> set[str]:
        """The resources that the host is to hold a value of ours for, or to be reset."""
        return set(desired.due(TABLE, self.roster.wanted(record)).targets)

    def check(self, record: Record, seen: Snapshot) -> bool:
        """Whether a snapshot shows that no look at a server is due: its saved settings are in
        force, or wait for its guest, of which nothing new is to be seen since the last check.

        Records those in force, so that a later change counts as drift. Changes nothing else,
        because the snapshot may be older than the saved settings.
        """
        server = self.roster.wanted(record)
        if self.is_new(record):
            return False
        due = desired.due(TABLE, server)
        targets, stale = due.targets, due.to_reset
        if due.to_mark:
            return False
        try:
            readings = hold.read(seen.domain(server.uuid), targets)
        except errors.ServerNotRunning:
            return True
        except errors.QosError:
            return not targets
        held = {name for name, target in targets.items()
                if TABLE[name].knob is None or readings[name].holds(target.host_value)}
        for name in held:
            self.history.found(server.uuid, name, targets[name].host_value)
        waiting = [self.history.waits(server.uuid, name, target.host_value, readings[name])
                   for name, target in targets.items() if name not in held]
        if not waiting and not stale:
            self.settled[server.uuid] = server
        return all(waiting) and not held & stale.keys()

    def is_new(self, record: Record) -> bool:
        """Whether it is to be decided whether post-create hooks see the server."""
        return bool(self.hooks) and record.is_new(self.roster.host, self.new_since)

    def _is_arriving(self, server: SavedServer) -> bool:
        """Whether the server is migrating to this host: nova's record still names the source."""
        return server.host != self.roster.host and server.task == _MIGRATING
