# SPDX-License-Identifier: Apache-2.0
"""Reconcile one server: apply its saved settings to the host, as far as possible."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from oslo_config import cfg
from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.accepted import Accepted
from nova_qos.agent.history import History
from nova_qos.agent.hold import Past
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.locks import locked
from nova_qos.agent.outcome import SELDOM_S, SOON_S, Outcome
from nova_qos.agent.records import Record, Records
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
    (s since 1970). ``assigned`` fills in what the policies of a server come to.
    """

    host: str
    machine: Host
    records: Records
    options: cfg.ConfigOpts
    hooks: Hooks
    history: History
    accepted: Accepted
    new_since: float
    assigned: Callable[[SavedServer], SavedServer] = lambda server: server

    def limits(self, force: bool = False) -> Limits:
        """How far a guest's memory may be taken."""
        return Limits(self.options.nova_qos.memory_reserve_mib * KIB_PER_MIB, force)

    def look(self, server_uuid: str) -> Again | None:
        """Make the host hold what is saved for one server.

        :returns: why it is to be looked at again; None when nothing is left to do
        """
        with locked(server_uuid):
            try:
                record = self.records.load(server_uuid)
                domain = self.machine.domain(server_uuid)
            except errors.ServerGone:
                self.history.forget(server_uuid)
                return None
            except errors.ServerNotRunning:
                return None
            except errors.HostAway:
                return Again("away", SOON_S)
            return self._look_at(record, domain)

    def _look_at(self, record: Record, domain: Domain) -> Again | None:
        server = self._wanted(record)
        if self._is_arriving(server):
            # mostly before its guest runs; nova is still writing its record, so that stays as it is
            self._hold(server, domain, desired.requested(TABLE, server))
            return Again("arriving", SOON_S)
        # never into a running task
        if server.task is not None or server.host != self.host:
            return Again("busy", SOON_S)
        if self.is_new(record):
            record.request_for_new(
                self.hooks.settings(record.new_server(), domain, server.own)
                if record.is_first_launch else {})
        return self._converge(record, domain)

    def _converge(self, record: Record, domain: Domain) -> Again | None:
        record.mend()
        record.mark(desired.to_mark(TABLE, self._wanted(record)))
        server = self._wanted(record)
        stale = desired.to_reset(TABLE, server)
        again = self._hold(server, domain, {**stale, **desired.requested(TABLE, server)})
        if stale and again is None:
            record.forget(stale)
        return again

    def converge(self, server: SavedServer, names: Iterable[str]) -> dict[str, Outcome]:
        """Make the host hold what is requested of these resources, or their defaults, as far as it
        can; used under the server's lock.

        :raises ServerNotRunning, HostAway: there is nothing to write to
        """
        targets = desired.resolve(TABLE, server)
        return self._outcomes(server, self.machine.domain(server.uuid),
                              {name: targets[name] for name in names})

    def _outcomes(
        self, server: SavedServer, domain: Domain, wanted: Mapping[str, Target]
    ) -> dict[str, Outcome]:
        targets = {name: target.host_value for name, target in
                   hold.at_host(domain, wanted, server.flavor).items()}
        past = Past(self.history, server.uuid, self.options.nova_qos.drift == "correct")
        outcomes = hold.hold(domain, targets, self.limits(), past)
        hold.record(self.history, server.uuid, targets, outcomes)
        return outcomes

    def _hold(
        self, server: SavedServer, domain: Domain, wanted: Mapping[str, Target]
    ) -> Again | None:
        outcomes = self._outcomes(server, domain, wanted)
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
            self.accepted.drop(server_uuid, entries)
            again.callback(self.accepted.add, server_uuid, entries, for_s=0)
            # what was not saved is gone with the domain
            with suppress(errors.ServerGone, errors.ServerNotRunning):
                server = self._wanted(self.records.load(server_uuid))
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
            server = self._wanted(self.records.load(server_uuid))
            targets = desired.resolve(TABLE, server)
            self._hold(server, self.machine.domain(server_uuid),
                       {name: targets[name] for name in names if name in targets})

    def watched(self, record: Record) -> set[str]:
        """The resources that the host is to hold a value of ours for, or to be reset."""
        server = self._wanted(record)
        return {*desired.requested(TABLE, server), *desired.to_reset(TABLE, server)}

    def check(self, record: Record, seen: Snapshot) -> bool:
        """Whether a snapshot shows that no look at a server is due: its saved settings are in
        force, or wait for its guest, of which nothing new is to be seen since the last check.

        Records those in force, so that a later change counts as drift. Changes nothing else,
        because the snapshot may be older than the saved settings.
        """
        server = self._wanted(record)
        if self.is_new(record):
            return False
        stale = desired.to_reset(TABLE, server)
        targets = {**stale, **desired.requested(TABLE, server)}
        if not targets:
            return True
        if desired.to_mark(TABLE, server):
            return False
        try:
            readings = hold.read(seen.domain(server.uuid), targets)
        except errors.ServerNotRunning:
            return True
        except errors.QosError:
            return False
        held = {name for name, target in targets.items()
                if TABLE[name].knob is None or readings[name].holds(target.host_value)}
        for name in held:
            self.history.found(server.uuid, name, targets[name].host_value)
        waiting = [self.history.waits(server.uuid, name, target.host_value, readings[name])
                   for name, target in targets.items() if name not in held]
        return all(waiting) and not held & stale.keys()

    def _wanted(self, record: Record) -> SavedServer:
        """The server with what it is to have: what is saved, and what is about to be."""
        return self.assigned(self.accepted.newest(record.server))

    def is_new(self, record: Record) -> bool:
        """Whether it is to be decided whether post-create hooks see the server."""
        return bool(self.hooks) and record.is_new(self.host, self.new_since)

    def _is_arriving(self, server: SavedServer) -> bool:
        """Whether the server is migrating to this host: nova's record still names the source."""
        return server.host != self.host and server.task == _MIGRATING
