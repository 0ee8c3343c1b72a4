# SPDX-License-Identifier: Apache-2.0
"""Keeping what was asked for: whatever happens to a server, one function makes it hold again.

Events, the start of the agent and the periodic check only put servers on a schedule; workers take
them from there, load what is saved, and make the host agree with it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import oslo_messaging as messaging
from nova import context as nova_context
from nova.compute import task_states
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_log import log

from nova_qos import errors, store
from nova_qos.agent.holder import SOON_S, Holder
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.schedule import Schedule
from nova_qos.agent.standing import Standings
from nova_qos.model import Change, Host

LOG = log.getLogger(__name__)
_WORKERS = 4
#: How soon what the servers share is put right when somebody else has changed it.
_TIDY_SECONDS = 10.0
#: What happens to a server is seen to first, since both need the same locks; not longer, since
#: only tidying marks the packets of a device that has been made anew.
_GIVE_WAY_S = 1.0
_FIRST_DELAY_S = 0.25


def lock_of(server_uuid: str) -> str:
    """The name of the lock under which a server's settings are saved and applied."""
    return f"nova-qos-{server_uuid}"


class Keeper:
    """Watches the servers of one host, on threads of its own."""

    def __init__(
        self, host: str, machine: Host, options: cfg.ConfigOpts, hooks: Hooks
    ) -> None:
        self.standings = Standings()
        self._holder = Holder(options, self.standings)
        self._host = host
        self._machine = machine
        self._options = options
        self._hooks = hooks
        self._schedule = Schedule()
        self._lock = threading.Lock()
        #: The longest pause, and how many there were already.
        self._attempts: dict[str, tuple[float, int]] = {}
        self._all_at_once = threading.Event()
        self._shared = threading.Event()
        self._stopped = threading.Event()
        self._complaint: str | None = None
        self._threads: list[threading.Thread] = []
        self._new_since: float = time.time()

    def start(self, new_since: float) -> None:
        """Begin to watch.

        :param new_since: servers launched here after that time (s since 1970) are new
        """
        self._new_since = new_since
        options = self._options.nova_qos
        works: list[Callable[[], None]] = [self._work] * _WORKERS
        works += [
            lambda: self._repeat(self._check, self._all_at_once, options.check_interval),
            lambda: self._repeat(self._tidy, self._shared, _TIDY_SECONDS, _GIVE_WAY_S),
        ]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()
        self._machine.watch(self.happened)

    def stop(self) -> None:
        """Let the threads end; what is being applied is finished."""
        self._stopped.set()
        self._all_at_once.set()
        self._shared.set()
        self._schedule.close()
        for thread in self._threads:
            thread.join(SOON_S)

    def happened(self, server_uuid: str | None, change: Change) -> None:
        """What the host tells of its servers; returns at once."""
        self._shared.set()
        if server_uuid is None:
            self._all_at_once.set()
            return
        if change == "started":
            self.standings.restarted(server_uuid)
        if change != "ended":
            self.put(server_uuid)

    def put(self, server_uuid: str) -> None:
        """Have a server looked at now."""
        with self._lock:
            self._attempts.pop(server_uuid, None)
        self._schedule.put(server_uuid)

    def _work(self) -> None:
        while (server_uuid := self._schedule.take()) is not None:
            pause_s: float | None = SOON_S
            with self._outliving_everything(f"look after server {server_uuid}"):
                pause_s = self.look(server_uuid)
            if pause_s is None:
                self._attempts.pop(server_uuid, None)
            else:
                self._again(server_uuid, pause_s)

    def _repeat(
        self, work: Callable[[], None], early: threading.Event, pause_s: float,
        give_way_s: float = 0.0,
    ) -> None:
        while not self._stopped.is_set():
            early.clear()
            until_next_s = min(pause_s, SOON_S)
            with self._outliving_everything("look after the host's servers"):
                work()
                until_next_s = pause_s
            if early.wait(until_next_s):
                self._stopped.wait(give_way_s)

    @contextmanager
    def _outliving_everything(self, what: str) -> Iterator[None]:
        """A thread that ended would take what it keeps with it."""
        try:
            yield
        except (errors.QosError, messaging.MessagingException) as error:
            # libvirt or nova-conductor is away: both come back
            LOG.warning("Could not %s: %s", what, error)
        except Exception:
            LOG.exception("Could not %s", what)

    def _again(self, server_uuid: str, longest_s: float) -> None:
        with self._lock:
            before_s, attempt = self._attempts.get(server_uuid, (longest_s, 0))
            if before_s != longest_s:
                # another hindrance: the time spent on the one before says nothing about it
                attempt = 0
            self._attempts[server_uuid] = longest_s, attempt + 1
        self._schedule.put(server_uuid, min(_FIRST_DELAY_S * 2.0**min(attempt, 20), longest_s))

    def _check(self) -> None:
        """Look at every server that does not hold what was asked for."""
        instances = store.on_host(nova_context.get_admin_context(), self._host)
        self.standings.retain({instance.uuid for instance in instances})
        for instance in instances:
            if not self._is_held(instance):
                self._schedule.put(instance.uuid)

    def _is_held(self, instance: store.Instance) -> bool:
        """Whether a server needs no look: what was listed may be older than what was saved since,
        so nothing is changed here."""
        if store.lifted(instance) or self._is_new(instance):
            return False
        if not store.wanted(instance):
            return True
        try:
            return self._holder.is_held(instance, self._machine.domain(instance.uuid))
        except errors.ServerNotRunning:
            return True
        except errors.QosError:
            return False

    def _is_arriving(self, instance: store.Instance) -> bool:
        """Whether the server, if it is here, comes in from another host or runs already; nova,
        which takes its time, still has it there."""
        return bool(
            instance.host != self._host and instance.task_state == task_states.MIGRATING)

    def _is_new(self, instance: store.Instance) -> bool:
        return bool(self._hooks) and store.is_new(instance, self._host, self._new_since)

    def _tidy(self) -> None:
        complaint = None
        try:
            self._machine.tidy(mend=self._options.nova_qos.drift == "correct")
        except errors.QosError as error:
            complaint = error.message
        # a host that cannot would fill the log
        if complaint and complaint != self._complaint:
            LOG.warning("The network is not as it should be: %s", complaint)
        self._complaint = complaint

    def look(self, server_uuid: str) -> float | None:
        """Make the host hold what is saved for one server.

        :returns: the longest time, in seconds, after which it is to be looked at again; None when
            nothing is left to do
        """
        context = nova_context.get_admin_context()
        with lockutils.lock(lock_of(server_uuid)):
            try:
                instance = store.load(context, server_uuid)
                domain = self._machine.domain(server_uuid)
            except errors.ServerGone:
                self.standings.forget(server_uuid)
                return None
            except errors.ServerNotRunning:
                return None
            except errors.HostAway:
                return SOON_S
            if self._is_arriving(instance):
                self._holder.receive(instance, domain)
                return SOON_S
            # never into a running task
            if instance.task_state is not None or instance.host != self._host:
                return SOON_S
            if self._is_new(instance):
                store.save_of_new(instance, self._hooks.settings(store.describe(instance), domain))
            return self._holder.converge(instance, domain)
