# SPDX-License-Identifier: Apache-2.0
"""The agent as a nova service: what its RPC methods promise."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import oslo_messaging as messaging
from nova import context as nova_context
from nova import manager
from oslo_config import cfg
from oslo_log import log

from nova_qos.agent import hold
from nova_qos.agent.accepted import Accepted
from nova_qos.agent.change import Change
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.locks import locked
from nova_qos.agent.look import Looker
from nova_qos.agent.loop import Loop
from nova_qos.bus import endpoint, wire
from nova_qos.bus.wire import SetAnswer, Wire
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import SavedServer, next_stamp
from nova_qos.host import Domain, Host, SeenDomain, Snapshot
from nova_qos.instances import service
from nova_qos.instances.records import Records
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: How long a message, and its answer, may be under way.
_TRANSIT_S = 0.5
_POLL_S = 0.1


class AgentManager(manager.Manager):
    """Reads and applies settings of the servers on this host.

    Each method raises the errors of a ``Knob``. What arrives over the bus is checked again: others
    may write to it.
    """

    target = messaging.Target(version=wire.VERSION)

    def __init__(
        self, host: str, machine: Host, options: cfg.ConfigOpts, hooks: Hooks | None = None
    ) -> None:
        """:param hooks: in place of those that are installed"""
        self._machine = machine
        self._options = options
        self._history = History()
        self._records = Records()
        self._accepted = Accepted()
        hooks = Hooks.installed(options) if hooks is None else hooks
        self.looker = Looker(
            host, machine, self._records, options, hooks, self._history, self._accepted,
            new_since=time.time())
        self.loop = Loop(self.looker, options)
        super().__init__(host=host, service_name="nova-qos-agent")

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
        self.loop.start()

    def graceful_shutdown(self, timeout: int = 0) -> None:
        """Called by nova's service when it stops; nova 33 gives no timeout."""
        self.cleanup_host()

    def cleanup_host(self) -> None:
        """Called by the services of all releases, once more after ``graceful_shutdown``."""
        self.loop.stop()

    @endpoint.answers
    def read(self, context: Any, server_uuid: str, names: list[str]) -> Wire:
        """What the host holds for the named resources; one that it cannot do does not spoil
        the others."""
        domain = self._machine.domain(server_uuid)
        return wire.readings_to_wire(self._read(domain, server_uuid, endpoint.known(names)))

    @endpoint.answers
    def read_many(self, context: Any, server_uuids: list[str], names: list[str]) -> Wire:
        """Like ``read`` for up to ``wire.MOST_SERVERS`` servers; where one does not run here, each
        reading of it says so."""
        known, uuids = endpoint.known(names), endpoint.uuids(server_uuids)
        knobs = {knob for name in known if (knob := TABLE[name].knob) is not None}
        try:
            seen = self._machine.snapshot(knobs)
        except (errors.HostCannot, errors.HostRefused) as error:
            unread = wire.readings_to_wire(dict.fromkeys(known, Reading.unread(error)))
            return dict.fromkeys(uuids, unread)
        return {each: wire.readings_to_wire(self._read_or_pending(seen, each, known))
                for each in uuids}

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
        names: list[str] | None = None, server: Wire | None = None,
    ) -> Wire:
        """Apply settings, and answer what to save and what the host holds.

        All or none: an error leaves the host as it was. One server's settings are applied one
        after another; the stamps of what is to be saved tell their order.

        :param names: the resources to answer readings for; None = an API before 1.2, which wants
            those of ``settings``, and has the agent save, and wait for the guest
        :param server: the server as the API has loaded it, since 1.2
        :raises InvalidSetting: an unknown resource, or a value outside its range
        :raises TaskInProgress: nova works on the server
        :raises AgentAway: the lock was not free within the time that the API waits
        """
        answer_by = self._answer_by()
        settings = {name: settings[name] for name in endpoint.known(settings)}
        if names is None or server is None:
            return self._set_and_wait(context, server_uuid, settings, force, answer_by)
        wanted = [*settings, *(name for name in endpoint.known(names) if name not in settings)]
        loaded = wire.server_from_wire(server_uuid, self.host, server)
        try:
            return self._set(loaded, settings, force, answer_by, wanted).to_wire()
        except errors.TooEarly as error:
            return SetAnswer(too_early=error).to_wire()

    def discard(self, context: Any, server_uuid: str, entries: Wire) -> None:
        """Take a set back that the API could not save."""
        self.looker.undo(server_uuid, wire.entries_from_wire(entries))

    def _answer_by(self) -> float:
        """Until when (monotonic) the API waits for the answer to what arrives now."""
        return float(time.monotonic() + self._options.nova_qos.rpc_timeout - _TRANSIT_S)

    def _set(
        self, server: SavedServer, settings: Mapping[str, Any], force: bool, answer_by: float,
        names: Iterable[str],
    ) -> SetAnswer:
        try:
            with locked(server.uuid, answer_by):
                server = self._accepted.newest(server)
                answer = self._change(server, settings, force is True)
                is_late = time.monotonic() > answer_by
                if not is_late:
                    # else the API has given up waiting, and saves the settings by itself
                    self._accepted.add(
                        server.uuid, answer.entries, self._options.nova_qos.rpc_timeout)
        except errors.AgentAway as error:
            # the API saves the settings by itself
            self.loop.put(server.uuid)
            # the other side of the bus knows the names of the tree alone
            raise errors.AgentAway(error.message) from error
        others = self._others(server.uuid, [each for each in names if each not in answer.readings])
        readings = {**answer.readings, **others}
        if is_late or any(reading.unmet == "pending" for reading in readings.values()):
            self.loop.put(server.uuid)
        return replace(answer, readings=readings)

    def _change(
        self, server: SavedServer, settings: Mapping[str, Any], force: bool
    ) -> SetAnswer:
        checked = {name: TABLE[name].check(value, server.flavor, name)
                   for name, value in settings.items()}
        change = Change(server, self._machine, checked, self.looker.limits(force))
        outcomes = change.carry_out()
        entries = change.entries(outcomes, next_stamp(server.entries, time.time()))
        hold.record(self._history, server.uuid, change.host_targets, outcomes)
        LOG.info("Set %s on server %s; the host holds %s", checked, server.uuid,
                 {name: outcome.reading.applied for name, outcome in outcomes.items()})
        readings = {name: self._observe(server.uuid, name, outcome.reading)
                    for name, outcome in outcomes.items()}
        moving = tuple(name for name, each in outcomes.items() if each.follows)
        settle_s = self._options.nova_qos.balloon_timeout if moving else 0.0
        return SetAnswer(readings, moving, settle_s, entries=entries)

    def _others(self, server_uuid: str, names: list[str]) -> dict[str, Reading]:
        """Readings of the resources that were not set; where nothing can be read, they say why."""
        if not names:
            return {}
        try:
            return self._read(self._machine.domain(server_uuid), server_uuid, names)
        except (errors.ServerNotRunning, errors.HostAway) as error:
            return dict.fromkeys(names, Reading.unread(error))

    def _set_and_wait(
        self, context: Any, server_uuid: str, settings: Mapping[str, Any], force: bool,
        answer_by: float,
    ) -> Wire:
        while True:
            record = self._records.load(server_uuid, context)
            try:
                answer = self._set(record.server, settings, force, answer_by, settings)
                break
            except errors.TooEarly as error:
                if time.monotonic() + _POLL_S > answer_by:
                    # that API does not know the name of this error
                    raise errors.HostRefused(error.message) from error
                time.sleep(_POLL_S)
        try:
            record.save(answer.entries)
        except errors.QosError:
            self.looker.undo(server_uuid, answer.entries)
            raise
        readings, give_up = dict(answer.readings), time.monotonic() + answer.settle_s
        while time.monotonic() < give_up and any(
                readings[name].unmet == "pending" for name in answer.moving):
            time.sleep(_POLL_S)
            readings |= self._others(server_uuid, list(answer.moving))
        return wire.readings_to_wire(readings)

    def _read_or_pending(
        self, seen: Snapshot, server_uuid: str, names: list[str]
    ) -> dict[str, Reading]:
        try:
            return self._read(seen.domain(server_uuid), server_uuid, names)
        except errors.Unreachable:
            raise
        except errors.QosError as error:
            return dict.fromkeys(names, Reading.unread(error))

    def _read(
        self, domain: Domain | SeenDomain, server_uuid: str, names: Iterable[str]
    ) -> dict[str, Reading]:
        return {name: self._observe(server_uuid, name, reading)
                for name, reading in hold.read(domain, names).items()}

    def _observe(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        return hold.observe(self._history, server_uuid, name, reading)
