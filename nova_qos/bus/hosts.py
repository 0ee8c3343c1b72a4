# SPDX-License-Identifier: Apache-2.0
"""The API's side of the bus for hosts as a whole: asks the agents of many, side by side."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from nova import conf as nova_conf

from nova_qos.bus import wire
from nova_qos.bus.asking import Asker
from nova_qos.core import errors
from nova_qos.core.errors import QosError
from nova_qos.core.host_report import HostReport

#: How long one agent may take, and for how long to begin to ask, in seconds. An agent looks at its
#: host for five where a guest has begun to hang.
_ONE_S, _ALL_S = 8, 12.0
#: How many are asked at a time: each question has two threads.
_AT_A_TIME = 64

Answer = HostReport | QosError
_log = logging.getLogger(__name__)


class HostClient:
    """Asks agents how their hosts are."""

    def __init__(self, bus: Asker | None = None) -> None:
        self._bus = bus or Asker()

    def reports(
        self, hosts: Iterable[tuple[str, Any]], servers: bool = False
    ) -> dict[str, Answer]:
        """By host, what its agent tells, or why it does not: UnknownVersion where it is older than
        this question, AgentAway where it does not answer in time.

        :param hosts: each with a context of its cell
        :param servers: with each server of them
        """
        within_s = min(_ONE_S, nova_conf.CONF.nova_qos.rpc_timeout)
        give_up = time.monotonic() + _ALL_S
        wanted, found = list(hosts), dict[str, Answer]()
        left = deque(wanted)

        def work() -> None:
            # one that does not answer keeps its thread, and nobody else waiting
            while (asked := _next(left)) is not None:
                host, context = asked
                found[host] = (
                    self._ask(context, host, within_s, servers) if time.monotonic() < give_up
                    else errors.AgentAway("other hosts took so long that this one was not asked"))

        threads = [threading.Thread(target=work, name="qos-hosts", daemon=True)
                   for _ in range(min(_AT_A_TIME, len(wanted)))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return {host: found[host] for host, _context in wanted}

    def _ask(self, context: Any, host: str, within_s: int, servers: bool) -> Answer:
        try:
            version = wire.PLACED_VERSION if servers else wire.HOST_VERSION
            told = self._bus.begin(
                context, host, "host_report", version, within_s=within_s,
                **({"servers": True} if servers else {}))()
        except QosError as error:
            return error
        except Exception:  # noqa: BLE001  # a fault of one agent is none of all others
            _log.exception("nova-qos-agent on host %s failed", host)
            return errors.HostRefused(
                f"nova-qos-agent on host {host} failed; its log says why")
        return told if isinstance(told, dict) else errors.HostRefused(
            f"nova-qos-agent on host {host} answered something else")


def _next(left: deque[tuple[str, Any]]) -> tuple[str, Any] | None:
    try:
        return left.popleft()
    except IndexError:
        return None
