# SPDX-License-Identifier: Apache-2.0
"""The agent's side of the bus: what arrives is checked again, since others may write to it."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import oslo_messaging as messaging
from oslo_utils import uuidutils

from nova_qos.bus import wire
from nova_qos.bus.wire import Wish
from nova_qos.core import errors
from nova_qos.core.server import POLICY
from nova_qos.resources import TABLE

_READABLE = frozenset((*TABLE, POLICY))
_Method = TypeVar("_Method", bound=Callable[..., Any])


def answers(method: _Method) -> _Method:
    """Our errors are answers, not faults of the agent to be logged with a traceback."""

    @functools.wraps(method)
    def answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except messaging.MessagingTimeout as error:
            raise errors.AgentAway("nova-conductor does not answer the agent") from error

    return messaging.expected_exceptions(errors.QosError)(answered)  # type: ignore[no-any-return]


def known(names: Any, partly: Any = False) -> list[str]:
    """Names of what can be read: resources, and ``POLICY``.

    :param partly: True leaves out those that are none, which a newer API may ask for
    :raises InvalidSetting: one is none
    """
    if partly is True:
        names = [name for name in names if name in _READABLE]
    unknown = [str(name)[:40] for name in names if name not in _READABLE]
    if unknown:
        raise errors.InvalidSetting(f"no such resource: {', '.join(unknown)}")
    return list(names)


def settings_of(settings: Any, partly: Any) -> dict[str, Any]:
    """Settings by resource.

    :param partly: True: they are a newer API's where one is unknown here
    :raises InvalidSetting, HostCannot: one is no resource
    """
    try:
        names = known([name for name in settings if name != POLICY])
        return {name: settings[name] for name in (*names, POLICY) if name in settings}
    except errors.InvalidSetting as error:
        if partly is True:
            raise errors.HostCannot(
                f"the agent is older than this API; upgrade it: {error.message}") from error
        raise


def uuids(server_uuids: Any) -> list[str]:
    """Ids of servers.

    :raises InvalidSetting: one is none, or they are more than ``wire.MOST_SERVERS``
    """
    invalid = [str(each)[:40] for each in server_uuids if not uuidutils.is_uuid_like(each)]
    if invalid:
        raise errors.InvalidSetting(f"not a server id: {', '.join(invalid)}")
    if len(server_uuids) > wire.MOST_SERVERS:
        raise errors.InvalidSetting(f"more than {wire.MOST_SERVERS} servers in one request")
    return list(server_uuids)


def wishes(items: Any, host: str) -> list[Wish]:
    """What a set_many asks for on servers of this host, each once.

    :raises InvalidSetting, HostCannot: that cannot be read, or a resource is unknown here
    """
    try:
        found = {each["server_uuid"]: Wish(
            wire.server_from_wire(each["server_uuid"], host, each["server"]),
            settings_of(each["settings"], partly=True)) for each in items}
    except (TypeError, KeyError, AttributeError) as error:
        raise errors.InvalidSetting(f"no list of servers with their settings: {error}") from error
    if len(uuids(list(found))) != len(items):
        raise errors.InvalidSetting("a server is named more than once")
    return list(found.values())
