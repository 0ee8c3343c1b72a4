# SPDX-License-Identifier: Apache-2.0
"""Everything that starts a reconciliation: events, the periodic check, and the threads.

Events, the agent's start and the check only put servers on a schedule; workers take them from it
and reconcile them. A separate thread tidies what the servers of a host share.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import SystemRandom

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.edits import Edits
from nova_qos.agent.look import Looker
from nova_qos.agent.pace import Pace
from nova_qos.agent.records import Record
from nova_qos.agent.schedule import Again, Schedule
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors
from nova_qos.core.server import newer
from nova_qos.host import Change, Floating

LOG = log.getLogger(__name__)
_WORKERS = 4
#: Pause (s) after an unexpected error, and before a failed check is repeated.
_RETRY_S = 5.0
#: The longest time (s) for which drift of what the servers share stays uncorrected.
_TIDY_S = 10.0
#: Looks at single servers come first after an event, since they need the same locks; but only for
#: so long, since packets of a re-created tap stay unmarked until the next tidy.
_GIVE_WAY_S = 1.0
#: When (s) the looks come that follow an edit of policies: first all servers get what it changes.
_AFTER_EDIT_S = (5.0, 60.0)
_RANDOM = SystemRandom()
#: What stands on the schedule for tidying, which is for all servers together.
_ALL = "all"


class Loop:
    """Watches the servers of one host, on threads of its own."""

    def __init__(
        self, looker: Looker, options: cfg.ConfigOpts, unfinished: Unfinished
    ) -> None:
        self._looker = looker
        self._unfinished = unfinished
        self._edits = Edits(looker)
        self._options = options
        self._schedule, self._tidying, self._settling = Schedule(), Schedule(), Schedule()
        self._pace = Pace()
        self._check_now = threading.Event()
        self._stopped = threading.Event()
        self._complaint: str | None = None
        #: Domains that the last check found running, and nova has nowhere or elsewhere.
        self._strangers: frozenset[str] = frozenset()
        #: None until the first check knows them.
        self._floating: Floating | None = None
        self._threads: list[threading.Thread] = []
        #: Called at the end of each check, when the servers of the host are known anew.
        self.after_check: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to watch."""
        check_s = self._options.nova_qos.check_interval
        works: dict[str, Callable[[], None]] = {
            f"qos-look-{number}": self._work for number in range(_WORKERS)}
        works["qos-check"] = lambda: self._repeat(self._check, self._check_now, check_s)
        works["qos-tidy"] = self._keep_tidy
        works["qos-settle"] = self._keep_settled
        self._tidying.put(_ALL)
        self._threads = [threading.Thread(target=work, name=name, daemon=True)
                         for name, work in works.items()]
        for thread in self._threads:
            thread.start()
        self._looker.machine.watch(self.happened)

    def stop(self) -> None:
        """Let the threads end; what is being applied is finished."""
        self._stopped.set()
        self._check_now.set()
        self._tidying.close()
        self._settling.close()
        self._schedule.close()
        for thread in self._threads:
            thread.join(_RETRY_S)

    def happened(self, server_uuid: str | None, change: Change) -> None:
        """Take note of an event on the host; returns at once."""
        if change != "changed":
            # it takes part in what the host divides by weight, or takes part no more
            self._settling.put(_ALL)
        if server_uuid is None:
            self._tidying.put(_ALL, _GIVE_WAY_S)
            self._check_now.set()
            return
        if change == "started":
            self._looker.history.restarted(server_uuid)
        if change == "ended":
            self._pace.forget(server_uuid)
            self._tidying.put(_ALL, _GIVE_WAY_S)
            return
        self._edits.drop(server_uuid)
        delay_s = self._pace.delay_s(server_uuid)
        if delay_s is not None:
            self._tidying.put(_ALL, max(delay_s, _GIVE_WAY_S))
            self._schedule.put_afresh(server_uuid, delay_s)

    def put(self, server_uuid: str) -> None:
        """Have a server looked at now."""
        self._edits.drop(server_uuid)
        self._schedule.put_afresh(server_uuid)

    def check_soon(self) -> None:
        """Have all servers checked now."""
        self._check_now.set()

    def _check(self) -> None:
        self.check()
        with self._surviving("judge the state of the host"):
            self.after_check()

    def check(self) -> None:
        """Put every server that does not hold what is saved for it on the schedule.

        :raises HostAway: libvirt does not answer
        """
        loaded_at = time.monotonic()
        records = self._looker.roster.records.on_host(self._looker.roster.host)
        uuids = {record.server.uuid for record in records}
        self._follow({record.server.uuid: record.floating_ips for record in records})
        self._looker.history.retain(uuids)
        self._pace.retain(uuids)
        self._looker.retain(uuids)
        self._looker.roster.remember(records)
        named = {name for record in records for name in self._looker.watched(record)}
        seen = self._looker.machine.snapshot(hold.knobs(named))
        overdue = self._looker.roster.accepted.overdue()
        self._finish()
        behind: list[Record] = []
        for record in records:
            unsaved = newer(overdue.get(record.server.uuid, {}), record.server.entries)
            if unsaved:
                with self._surviving(f"take back what was not saved of {record.server.uuid}"):
                    self._looker.undo(record.server.uuid, unsaved)
                self._schedule.put(record.server.uuid)
            elif not self._looker.check(record, seen):
                behind.append(record)
        self._catch_up(behind, loaded_at)
        self._meet(frozenset(seen.running) - uuids)

    def _meet(self, strangers: frozenset[str]) -> None:
        """Have domains looked at that are new here. Nova may be about to have them on this host,
        while the event that told so came before the agent did."""
        for server_uuid in strangers - self._strangers:
            self._schedule.put(server_uuid)
        self._strangers = strangers

    def _catch_up(self, behind: Sequence[Record], loaded_at: float) -> None:
        # those first that wait for an edit of policies alone: the others take much longer
        taken = self._edits.take(behind, loaded_at)
        others = [uuid for record in behind if (uuid := record.server.uuid) not in set(taken)]
        for server_uuid in [*taken, *others, *self._looker.roster.owed.overdue()]:
            self._schedule.put(server_uuid)

    def _finish(self) -> None:
        # whatever the agent's directory lies on, the check of the servers goes on
        with self._surviving("look for changes together that are unfinished"):
            for path, servers in self._unfinished.due().items():
                with self._surviving(f"finish a change of {', '.join(servers)} together"):
                    for server_uuid, names in servers.items():
                        self._looker.restore(server_uuid, names)
                    self._unfinished.end(path)

    def _follow(self, floating: Floating) -> None:
        if floating != self._floating:
            self._floating = floating
            self._tidying.put(_ALL)

    def _work(self) -> None:
        while (server_uuid := self._schedule.take()) is not None:
            again: Again | None = Again("failed", _RETRY_S)
            with self._surviving(f"look after server {server_uuid}"):
                if self._edits.follow(server_uuid):
                    self._schedule.put(server_uuid, _RANDOM.uniform(*_AFTER_EDIT_S))
                    again = None
                else:
                    again = self._looker.look(server_uuid)
            self._schedule.put_back(server_uuid, again)

    def _keep_tidy(self) -> None:
        while self._tidying.take() is not None:
            with self._surviving("tidy what the host's servers share"):
                self._tidy()
            self._tidying.put(_ALL, _TIDY_S)

    def _keep_settled(self) -> None:
        while self._settling.take() is not None:
            with self._surviving("adapt what the host's servers are guaranteed"):
                self._looker.machine.settle()

    def _repeat(self, work: Callable[[], None], now: threading.Event, pause_s: float) -> None:
        while not self._stopped.is_set():
            now.clear()
            until_next_s = min(pause_s, _RETRY_S)
            with self._surviving("look after the host's servers"):
                work()
                until_next_s = pause_s
            now.wait(until_next_s)

    @contextmanager
    def _surviving(self, what: str) -> Iterator[None]:
        """Log every error, so that the thread keeps running."""
        try:
            yield
        except (errors.QosError, messaging.MessagingException) as error:
            # libvirt or nova-conductor is away: both come back
            LOG.warning("Could not %s: %s", what, error)
        except Exception:
            LOG.exception("Could not %s", what)

    def _tidy(self) -> None:
        complaint = None
        try:
            self._looker.machine.tidy(
                self._options.nova_qos.drift == "correct", self._floating)
        except errors.QosError as error:
            complaint = error.message
        # a host that cannot would fill the log
        if complaint and complaint != self._complaint:
            LOG.warning("Could not update the network: %s", complaint)
        self._complaint = complaint
