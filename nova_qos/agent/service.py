# SPDX-License-Identifier: Apache-2.0
"""The agent as a nova service: what its RPC methods promise."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import oslo_messaging as messaging
from nova import context as nova_context
from nova import manager
from oslo_config import cfg

from nova_qos.agent import hold
from nova_qos.agent.balance.account import Account
from nova_qos.agent.balance.steer import Balancer
from nova_qos.agent.contention import Contention
from nova_qos.agent.copy import Fetch, Policies
from nova_qos.agent.fetching import Fetcher
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.agent.notices import Notices
from nova_qos.agent.owed import Owed
from nova_qos.agent.readings import Readings
from nova_qos.agent.roster import Roster
from nova_qos.agent.sets import Sets
from nova_qos.agent.together import Together
from nova_qos.agent.unfinished import Unfinished
from nova_qos.balance_options import thresholds_of
from nova_qos.bus import endpoint, wire
from nova_qos.bus.notices import notifier
from nova_qos.bus.wire import SetAnswer, Wire
from nova_qos.core import errors
from nova_qos.core.server import POLICY, SavedServer
from nova_qos.host import Host
from nova_qos.instances import service
from nova_qos.instances.records import Records

#: Tells what balancing does now.
Accounts = Callable[[], Account]


class Exports(Protocol):
    """What serves metrics."""

    def start(self) -> None:
        """Begin to serve, as far as that can be; raises nothing."""

    def stop(self) -> None:
        """Serve no more; doing so twice is harmless."""


class AgentManager(manager.Manager):
    """Reads and applies settings of the servers on this host.

    Each method raises the errors of a ``Knob``. What arrives over the bus is checked again: others
    may write to it.
    """

    target = messaging.Target(version=wire.VERSION)

    def __init__(
        self, host: str, machine: Host, options: cfg.ConfigOpts, hooks: Hooks | None = None,
        fetch: Fetch | None = None,
        export: Callable[[Looker, Readings, Accounts], Exports] | None = None,
    ) -> None:
        """:param hooks: in place of those that are installed
        :param fetch: asks for the policies, in place of nova's API
        :param export: makes what serves metrics; None = nobody does
        """
        self._machine = machine
        self._balancer = Balancer(
            machine.memory, options.nova_qos_balance,
            thresholds_of(options, options.libvirt.mem_stats_period_seconds), self._servers,
            busy=lambda: self.looker.roster.records.busy(host),
            hold=lambda server_uuid: self.looker.balance(server_uuid),
            released=lambda: self.loop.check_soon())
        hooks = Hooks.installed(options) if hooks is None else hooks
        self._policies = Policies(
            Fetcher(options) if fetch is None else fetch, options.nova_qos.state_directory,
            options.nova_qos.policy_interval, self._policies_changed)
        self.looker = Looker(
            Roster(host, Records(), owed=Owed(options.nova_qos.state_directory),
                   assigned=self._with_all_sources),
            machine, options, hooks, History(), new_since=time.time())
        unfinished = Unfinished(options.nova_qos.state_directory)
        self.loop = Loop(self.looker, options, unfinished)
        self._readings = Readings(
            machine, self.looker.history, self._policies.reading, self._balancer.given.shown)
        self._sets = Sets(
            machine, options, self.looker, self._readings, later=self.loop.put,
            seek=self._policies.seek)
        emit = notifier(host, nova_context.get_admin_context())
        self._contention = Contention(
            machine, self.looker, lambda: self._balancer.account,
            None if emit is None else Notices(host, emit), self._policies.reading)
        self.loop.after_check = self._contention.judge
        self._together = Together(self._sets, self.looker, unfinished)
        self._exporter = None if export is None else export(
            self.looker, self._readings, lambda: self._balancer.account)
        super().__init__(host=host, service_name="nova-qos-agent")

    def _with_all_sources(self, server: SavedServer) -> SavedServer:
        """A server with what its policies come to, and what the balancer gives it."""
        return self._balancer.given.balanced(self._policies.assigned(server))

    def _servers(self) -> dict[str, SavedServer]:
        """The servers that nova has on this host."""
        return {server.uuid: server for server in self.looker.roster.servers()
                if server.host == self.looker.roster.host}

    def _policies_changed(self) -> None:
        self.looker.history.policies_changed()
        self.loop.check_soon()

    def init_host(self, service_ref: Any) -> None:
        """Called by nova's service at start, with its row if there is one."""
        if service_ref is None:
            service.register(
                nova_context.get_admin_context(), self.host, self.service_name, wire.TOPIC)
        elif service_ref.last_seen_up is not None:
            # servers created since then count as new, like later ones
            self.looker.new_since = service_ref.last_seen_up.timestamp()

    def post_start_hook(self) -> None:
        """Called by nova's service when it can be asked."""
        self._policies.start()
        # before anybody looks: what balloons hold for the sake of others is no drift
        self._balancer.start()
        self.loop.start()
        if self._exporter is not None:
            self._exporter.start()

    def graceful_shutdown(self, timeout: int = 0) -> None:
        """Called by nova's service when it stops; nova 33 gives no timeout."""
        self.cleanup_host()

    def cleanup_host(self) -> None:
        """Called by the services of all releases, once more after ``graceful_shutdown``."""
        if self._exporter is not None:
            self._exporter.stop()
        self._policies.stop()
        self._balancer.stop()
        self.loop.stop()

    @endpoint.answers
    def read(
        self, context: Any, server_uuid: str, names: list[str], partly: bool = False
    ) -> Wire:
        """What the host holds for the named resources; one that it cannot do does not spoil
        the others. ``POLICY`` among them asks for the agent's copy of the policies: see
        ``Policies.reading``.

        :param partly: of an API since 1.3: leave out what this agent does not know
        """
        return wire.readings_to_wire(
            self._readings.of(server_uuid, endpoint.known(names, partly)))

    @endpoint.answers
    def read_many(
        self, context: Any, server_uuids: list[str], names: list[str], partly: bool = False
    ) -> Wire:
        """Like ``read`` for up to ``wire.MOST_SERVERS`` servers; where one does not run here, each
        reading of it says so."""
        known, uuids = endpoint.known(names, partly), endpoint.uuids(server_uuids)
        try:
            seen = self._machine.snapshot(hold.knobs(known))
        except (errors.HostCannot, errors.HostRefused) as error:
            unread = wire.readings_to_wire(self._readings.unread(known, error))
            return dict.fromkeys(uuids, unread)
        return {each: wire.readings_to_wire(self._readings.seen(seen, each, known))
                for each in uuids}

    @endpoint.answers
    def host_report(self, context: Any, servers: bool = False) -> Wire:
        """The host as a whole; of an API since 1.6: see ``core.host_report``.

        :param servers: of an API since 1.8: with each of its servers
        """
        return self._contention.report(servers is True)

    @endpoint.answers
    def balloon(
        self, context: Any, server_uuid: str, waits: bool = True
    ) -> tuple[bool, str | None, float] | tuple[bool, str | None]:
        """Whether the guest's balloon driver lives as far as that is known now, and if not, what is
        missing. A driver whose report is overdue counts as one that does not: else a guest would
        choose how long its readers hold a thread of the API.

        :param waits: of an API before 1.2; later ones took the third part of the answer for the
            time, in seconds, after which to ask again, 0 = not at all
        """
        balloon = self._machine.domain(server_uuid).balloon()
        alive, reason = balloon.alive, balloon.reason
        if balloon.overdue:
            alive, reason = False, "the report of the guest's balloon driver is overdue"
        return (alive, reason) if waits else (alive, reason, 0.0)

    @endpoint.answers
    def set(
        self, context: Any, server_uuid: str, settings: Mapping[str, Any], force: bool,
        names: list[str] | None = None, server: Wire | None = None, partly: bool = False,
    ) -> Wire:
        """Apply settings, and answer what to save and what the host holds.

        All or none: an error leaves the host as it was. One server's settings are applied one
        after another; the stamps of what is to be saved tell their order.

        :param names: the resources to answer readings for; None = an API before 1.2, which wants
            those of ``settings``, and has the agent save, and wait for the guest
        :param server: the server as the API has loaded it, since 1.2
        :param partly: as ``read`` has it, for ``names``; since 1.3
        :raises InvalidSetting: an unknown resource, or a value outside its range
        :raises TaskInProgress: nova works on the server
        :raises AgentAway: the lock was not free within the time that the API waits
        """
        answer_by = self._sets.answer_by()
        settings = endpoint.settings_of(settings, partly)
        if names is None or server is None:
            return wire.readings_to_wire(self._sets.save_and_wait(
                context, server_uuid, settings, force, answer_by))
        others = (name for name in endpoint.known(names, partly)
                  if name not in settings or name == POLICY)
        wanted = [*(name for name in settings if name != POLICY), *others]
        loaded = wire.server_from_wire(server_uuid, self.host, server)
        try:
            return self._sets.carry_out(loaded, settings, force, answer_by, wanted).to_wire()
        except errors.TooEarly as error:
            return SetAnswer(too_early=error).to_wire()

    @endpoint.answers
    def set_many(
        self, context: Any, items: list[Wire], force: bool, answer_s: float,
        together: bool = False,
    ) -> dict[str, Wire]:
        """Like ``set`` for up to ``wire.MOST_SERVERS`` servers, each on its own; for one that
        fails, the answer is its error.

        :param items: a server, as ``set`` has it, and its settings each
        :param answer_s: how long the API waits for the answer
        :param together: all of them or none; those that give are changed before those that get
        :raises InvalidSetting: an unknown resource, or no list of servers
        """
        answer_by = self._sets.answer_by(answer_s if isinstance(answer_s, int | float) else None)
        changer = self._together if together is True else self._sets
        results = changer.carry_out_each(endpoint.wishes(items, self.host), force, answer_by)
        return {uuid: wire.result_to_wire(result) for uuid, result in results.items()}

    def discard(self, context: Any, server_uuid: str, entries: Wire) -> None:
        """Take a set back that the API could not save."""
        self.looker.undo(server_uuid, wire.entries_from_wire(entries))

    def policies_changed_ignore_errors(self, context: Any, revision: int) -> None:
        """Fetch the policies soon; of an API since 1.5. An older agent that does not know this logs
        no error, since the name ends like that.

        :param revision: of the catalog, at least
        """
        if isinstance(revision, int):
            self._policies.hint(revision)
