# SPDX-License-Identifier: Apache-2.0
"""The agent as a nova service: what its RPC methods promise."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import oslo_messaging as messaging
from nova import context as nova_context
from nova import manager
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_log import log
from oslo_utils import uuidutils

from nova_qos import errors, rpc, store, units
from nova_qos.agent.apply import apply
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.keeper import Keeper, lock_of
from nova_qos.model import Domain, Host, Limits, Reading
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: What a message may have been under way when it arrives, and its answer will be.
_TRANSIT_SECONDS = 0.5
Wire = dict[str, dict[str, Any]]
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _answers(method: _Method) -> _Method:
    """Our errors are answers, not faults of the agent to be logged with a traceback."""

    @functools.wraps(method)
    def answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except messaging.MessagingTimeout as error:
            raise errors.AgentAway("the agent gets no answer from nova-conductor") from error

    return messaging.expected_exceptions(errors.QosError)(answered)  # type: ignore[no-any-return]


class AgentManager(manager.Manager):
    """Reads and applies settings of the servers on this host.

    Each method raises the errors of the ``Domain`` protocol. What arrives over the bus is checked
    again: others may write to it.
    """

    target = messaging.Target(version=rpc.VERSION)

    def __init__(
        self, host: str, machine: Host, options: cfg.ConfigOpts, hooks: Hooks | None = None
    ) -> None:
        """:param hooks: those that are installed, unless others are given"""
        self._machine = machine
        self._options = options
        self._new_since = time.time()
        if hooks is None:
            hooks = Hooks.installed(options)
        self.keeper = Keeper(host, machine, options, hooks)
        super().__init__(host=host, service_name="nova-qos-agent")

    def init_host(self, service_ref: Any) -> None:
        """Called by nova's service at start, with its row if there is one."""
        if service_ref is None:
            store.register_service(
                nova_context.get_admin_context(), self.host, self.service_name, rpc.TOPIC)
        elif service_ref.last_seen_up is not None:
            # what was created since is as new as what will be
            self._new_since = service_ref.last_seen_up.timestamp()

    def post_start_hook(self) -> None:
        """Called by nova's service when it can be asked."""
        self.keeper.start(self._new_since)

    def graceful_shutdown(self, timeout: int = 0) -> None:
        """Called by nova's service when it stops; nova 33 gives no timeout."""
        self.cleanup_host()

    def cleanup_host(self) -> None:
        """Called instead by services of nova before 33."""
        self.keeper.stop()

    @_answers
    def read(self, context: store.Context, server_uuid: str, names: list[str]) -> Wire:
        """What the host holds for the named resources; one that it cannot do does not spoil
        the others."""
        return self._read(server_uuid, _known(names))

    def _read(self, server_uuid: str, names: list[str]) -> Wire:
        domain = self._machine.domain(server_uuid)
        explain = self.keeper.standings.explain
        return {name: rpc.reading_to_wire(explain(server_uuid, name, _read(domain, name)))
                for name in names}

    @_answers
    def read_many(
        self, context: store.Context, server_uuids: list[str], names: list[str]
    ) -> dict[str, Wire]:
        """Like ``read`` for up to ``rpc.MOST_SERVERS`` servers; where one does not run here, each
        reading of it says so."""
        known = _known(names)
        with self._machine.at_once():
            return {server_uuid: self._read_or_pending(server_uuid, known)
                    for server_uuid in _uuids(server_uuids)}

    def _read_or_pending(self, server_uuid: str, names: list[str]) -> Wire:
        try:
            return self._read(server_uuid, names)
        except errors.Unreachable:
            raise
        except errors.QosError as error:
            return dict.fromkeys(names, rpc.reading_to_wire(_pending(error)))

    @_answers
    def balloon(self, context: store.Context, server_uuid: str) -> tuple[bool, str | None]:
        """Whether the guest's balloon driver lives, and if not, what is missing."""
        balloon = self._machine.domain(server_uuid).read_balloon()
        return balloon.alive, balloon.reason

    @_answers
    def set(
        self, context: store.Context, server_uuid: str, settings: Mapping[str, Any], force: bool
    ) -> Wire:
        """Save the settings as desired state, apply them, and answer what the host holds.

        All or none: an error leaves both as they were. One server's settings are set one
        after another, so that the last one saved is the one applied.

        :raises InvalidSetting: an unknown resource, or a value outside its range
        :raises TaskInProgress: nova works on the server
        """
        answer_by = time.monotonic() + self._options.nova_qos.rpc_timeout - _TRANSIT_SECONDS
        with lockutils.lock(lock_of(server_uuid)):
            instance = store.load(context, server_uuid)
            flavor = store.flavor_of(instance)
            names = _known(settings)
            checked = {name: TABLE[name].check(settings[name], flavor, name) for name in names}
            targets = {name: TABLE[name].to_host(checked[name], flavor) for name in checked}
            readings = self._set(context, instance, checked, targets, force is True, answer_by)
            LOG.info("Set %s; the host holds %s", checked,
                     {name: reading.applied for name, reading in readings.items()},
                     instance=instance)
            return {name: rpc.reading_to_wire(reading)
                    for name, reading in self._noted(server_uuid, targets, readings)}

    def _noted(
        self, server_uuid: str, targets: Mapping[str, int], readings: Mapping[str, Reading]
    ) -> Iterator[tuple[str, Reading]]:
        standings = self.keeper.standings
        for name, reading in readings.items():
            if reading.holds(targets[name]):
                standings.settle(server_uuid, name, targets[name])
            elif reading.hindered is not None:
                standings.hinder(server_uuid, name, targets[name], reading.hindered,
                                 reading.reason or "")
            yield name, standings.explain(server_uuid, name, reading)
        if any(reading.hindered == "pending" for reading in readings.values()):
            self.keeper.put(server_uuid)

    def _set(
        self, context: store.Context, instance: store.Instance,
        settings: Mapping[str, int | None], targets: dict[str, int], force: bool,
        answer_by: float,
    ) -> dict[str, Reading]:
        options = self._options.nova_qos
        limits = Limits(options.memory_reserve_mib * units.KIB_PER_MIB, force)
        before, lifted_before = store.requested(instance), store.lifted(instance)
        try:
            domain = self._machine.domain(instance.uuid)
            skipped = _guard(domain, settings, targets, limits)
        except (errors.ServerNotRunning, errors.HostAway) as error:
            domain, skipped = None, dict.fromkeys(targets, _pending(error))
        # what is unset stays marked until the host was seen to hold it no more
        store.save(instance, settings, later=settings)
        if domain is None:
            return skipped
        now = {name: target for name, target in targets.items() if name not in skipped}
        try:
            readings = skipped | apply(domain, now, options.balloon_timeout)
        except (errors.ServerNotRunning, errors.HostAway) as error:
            return dict.fromkeys(targets, _pending(error))
        except Exception as error:
            if time.monotonic() > answer_by:
                # the API may have answered already that it is saved and will be applied
                self.keeper.put(instance.uuid)
                raise errors.AgentAway(f"the agent's answer came too late: {error}") from error
            store.restore(context, instance.uuid, {name: before.get(name) for name in settings},
                          later=lifted_before)
            raise
        gone = [name for name, value in settings.items()
                if value is None and readings[name].hindered != "pending"]
        if gone:
            store.restore(context, instance.uuid, dict.fromkeys(gone))
        return readings


def _known(names: Any) -> list[str]:
    unknown = [str(name)[:40] for name in names if name not in TABLE]
    if unknown:
        raise errors.InvalidSetting(f"no such resource: {', '.join(unknown)}")
    return list(names)


def _uuids(server_uuids: Any) -> list[str]:
    strange = [str(each)[:40] for each in server_uuids if not uuidutils.is_uuid_like(each)]
    if strange:
        raise errors.InvalidSetting(f"no id of a server: {', '.join(strange)}")
    if len(server_uuids) > rpc.MOST_SERVERS:
        raise errors.InvalidSetting(f"more than {rpc.MOST_SERVERS} servers at once")
    return list(server_uuids)


def _read(domain: Domain, name: str) -> Reading:
    try:
        return TABLE[name].read(domain)
    except errors.HostCannot as error:
        return Reading(None, effective=False, reason=error.message, hindered="unsupported")
    except errors.HostRefused as error:
        return Reading(None, effective=False, reason=error.message, hindered="pending")


def _guard(
    domain: Domain, settings: Mapping[str, int | None], targets: Mapping[str, int], limits: Limits
) -> dict[str, Reading]:
    """Refuse what cannot be honoured before anything is saved.

    Returned is what needs no writing now: what has to wait, and unset resources that this host
    does not offer anyway.
    """
    skipped: dict[str, Reading] = {}
    for name, target in targets.items():
        reading = _read(domain, name) if settings[name] is None else None
        if reading is not None and reading.hindered == "unsupported":
            skipped[name] = reading
            continue
        guard = TABLE[name].guard
        try:
            if guard is not None:
                guard(domain, target, limits)
        except errors.ServerNotRunning as error:
            skipped[name] = _pending(error)
    return skipped


def _pending(error: errors.QosError) -> Reading:
    return Reading(None, effective=False, reason=error.message, hindered="pending")
