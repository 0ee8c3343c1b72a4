# SPDX-License-Identifier: Apache-2.0
"""Readings for metrics: what a snapshot has of all servers is read each time, the rest seldom."""

import time
from collections.abc import Container, Iterable
from random import SystemRandom

from nova_qos.agent import hold
from nova_qos.core import desired, errors
from nova_qos.core.desired import Target
from nova_qos.core.reading import Reading
from nova_qos.core.server import SavedServer
from nova_qos.core.source import DEFAULT
from nova_qos.host import IN_BULK, SeenDomain, Snapshot
from nova_qos.resources import TABLE

_RANDOM = SystemRandom()
_Readings = dict[str, Reading]


class Recent:
    """Keeps what needs a question for each server, up to ``keep_s`` seconds, as long as what is
    saved of the server stays the same. What is not as it was requested is about to change, and not
    kept."""

    def __init__(self, names: Iterable[str], keep_s: float) -> None:
        names = list(names)
        self._each_time = [name for name in names if TABLE[name].knob in (None, *IN_BULK)]
        self._seldom = [name for name in names if name not in self._each_time]
        self._keep_s = keep_s
        self._kept: dict[str, tuple[float, SavedServer, _Readings]] = {}

    def read(self, seen: Snapshot, server: SavedServer) -> _Readings:
        """A server's readings; none where it does not run.

        :raises HostAway: libvirt does not answer
        """
        try:
            domain = seen.domain(server.uuid)
            return {**self._seldom_read(domain, server), **hold.read(domain, self._each_time)}
        except errors.ServerNotRunning:
            self._kept.pop(server.uuid, None)
            return {}

    def retain(self, server_uuids: Container[str]) -> None:
        """Forget all other servers."""
        for each in [each for each in self._kept if each not in server_uuids]:
            del self._kept[each]

    def _seldom_read(self, domain: SeenDomain, server: SavedServer) -> _Readings:
        until, saved, readings = self._kept.get(server.uuid, (0.0, None, {}))
        if time.monotonic() < until and saved == server:
            return readings
        readings = hold.read(domain, self._seldom)
        targets = desired.resolve(TABLE, server)
        if all(_is_settled(each, targets[name]) for name, each in readings.items()):
            # not all of a host's servers at the same time
            until = time.monotonic() + self._keep_s * _RANDOM.uniform(0.5, 1.0)
            self._kept[server.uuid] = (until, server, readings)
        return readings


def _is_settled(reading: Reading, target: Target) -> bool:
    if reading.unmet is not None:
        return reading.unmet == "unsupported"
    return target.source == DEFAULT or reading.holds(target.host_value)
