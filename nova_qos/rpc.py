# SPDX-License-Identifier: Apache-2.0
"""The way from the API to the agent on a server's host, and the wire's form of a reading.

Version 1.0: read, set, balloon. Version 1.1: read_many. Each message asks for the version that its
method came with, so that an agent that is older than the API goes on answering all it knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import oslo_messaging as messaging
from nova import conf as nova_conf
from nova import rpc

from nova_qos import conf, errors
from nova_qos.model import Reading

TOPIC = "nova-qos-agent"
VERSION = "1.1"
_FIRST_VERSION = "1.0"
#: Of servers that one read_many may name.
MOST_SERVERS = 100

conf.register(nova_conf.CONF)


def reading_to_wire(reading: Reading) -> dict[str, Any]:
    """A reading as JSON types."""
    return asdict(reading)


def reading_from_wire(wire: Mapping[str, Any]) -> Reading:
    """What ``reading_to_wire`` made, back again."""
    span = wire.get("span")
    return Reading(**{**wire, "span": span and (span[0], span[1])})


class AgentClient:
    """Asks the agent on one host, through the message bus of the cell that the context is in.

    Every method raises what the agent raised, or AgentAway when no answer came within
    ``[nova_qos] rpc_timeout``.
    """

    def __init__(self) -> None:
        target = messaging.Target(topic=TOPIC, version=_FIRST_VERSION)
        self._router = rpc.ClientRouter(rpc.get_client(target, version_cap=VERSION))

    def read(
        self, context: Any, host: str, server_uuid: str, names: list[str]
    ) -> dict[str, Reading]:
        """What the host holds for the named resources of one server."""
        wire = self._call(context, host, "read", server_uuid=server_uuid, names=names)
        return _readings(wire)

    def read_many(
        self, context: Any, host: str, server_uuids: Sequence[str], names: Sequence[str]
    ) -> dict[str, dict[str, Reading]]:
        """What the host holds for the named resources of up to ``MOST_SERVERS`` servers.

        For a server that does not run there, each reading says so.

        :raises AgentAway: also when the agent is too old for this
        """
        wire = self._call(context, host, "read_many", VERSION, server_uuids=list(server_uuids),
                          names=list(names))
        return {server_uuid: _readings(readings) for server_uuid, readings in wire.items()}

    def set(
        self, context: Any, host: str, server_uuid: str, settings: Mapping[str, int | None],
        force: bool,
    ) -> dict[str, Reading]:
        """Save and apply settings, all or none; what the host holds afterwards."""
        wire = self._call(
            context, host, "set", server_uuid=server_uuid, settings=dict(settings), force=force)
        return _readings(wire)

    def balloon(self, context: Any, host: str, server_uuid: str) -> tuple[bool, str | None]:
        """Whether the guest's balloon driver lives, and if not, what is missing."""
        alive, reason = self._call(context, host, "balloon", server_uuid=server_uuid)
        return alive, reason

    def _call(
        self, context: Any, host: str, method: str, version: str = _FIRST_VERSION,
        **arguments: Any,
    ) -> Any:
        timeout = nova_conf.CONF.nova_qos.rpc_timeout
        # at_least_once: a host where no agent was ever started is known at once
        client = self._router.client(context).prepare(
            server=host, timeout=timeout, version=version,
            transport_options=messaging.TransportOptions(at_least_once=True))
        try:
            return client.call(context, method, **arguments)
        except messaging.RemoteError as error:
            # nova's transports let only nova's own classes cross the bus as themselves
            if error.exc_type == messaging.UnsupportedVersion.__name__:
                raise _too_old(host) from error
            kind = errors.BY_NAME.get(error.exc_type)
            if kind is None:
                raise
            raise kind(error.value) from error
        except messaging.UnsupportedVersion as error:
            raise _too_old(host) from error
        except messaging.MessagingTimeout as error:
            raise errors.AgentAway(
                f"nova-qos-agent on host {host} did not answer within {timeout} s") from error
        except (messaging.MessageUndeliverable, messaging.MessageDeliveryFailure) as error:
            raise errors.AgentAway(f"there is no nova-qos-agent on host {host} to ask") from error


def _readings(wire: Mapping[str, Mapping[str, Any]]) -> dict[str, Reading]:
    return {name: reading_from_wire(reading) for name, reading in wire.items()}


def _too_old(host: str) -> errors.AgentAway:
    return errors.AgentAway(f"nova-qos-agent on host {host} is too old for this; upgrade it")
