# SPDX-License-Identifier: Apache-2.0
"""What the balancer gives each server of the host: a source for the resolver."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from nova_qos.core.reading import Reading
from nova_qos.core.server import SavedServer
from nova_qos.core.units import KIB_PER_MIB

#: The resource that the balancer looks after, and its weight.
MEMORY, PRIORITY = "memory", "memory_priority"
#: As get-qos and lists say it.
BALANCER = "balancer"


@dataclass(frozen=True)
class Gift:
    """What one server gets, why as a sentence, what it may have at most, and what its flavor has;
    in MiB."""

    memory_mib: int
    why: str
    most_mib: int
    flavor_mib: int

    @property
    def is_less(self) -> bool:
        """Whether it is less than its user or policy allows."""
        return self.memory_mib < self.most_mib


class Given:
    """What all servers get; used by many threads.

    Until ``replace`` was called for the first time, nobody knows what balloons hold for the sake of
    others; the same is true later of a server that has come since the last look. Then the balancer
    has yet to say.
    """

    def __init__(self, is_on: bool) -> None:
        """:param is_on: whether the host is balanced at all"""
        self._is_on = is_on
        self._lock = threading.Lock()
        self._gifts: Mapping[str, Gift] = {}
        #: The servers that the last look saw; None before the first.
        self._seen: Collection[str] | None = None
        self._is_calm = not is_on

    def replace(self, gifts: Mapping[str, Gift], seen: Collection[str]) -> None:
        """The host is tense: these servers get that; of the others that were seen, nobody takes
        anything."""
        with self._lock:
            self._gifts, self._seen, self._is_calm = dict(gifts), seen, False

    def clear(self) -> bool:
        """The host is calm: all servers get what was requested.

        :returns: whether that is new
        """
        with self._lock:
            is_new = not self._is_calm
            self._gifts, self._seen, self._is_calm = {}, (), True
            return is_new

    def of(self, server_uuid: str) -> Gift | None:
        """What a server gets; None for what was requested."""
        return self._gifts.get(server_uuid)

    def balanced(self, server: SavedServer) -> SavedServer:
        """A server with what it gets."""
        with self._lock:
            if self._is_calm:
                return server
            gift = self._gifts.get(server.uuid)
            if gift is not None:
                return replace(server, balanced={MEMORY: gift.memory_mib})
            is_known = self._seen is not None and server.uuid in self._seen
        return server if is_known else replace(server, balanced={MEMORY: None})

    def shown(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """A reading with what the balancer has done: that is no reason to call a setting not
        applied, which is the most that a server may have. The weight of its memory has an effect
        then."""
        if name == PRIORITY and self._is_on and reading.unmet is None:
            return replace(reading, effective=True, reason=None)
        gift = self.of(server_uuid) if name == MEMORY else None
        if gift is None or reading.applied is None or reading.unmet == "unsupported":
            return reading
        given_kib = gift.memory_mib * KIB_PER_MIB
        if not gift.is_less and (reading.applied > given_kib or gift.memory_mib == gift.flavor_mib):
            return reading
        # one that may have more since a moment ago, too, has its setting applied
        shown = replace(reading, unmet=None, span=(
            min(reading.applied, given_kib), gift.flavor_mib * KIB_PER_MIB))
        if not gift.is_less:
            return shown
        return replace(shown, reason=gift.why, applied_source=BALANCER)
