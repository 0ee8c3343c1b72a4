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
_MOST_KIB = 2**53


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
    others; the same is true later of a server that has come since the last look, or that cannot be
    managed for the moment. Then the balancer has yet to say.
    """

    def __init__(self, is_on: bool) -> None:
        """:param is_on: whether the host is balanced at all"""
        self._is_on = is_on
        self._lock = threading.Lock()
        self._gifts: Mapping[str, Gift] = {}
        #: The servers that the last look knew what to do about.
        self._known: Collection[str] = ()
        self._is_calm = not is_on

    def replace(self, gifts: Mapping[str, Gift], known: Collection[str]) -> None:
        """The host is tense: these servers get that; of the others that are known, nobody takes
        anything."""
        with self._lock:
            self._gifts, self._known, self._is_calm = dict(gifts), known, False

    def clear(self) -> bool:
        """The host is calm: all servers get what was requested.

        :returns: whether that is new
        """
        with self._lock:
            is_new = not self._is_calm
            self._gifts, self._known, self._is_calm = {}, (), True
            return is_new

    def of(self, server_uuid: str) -> Gift | None:
        """What a server gets; None for what was requested."""
        return self._gifts.get(server_uuid)

    def balanced(self, server: SavedServer) -> SavedServer:
        """A server with what it gets."""
        gift = self.of(server.uuid)
        if gift is not None:
            return replace(server, balanced={MEMORY: gift.memory_mib})
        return replace(server, balanced={MEMORY: None}) if self._is_open(server.uuid) else server

    def shown(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """A reading with what the balancer has done: that is no reason to call a setting not
        applied, which is the most that a server may have. The weight of its memory has an effect
        then."""
        if name == PRIORITY and self._is_on and reading.unmet is None:
            return replace(reading, effective=True, reason=None)
        if name != MEMORY or reading.applied is None or reading.unmet == "unsupported":
            return reading
        gift = self.of(server_uuid)
        if gift is None:
            is_open = reading.unmet is None and self._is_open(server_uuid)
            return _open(reading) if is_open else reading
        if gift.memory_mib > gift.most_mib:
            # of that, the guest needs more than it may have
            return reading if reading.unmet else replace(
                reading, unmet="refused", reason=f"{gift.why}; its guest needs more than "
                f"{gift.most_mib} MiB", applied_source=BALANCER)
        given_kib = gift.memory_mib * KIB_PER_MIB
        if not gift.is_less and (reading.applied > given_kib or gift.memory_mib == gift.flavor_mib):
            return reading
        # one that may have more since a moment ago, too, has its setting applied
        shown = replace(reading, unmet=None, span=(
            min(reading.applied, given_kib), gift.flavor_mib * KIB_PER_MIB))
        if not gift.is_less:
            return shown
        return replace(shown, reason=gift.why, applied_source=BALANCER)

    def _is_open(self, server_uuid: str) -> bool:
        """Whether the balancer has yet to say what a server gets."""
        with self._lock:
            return (not self._is_calm and server_uuid not in self._gifts
                    and server_uuid not in self._known)


def _open(reading: Reading) -> Reading:
    """The reading of a server whose memory nobody touches for now: it may hold back what another
    agent, or this one before, has taken."""
    return replace(
        # less than it has is what nobody applies now
        reading, unmet="refused", span=(reading.applied or 0, _MOST_KIB), applied_source=BALANCER,
        reason="the host's balancer has yet to say what the server gets")
