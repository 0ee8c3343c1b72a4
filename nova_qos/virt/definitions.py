# SPDX-License-Identifier: Apache-2.0
"""The definitions of running domains, read when they are needed and kept."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import libvirt

from nova_qos.core import errors
from nova_qos.virt import failures
from nova_qos.virt.calls import Calls
from nova_qos.virt.definition import Definition
from nova_qos.virt.hangs import PATIENCE_S
from nova_qos.virt.pool import LIMIT_S

#: What tells that a definition has to be read again: the start of a domain gives it another id, and
#: an interface that is plugged changes the names of the interfaces.
Signature = tuple[int, tuple[str, ...]]
# A definition is read again after so long, since not every change is announced.
_LONGEST_S = 300.0
# How long one list waits for guests that hang, however many do.
_FOR_HUNG_S = 2.0


@dataclass(frozen=True)
class _Kept:
    """A definition that was read, and until when (monotonic) it need not be read again."""

    signature: Signature
    until_s: float
    definition: Definition


class Definitions:
    """What running domains are made of; used by many threads."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        #: Counts the calls of ``forget``.
        self._generation = 0
        self._is_watched = False

    def watched(self) -> None:
        """Rely on it from now on that ``forget`` is called with every change that libvirt tells."""
        self._is_watched = True

    def known(self, server_uuid: str, domain_id: int | None) -> Definition | None:
        """A running domain's definition, where it was read before and no event has come since;
        None where it has to be read.

        :param domain_id: of which start of the server; None = of the last
        """
        kept = self._last(server_uuid, domain_id) if self._is_watched else None
        return kept.definition if kept and time.monotonic() < kept.until_s else None

    def of(self, server_uuid: str, domain_id: int) -> Definition:
        """A running domain's definition: the one that is known, else as it is now; of a guest that
        hangs, as it was read last.

        :raises HostRefused: the guest hangs, and nobody has read it before
        :raises HostAway: libvirt does not answer
        """
        known = self.known(server_uuid, domain_id)
        if known is not None:
            return known
        try:
            return Definition.parse(self._calls.describe(server_uuid, LIMIT_S))
        except errors.HostRefused:
            last = self._last(server_uuid, domain_id)
            if last is None:
                raise
            return last.definition

    def forget(self, server_uuid: str | None) -> None:
        """Read a server's definition again when it is next needed; None = every server's."""
        with self._lock:
            self._generation += 1
            self._kept = {
                uuid: replace(kept, until_s=0.0) if server_uuid in (None, uuid) else kept
                for uuid, kept in self._kept.items()}

    def of_all(
        self, running: Mapping[str, Signature]
    ) -> dict[str, Definition | errors.HostRefused]:
        """The definition of each of these domains, or why nobody can tell it; without those that
        have ended meanwhile. All others are forgotten.

        :raises HostAway, libvirtError: libvirt does not answer
        """
        with self._lock:
            known, generation = dict(self._kept), self._generation
        keep: dict[str, _Kept] = {}
        found: dict[str, Definition | errors.HostRefused] = {}
        rest_s = _FOR_HUNG_S
        for server_uuid, signature in running.items():
            began_s, kept = time.monotonic(), known.get(server_uuid)
            if kept is None or kept.signature != signature or began_s >= kept.until_s:
                try:
                    read = self._read(server_uuid, rest_s)
                except errors.HostRefused as error:
                    rest_s -= time.monotonic() - began_s
                    if kept is None or kept.signature[0] != signature[0]:
                        found[server_uuid] = error
                        continue
                    # as it was, until the guest answers again
                    kept = replace(kept, until_s=0.0)
                else:
                    if read is None:
                        continue
                    kept = _Kept(signature, began_s + _LONGEST_S, read)
            keep[server_uuid], found[server_uuid] = kept, kept.definition
        with self._lock:
            if generation == self._generation:
                self._kept = keep
        return found

    def _last(self, server_uuid: str, domain_id: int | None) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(server_uuid)
        return kept if kept and domain_id in (None, kept.signature[0]) else None

    def _read(self, server_uuid: str, rest_s: float) -> Definition | None:
        """As it is now; None where the domain has ended.

        :param rest_s: how long others that hang may still be waited for
        """
        if rest_s <= 0:
            raise errors.HostRefused(
                "so many guests hang that nobody has looked at this one; try again")
        try:
            return Definition.parse(self._calls.describe(server_uuid, PATIENCE_S))
        except libvirt.libvirtError as error:
            if failures.is_connection_lost(error):
                raise
            return None
