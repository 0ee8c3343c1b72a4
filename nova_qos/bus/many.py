# SPDX-License-Identifier: Apache-2.0
"""The API's side of the bus for many servers of one host at a time."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from nova import conf as nova_conf

from nova_qos.bus import wire
from nova_qos.bus.asking import Asker, UnknownVersion
from nova_qos.bus.client import FIRST_PAUSE_S, LONGEST_PAUSE_S, AgentClient, older, pause_s
from nova_qos.bus.wire import Result, SetAnswer, Wish
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY


class ManyClient:
    """Changes servers of one host by one message, whatever their number, up to
    ``wire.MOST_SERVERS``. What goes wrong with one server is that one's result."""

    def __init__(self, agent: AgentClient) -> None:
        """:param agent: for agents that know no such message"""
        self._agent, self._bus = agent, Asker()

    def set(
        self, context: Any, host: str, wishes: Sequence[Wish], force: bool,
        together: bool = False,
    ) -> dict[str, Result]:
        """By server, what ``AgentClient.set`` answers or raises, with readings of what was set.

        :param together: change all of them or none; then all results are errors, or none is
        """
        more = {"together": True} if together else {}
        has_policy = any(POLICY in wish.settings for wish in wishes)
        version = wire.POLICY_VERSION if has_policy else wire.SET_MANY_VERSION
        waits_s = nova_conf.CONF.nova_qos.rpc_timeout
        give_up = time.monotonic() + waits_s
        left, results = {wish.server.uuid: wish for wish in wishes}, dict[str, Result]()
        while left:
            try:
                found = self._bus.call(
                    context, host, "set_many", version, force=force,
                    items=[wish.to_wire() for wish in left.values()], answer_s=waits_s, **more)
            except UnknownVersion:
                if together or has_policy:
                    return dict.fromkeys(left, older(
                        host, ["changes together" if together else "policies"]))
                return self._one_by_one(context, host, wishes, force, give_up)
            except errors.QosError as error:
                return results | dict.fromkeys(left, error)
            results |= {uuid: wire.result_from_wire(found[uuid]) for uuid in left}
            early = {uuid: each.too_early for uuid in left
                     if isinstance(each := results[uuid], SetAnswer) and each.too_early}
            wait_s = pause_s(early.values())
            if time.monotonic() + wait_s > give_up:
                return results | early
            left = {uuid: left[uuid] for uuid in early}
            if left:
                time.sleep(wait_s)
        return results

    def _one_by_one(
        self, context: Any, host: str, wishes: Sequence[Wish], force: bool, give_up: float
    ) -> dict[str, Result]:
        """By an agent before 1.4."""
        results = dict[str, Result]()
        for server, settings in ((each.server, each.settings) for each in wishes):
            try:
                if time.monotonic() > give_up:
                    raise errors.AgentAway(
                        f"nova-qos-agent on host {host} is old, takes one server at a time and did "
                        "not come to this one in time")
                results[server.uuid] = self._agent.set(
                    context, host, server, settings, force, list(settings))
            except errors.QosError as error:
                results[server.uuid] = error
        return results

    def followed(
        self, context: Any, host: str, answers: Mapping[str, SetAnswer]
    ) -> dict[str, dict[str, Reading]]:
        """By server, what ``AgentClient.followed`` answers, by one question for all until a guest
        has got there."""
        moving = {uuid: each.moving for uuid, each in answers.items() if each.moving}
        names = sorted({name for each in moving.values() for name in each})
        give_up = time.monotonic() + max((answers[uuid].settle_s for uuid in moving), default=0)
        wait_s, waiting = FIRST_PAUSE_S, list(moving)
        while waiting and time.monotonic() < give_up:
            time.sleep(wait_s)
            read = self._agent.read_many(context, host, waiting, names)
            waiting = [uuid for uuid in waiting if any(
                read[uuid][name].unmet == "pending" for name in moving[uuid])]
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)
        # libvirt's statistics of all servers are up to a second behind: QEMU tells of a balloon
        # that moves no more often
        return {uuid: self._agent.read(context, host, uuid, moving[uuid]) for uuid in moving}
