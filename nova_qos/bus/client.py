# SPDX-License-Identifier: Apache-2.0
"""The API's side of the bus: asks the agent on a server's host."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import oslo_messaging as messaging
from nova import conf as nova_conf
from nova import rpc

from nova_qos.bus import wire
from nova_qos.bus.sending import Sender, retries
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import Entries, SavedServer
from nova_qos.resources import FIRST

#: The pauses between two questions whether a guest has followed: they grow from the first.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
#: The pauses between two attempts while a guest has yet to report.
_LEAST_WAIT_S, _LONGEST_WAIT_S = 0.2, 1.0
#: The longest time for a message that has no answer.
_CAST_S = 1.0


class AgentClient:
    """Asks the agent on one host, through the message bus of the cell that the context is in.

    Every method raises what the agent raised, or AgentAway when no answer came within
    ``[nova_qos] rpc_timeout``, whether the agent or the broker is away.
    """

    def __init__(self) -> None:
        target = messaging.Target(topic=wire.TOPIC, version=wire.FIRST_VERSION)
        self._router = rpc.ClientRouter(rpc.get_client(target, version_cap=wire.VERSION))
        self._sender = Sender()

    def read(
        self, context: Any, host: str, server_uuid: str, names: Sequence[str]
    ) -> dict[str, Reading]:
        """What the host holds for the named resources of one server; what an older agent does not
        know is unsupported."""
        return self.begin_read(context, host, server_uuid, names)()

    def begin_read(
        self, context: Any, host: str, server_uuid: str, names: Sequence[str]
    ) -> Callable[[], dict[str, Reading]]:
        """Begin to ask for that; what this returns waits for the answer."""
        answer = self._begin_to_ask(
            context, host, "read", wire.FIRST_VERSION, names, server_uuid=server_uuid)
        return lambda: _completed(wire.readings_from_wire(answer()), names, host)

    def read_many(
        self, context: Any, host: str, server_uuids: Sequence[str], names: Sequence[str]
    ) -> dict[str, dict[str, Reading]]:
        """What the host holds for the named resources of up to ``wire.MOST_SERVERS`` servers.

        For a server that does not run there, each reading says so; as ``read`` for older agents.

        :raises AgentAway: also when the agent is too old for this
        """
        answer = self._begin_to_ask(
            context, host, "read_many", wire.READ_MANY_VERSION, names,
            server_uuids=list(server_uuids))()
        return {uuid: _completed(wire.readings_from_wire(readings), names, host)
                for uuid, readings in answer.items()}

    def set(
        self, context: Any, host: str, server: SavedServer, settings: Mapping[str, int | None],
        force: bool, names: Sequence[str],
    ) -> wire.SetAnswer:
        """Apply settings, all or none; the answer tells what is to be saved.

        Waits here, and not in the agent, while a guest has yet to report what it can spare, for as
        long as ``[nova_qos] rpc_timeout`` allows.

        :returns: with what the host holds afterwards of each of ``names``, and of ``settings``
        :raises TooEarly: the guest has not reported what it can spare for all that time
        :raises HostCannot: the agent is older than one of the settings
        """
        arguments: dict[str, Any] = {
            "server_uuid": server.uuid, "settings": dict(settings), "force": force}
        give_up = time.monotonic() + nova_conf.CONF.nova_qos.rpc_timeout
        more = {"names": list(names), "server": wire.server_to_wire(server), "partly": True}
        try:
            answer = self._set_when_due(
                context, host, wire.PARTLY_VERSION, arguments | more, give_up)
        except _UnknownVersion:
            answer = self._set_by_older(context, host, arguments, more, give_up)
        return replace(answer, readings=_completed(answer.readings, names, host))

    def followed(
        self, context: Any, host: str, server_uuid: str, answer: wire.SetAnswer
    ) -> dict[str, Reading]:
        """Readings of what is ``moving`` in an answer, once the guest has followed, or the agent's
        ``balloon_timeout`` is over."""
        give_up, pause_s = time.monotonic() + answer.settle_s, _FIRST_PAUSE_S
        while True:
            time.sleep(pause_s)
            readings = self.read(context, host, server_uuid, answer.moving)
            if time.monotonic() > give_up or not any(
                    reading.unmet == "pending" for reading in readings.values()):
                return readings
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def discard(self, context: Any, host: str, server_uuid: str, entries: Entries) -> None:
        """Have the agent take a set back that could not be saved; returns at once. Where this does
        not arrive, the agent finds out by itself, at its first check after ``rpc_timeout``."""
        client = self._router.client(context)
        prepared = client.prepare(server=host, version=wire.WAITING_VERSION, retry=0)
        with contextlib.suppress(messaging.MessagingException, errors.AgentAway):
            self._sender.send(client.transport, lambda: prepared.cast(
                context, "discard", server_uuid=server_uuid,
                entries=wire.entries_to_wire(entries)), within_s=_CAST_S)

    def balloon(self, context: Any, host: str, server_uuid: str) -> bool:
        """Whether the guest's balloon driver lives, as far as that is known now."""
        try:
            alive, _reason, due_s = self._call(
                context, host, "balloon", wire.WAITING_VERSION, server_uuid=server_uuid,
                waits=False)
            # agents of this version have said when to ask again about an overdue report
            return bool(alive) and due_s == 0
        except _UnknownVersion:
            # an agent before 1.2 waits by itself
            alive, _reason = self._call(context, host, "balloon", server_uuid=server_uuid)
            return bool(alive)

    def _set_by_older(
        self, context: Any, host: str, arguments: dict[str, Any], more: dict[str, Any],
        give_up: float,
    ) -> wire.SetAnswer:
        """A set by an agent before 1.3, which knows no more than the first resources."""
        unknown = [name for name in arguments["settings"] if name not in FIRST]
        if unknown:
            raise _older(host, unknown)
        names = [name for name in more["names"] if name in FIRST]
        try:
            return self._set_when_due(
                context, host, wire.WAITING_VERSION,
                arguments | {"names": names, "server": more["server"]}, give_up)
        except _UnknownVersion:
            # an agent before 1.2 saves and waits by itself, and answers what was set
            held = wire.readings_from_wire(self._call(context, host, "set", **arguments))
            others = [name for name in names if name not in held]
            read = self.read(context, host, arguments["server_uuid"], others) if others else {}
            return wire.SetAnswer(held | read)

    def _begin_to_ask(
        self, context: Any, host: str, method: str, version: str, names: Sequence[str],
        **arguments: Any,
    ) -> Callable[[], Any]:
        """Begin to ask, by a method that came with ``version``, for what the agent knows of these
        resources; what this returns waits."""
        first = [name for name in names if name in FIRST]
        if len(first) == len(names):
            return self._begin(context, host, method, version, names=first, **arguments)
        answer = self._begin(context, host, method, wire.PARTLY_VERSION, names=list(names),
                             partly=True, **arguments)

        def wait() -> Any:
            with contextlib.suppress(_UnknownVersion):
                return answer()
            return self._call(context, host, method, version, names=first, **arguments)

        return wait

    def _set_when_due(
        self, context: Any, host: str, version: str, arguments: dict[str, Any], give_up: float
    ) -> wire.SetAnswer:
        while True:
            answer = wire.SetAnswer.from_wire(self._call(
                context, host, "set", version, **arguments))
            if answer.too_early is None:
                return answer
            pause_s = max(_LEAST_WAIT_S, min(answer.too_early.due_s, _LONGEST_WAIT_S))
            if time.monotonic() + pause_s > give_up:
                raise answer.too_early
            time.sleep(pause_s)

    def _call(
        self, context: Any, host: str, method: str, version: str = wire.FIRST_VERSION,
        **arguments: Any,
    ) -> Any:
        return self._begin(context, host, method, version, **arguments)()

    def _begin(
        self, context: Any, host: str, method: str, version: str = wire.FIRST_VERSION,
        **arguments: Any,
    ) -> Callable[[], Any]:
        timeout = nova_conf.CONF.nova_qos.rpc_timeout

        def wait() -> Any:
            with _translated(host, timeout):
                return answer()

        with _translated(host, timeout):
            # at_least_once: a host where no agent was ever started is known at once
            client = self._router.client(context)
            prepared = client.prepare(
                server=host, timeout=timeout, version=version, retry=retries(timeout),
                transport_options=messaging.TransportOptions(at_least_once=True))
            answer = self._sender.begin(
                client.transport, lambda: prepared.call(context, method, **arguments), timeout)
        return wait


@contextlib.contextmanager
def _translated(host: str, timeout: int) -> Iterator[None]:
    try:
        yield
    except messaging.RemoteError as error:
        # nova's transports let only nova's own classes cross the bus as themselves
        if error.exc_type == messaging.UnsupportedVersion.__name__:
            raise _too_old(host) from error
        kind = errors.by_name().get(error.exc_type)
        if kind is None:
            raise
        raise kind(error.value) from error
    except messaging.UnsupportedVersion as error:
        raise _too_old(host) from error
    except messaging.MessagingTimeout as error:
        raise errors.AgentAway(
            f"nova-qos-agent on host {host} did not answer within {timeout} s") from error
    except messaging.MessageUndeliverable as error:
        raise errors.AgentAway(f"there is no nova-qos-agent on host {host}") from error
    except messaging.MessageDeliveryFailure as error:
        raise errors.AgentAway("the message bus does not answer") from error


class _UnknownVersion(errors.AgentAway):
    """The agent is older than the message."""


def _completed(
    found: Mapping[str, Reading], names: Sequence[str], host: str
) -> dict[str, Reading]:
    """The readings, with those of resources that the agent does not know."""
    return {**found, **{name: Reading.unread(_older(host, [name])) for name in names
                        if name not in found}}


def _older(host: str, names: Sequence[str]) -> errors.HostCannot:
    return errors.HostCannot(
        f"nova-qos-agent on host {host} is older than this API and does not know "
        f"{', '.join(names)}; upgrade it")


def _too_old(host: str) -> _UnknownVersion:
    return _UnknownVersion(f"nova-qos-agent on host {host} is too old for this request; upgrade it")
