# SPDX-License-Identifier: Apache-2.0
"""The API's side of the bus: asks the agent on a server's host."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import oslo_messaging as messaging
from nova import conf as nova_conf
from nova import rpc

from nova_qos.bus import wire
from nova_qos.bus.sending import Sender, retries
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import Entries, SavedServer

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
        """What the host holds for the named resources of one server."""
        return self.begin_read(context, host, server_uuid, names)()

    def begin_read(
        self, context: Any, host: str, server_uuid: str, names: Sequence[str]
    ) -> Callable[[], dict[str, Reading]]:
        """Begin to ask for that; what this returns waits for the answer."""
        answer = self._begin(context, host, "read", server_uuid=server_uuid, names=list(names))
        return lambda: wire.readings_from_wire(answer())

    def read_many(
        self, context: Any, host: str, server_uuids: Sequence[str], names: Sequence[str]
    ) -> dict[str, dict[str, Reading]]:
        """What the host holds for the named resources of up to ``wire.MOST_SERVERS`` servers.

        For a server that does not run there, each reading says so.

        :raises AgentAway: also when the agent is too old for this
        """
        answer = self._call(context, host, "read_many", wire.READ_MANY_VERSION,
                            server_uuids=list(server_uuids), names=list(names))
        return {uuid: wire.readings_from_wire(readings) for uuid, readings in answer.items()}

    def set(
        self, context: Any, host: str, server: SavedServer, settings: Mapping[str, int | None],
        force: bool, names: Sequence[str],
    ) -> wire.SetAnswer:
        """Apply settings, all or none; the answer tells what is to be saved.

        Waits here, and not in the agent, while a guest has yet to report what it can spare, for as
        long as ``[nova_qos] rpc_timeout`` allows.

        :returns: with what the host holds afterwards of each of ``names``, and of ``settings``
        :raises TooEarly: the guest has not reported what it can spare for all that time
        """
        arguments: dict[str, Any] = {
            "server_uuid": server.uuid, "settings": dict(settings), "force": force}
        give_up = time.monotonic() + nova_conf.CONF.nova_qos.rpc_timeout
        more = {"names": list(names), "server": wire.server_to_wire(server)}
        try:
            answer = self._set_when_due(context, host, arguments | more, give_up)
        except _UnknownVersion:
            # an agent before 1.2 saves and waits by itself, and answers what was set
            held = wire.readings_from_wire(self._call(context, host, "set", **arguments))
            others = [name for name in names if name not in held]
            read = self.read(context, host, server.uuid, others) if others else {}
            return wire.SetAnswer(held | read)
        return answer

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

    def _set_when_due(
        self, context: Any, host: str, arguments: dict[str, Any], give_up: float
    ) -> wire.SetAnswer:
        while True:
            answer = wire.SetAnswer.from_wire(self._call(
                context, host, "set", wire.WAITING_VERSION, **arguments))
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


def _too_old(host: str) -> _UnknownVersion:
    return _UnknownVersion(f"nova-qos-agent on host {host} is too old for this request; upgrade it")
