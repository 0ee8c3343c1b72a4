# SPDX-License-Identifier: Apache-2.0
"""Keeping what was asked for: whatever happens to a server, one function makes it hold again.

Events, the start of the agent and the periodic check only put servers on a schedule; workers take
them from there, load what is saved, and make the host agree with it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import oslo_messaging as messaging
from nova import context as nova_context
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_log import log

from nova_qos import errors, store, units
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.schedule import Schedule
from nova_qos.agent.standing import Standings
from nova_qos.model import Change, Domain, Host, Limits
from nova_qos.resources import TABLE, Resource

LOG = log.getLogger(__name__)
_WORKERS = 4
#: How soon what the servers share is put right when somebody else has changed it.
_TIDY_SECONDS = 10.0
_FIRST_DELAY_S = 0.25
#: The longest pauses between two looks: at what comes soon by itself, such as the end of a task or
#: a guest's boot, and at what the guest or the host refuses at present.
_SOON_S, _SELDOM_S = 5.0, 300.0
_DRIFTED = "somebody else has changed it, and [nova_qos] drift says only to report that"


def lock_of(server_uuid: str) -> str:
    """The name of the lock under which a server's settings are saved and applied."""
    return f"nova-qos-{server_uuid}"


class Keeper:
    """Watches the servers of one host, on threads of its own."""

    def __init__(
        self, host: str, machine: Host, options: cfg.ConfigOpts, hooks: Hooks
    ) -> None:
        self.standings = Standings()
        self._host = host
        self._machine = machine
        self._options = options
        self._hooks = hooks
        self._schedule = Schedule()
        self._lock = threading.Lock()
        self._attempts: dict[str, int] = {}
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
            lambda: self._repeat(self._tidy, self._shared, _TIDY_SECONDS),
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
            thread.join(_SOON_S)

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
            pause_s: float | None = _SOON_S
            with self._outliving_everything(f"look after server {server_uuid}"):
                pause_s = self.look(server_uuid)
            if pause_s is None:
                self._attempts.pop(server_uuid, None)
            else:
                self._again(server_uuid, pause_s)

    def _repeat(self, work: Callable[[], None], early: threading.Event, pause_s: float) -> None:
        while not self._stopped.is_set():
            early.clear()
            until_next_s = min(pause_s, _SOON_S)
            with self._outliving_everything("look after the host's servers"):
                work()
                until_next_s = pause_s
            early.wait(until_next_s)

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
            attempt = self._attempts.get(server_uuid, 0)
            self._attempts[server_uuid] = attempt + 1
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
        requested = store.requested(instance)
        if not requested:
            return True
        try:
            domain = self._machine.domain(instance.uuid)
            for row, target in _targets(instance, requested):
                if row.read(domain).applied != target:
                    return False
                self.standings.settle(instance.uuid, row.name, target)
        except errors.ServerNotRunning:
            return True
        except errors.QosError:
            return False
        return True

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
                return _SOON_S
            # never into a running task; while a server arrives here it still belongs elsewhere
            if instance.task_state is not None or instance.host != self._host:
                return _SOON_S
            if self._is_new(instance):
                store.save_of_new(instance, self._hooks.settings(store.describe(instance), domain))
            return self._converge(instance, domain)

    def _converge(self, instance: store.Instance, domain: Domain) -> float | None:
        lifted = store.lifted(instance)
        settings: Mapping[str, int | None] = {
            **dict.fromkeys(lifted), **store.requested(instance)}
        pauses: list[float] = []
        for row, target in _targets(instance, settings):
            pause_s = self._hold(instance.uuid, domain, row, target)
            if pause_s is not None:
                pauses.append(pause_s)
        if lifted and not pauses:
            store.save(instance, dict.fromkeys(lifted))
        return min(pauses, default=None)

    def _hold(self, server_uuid: str, domain: Domain, row: Resource, target: int) -> float | None:
        """Make one resource hold its target; the longest pause until the next attempt, if any."""
        of = (server_uuid, row.name)
        try:
            reading = row.read(domain)
            if reading.applied == target:
                self.standings.settle(*of, target)
                return None
            if self.standings.was_settled(*of, target):
                if self._options.nova_qos.drift == "report":
                    self.standings.hinder(*of, target, "drifted", _DRIFTED)
                    return None
                if row.retaken is not None and row.retaken(domain, reading, target):
                    self.standings.retaken(*of, target)
            wait_s = self.standings.must_wait(*of)
            return wait_s if wait_s else self._write(domain, row, target, of)
        except (errors.NoBalloon, errors.ServerNotRunning) as error:
            self.standings.hinder(*of, target, "pending", error.message)
            return _SOON_S
        except errors.HostRefused as error:
            self.standings.hinder(*of, target, "refused", error.message)
            return _SELDOM_S
        except errors.HostCannot as error:
            self.standings.hinder(*of, target, "unsupported", error.message)
            return None

    def _write(
        self, domain: Domain, row: Resource, target: int, of: tuple[str, str]
    ) -> float | None:
        if row.guard is not None:
            reserve_kib = self._options.nova_qos.memory_reserve_mib * units.KIB_PER_MIB
            row.guard(domain, target, Limits(reserve_kib))
        row.write(domain, target)
        reading = row.read(domain)
        if reading.applied == target:
            LOG.info("Applied %s again to server %s", row.name, of[0])
            self.standings.settle(*of, target)
            return None
        if not row.settles:
            raise errors.HostRefused(
                f"{row.key}: the host took {target} but holds {reading.applied}")
        self.standings.hinder(*of, target, "pending", f"{row.key}: the guest is on its way there")
        return _SOON_S


def _targets(
    instance: store.Instance, settings: Mapping[str, int | None]
) -> Iterator[tuple[Resource, int]]:
    """What the host is to hold for each of the settings, in its unit."""
    flavor = store.flavor_of(instance)
    for name, value in settings.items():
        row = TABLE[name]
        yield row, row.to_host(row.within(value, flavor), flavor)
