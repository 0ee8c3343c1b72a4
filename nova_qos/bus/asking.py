# SPDX-License-Identifier: Apache-2.0
"""Messages to the agent on one host, and what goes wrong with them as our errors."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import oslo_messaging as messaging
from nova import conf as nova_conf
from nova import rpc

from nova_qos.bus import wire
from nova_qos.bus.sending import Sender, retries
from nova_qos.core import errors

#: The longest time for a message that has no answer.
_CAST_S = 1.0


class UnknownVersion(errors.AgentAway):
    """The agent is older than the message."""


class Asker:
    """Asks agents through the message bus of the cell that the context is in."""

    def __init__(self) -> None:
        target = messaging.Target(topic=wire.TOPIC, version=wire.FIRST_VERSION)
        self._router = rpc.ClientRouter(rpc.get_client(target, version_cap=wire.VERSION))
        self._sender = Sender()

    def call(
        self, context: Any, host: str, method: str, version: str = wire.FIRST_VERSION,
        **arguments: Any,
    ) -> Any:
        """The agent's answer.

        :raises UnknownVersion: it is older than the message
        :raises QosError: what it raised, or AgentAway when no answer came within
            ``[nova_qos] rpc_timeout``, whether the agent or the broker is away
        """
        return self.begin(context, host, method, version, **arguments)()

    def begin(
        self, context: Any, host: str, method: str, version: str = wire.FIRST_VERSION,
        within_s: int | None = None, **arguments: Any,
    ) -> Callable[[], Any]:
        """Begin to ask; what this returns waits, and does what ``call`` does.

        :param within_s: for how long to wait; None: ``[nova_qos] rpc_timeout``
        """
        timeout = within_s or nova_conf.CONF.nova_qos.rpc_timeout

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

    def cast(self, context: Any, host: str, method: str, version: str, **arguments: Any) -> None:
        """Tell the agent something; returns at once, whether it arrives or not."""
        client = self._router.client(context)
        prepared = client.prepare(server=host, version=version, retry=0)
        with contextlib.suppress(messaging.MessagingException, errors.AgentAway):
            self._sender.send(
                client.transport, lambda: prepared.cast(context, method, **arguments), _CAST_S)


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


def _too_old(host: str) -> UnknownVersion:
    return UnknownVersion(f"nova-qos-agent on host {host} is too old for this request; upgrade it")
