# SPDX-License-Identifier: Apache-2.0
"""The API's side of the bus: asks the agent on a server's host."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nova import conf as nova_conf

from nova_qos.bus import wire
from nova_qos.bus.asking import Asker, UnknownVersion
from nova_qos.bus.wire import SetAnswer
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY, Entries, SavedServer
from nova_qos.resources import FIRST

#: The pauses between two questions whether a guest has followed: they grow from the first.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
#: The pauses between two attempts while a guest has yet to report.
_LEAST_WAIT_S, _LONGEST_WAIT_S = 0.2, 1.0


class AgentClient:
    """Asks the agent on one host, through the message bus of the cell that the context is in.

    Every method raises what the agent raised, or AgentAway when no answer came within
    ``[nova_qos] rpc_timeout``, whether the agent or the broker is away.
    """

    def __init__(self) -> None:
        self._bus = Asker()

    def read(
        self, context: Any, host: str, server_uuid: str, names: Sequence[str]
    ) -> dict[str, Reading]:
        """What the host holds for the named resources of one server; what an older agent does not
        know is unsupported. With ``POLICY`` among the names, the answer has a reading of the
        agent's copy of the policies, see ``Policies.reading``; none where the agent is older."""
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
    ) -> SetAnswer:
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
        version = wire.POLICY_VERSION if POLICY in settings else wire.PARTLY_VERSION
        try:
            answer = self._set_when_due(context, host, version, arguments | more, give_up)
        except UnknownVersion:
            answer = self._set_by_older(context, host, arguments, more, give_up)
        return replace(answer, readings=_completed(answer.readings, names, host))

    def followed(
        self, context: Any, host: str, server_uuid: str, answer: SetAnswer
    ) -> dict[str, Reading]:
        """Readings of what is ``moving`` in an answer, once the guest has followed, or the agent's
        ``balloon_timeout`` is over."""
        give_up, pause_s = time.monotonic() + answer.settle_s, FIRST_PAUSE_S
        while True:
            time.sleep(pause_s)
            readings = self.read(context, host, server_uuid, answer.moving)
            if time.monotonic() > give_up or not any(
                    reading.unmet == "pending" for reading in readings.values()):
                return readings
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def discard(self, context: Any, host: str, server_uuid: str, entries: Entries) -> None:
        """Have the agent take a set back that could not be saved; returns at once. Where this does
        not arrive, the agent finds out by itself, at its first check after ``rpc_timeout``."""
        self._bus.cast(
            context, host, "discard", wire.WAITING_VERSION, server_uuid=server_uuid,
            entries=wire.entries_to_wire(entries))

    def balloon(self, context: Any, host: str, server_uuid: str) -> bool:
        """Whether the guest's balloon driver lives, as far as that is known now."""
        try:
            alive, _reason, due_s = self._bus.call(
                context, host, "balloon", wire.WAITING_VERSION, server_uuid=server_uuid,
                waits=False)
            # agents of this version have said when to ask again about an overdue report
            return bool(alive) and due_s == 0
        except UnknownVersion:
            # an agent before 1.2 waits by itself
            alive, _reason = self._bus.call(context, host, "balloon", server_uuid=server_uuid)
            return bool(alive)

    def _set_by_older(
        self, context: Any, host: str, arguments: dict[str, Any], more: dict[str, Any],
        give_up: float,
    ) -> SetAnswer:
        """A set by an agent before 1.3, which knows no more than the first resources."""
        unknown = [name for name in arguments["settings"] if name not in FIRST]
        if unknown:
            raise older(host, unknown)
        names = [name for name in more["names"] if name in FIRST]
        try:
            return self._set_when_due(
                context, host, wire.WAITING_VERSION,
                arguments | {"names": names, "server": more["server"]}, give_up)
        except UnknownVersion:
            # an agent before 1.2 saves and waits by itself, and answers what was set
            held = wire.readings_from_wire(self._bus.call(context, host, "set", **arguments))
            others = [name for name in names if name not in held]
            read = self.read(context, host, arguments["server_uuid"], others) if others else {}
            return SetAnswer(held | read)

    def _begin_to_ask(
        self, context: Any, host: str, method: str, version: str, names: Sequence[str],
        **arguments: Any,
    ) -> Callable[[], Any]:
        """Begin to ask, by a method that came with ``version``, for what the agent knows of these
        resources; what this returns waits."""
        first = [name for name in names if name in FIRST]
        if len(first) == len(names):
            return self._bus.begin(context, host, method, version, names=first, **arguments)
        answer = self._bus.begin(context, host, method, wire.PARTLY_VERSION, names=list(names),
                             partly=True, **arguments)

        def wait() -> Any:
            with contextlib.suppress(UnknownVersion):
                return answer()
            return self._bus.call(context, host, method, version, names=first, **arguments)

        return wait

    def _set_when_due(
        self, context: Any, host: str, version: str, arguments: dict[str, Any], give_up: float
    ) -> SetAnswer:
        while True:
            answer = SetAnswer.from_wire(self._bus.call(
                context, host, "set", version, **arguments))
            if answer.too_early is None:
                return answer
            wait_s = pause_s([answer.too_early])
            if time.monotonic() + wait_s > give_up:
                raise answer.too_early
            time.sleep(wait_s)


def pause_s(early: Iterable[errors.TooEarly]) -> float:
    """How long to wait, in seconds, before guests that had yet to report are asked again."""
    return max(_LEAST_WAIT_S, min(
        max((each.due_s for each in early), default=0.0), _LONGEST_WAIT_S))


def _completed(
    found: Mapping[str, Reading], names: Sequence[str], host: str
) -> dict[str, Reading]:
    """The readings, with those of resources that the agent does not know."""
    return {**found, **{name: Reading.unread(older(host, [name])) for name in names
                        if name not in found and name != POLICY}}


def older(host: str, names: Sequence[str]) -> errors.HostCannot:
    """That the agent there does not know these."""
    return errors.HostCannot(
        f"nova-qos-agent on host {host} is older than this API and does not know "
        f"{', '.join(names)}; upgrade it")
