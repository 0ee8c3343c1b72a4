# SPDX-License-Identifier: Apache-2.0
"""All running domains, from one bulk call to libvirt."""

import threading
import time
from collections.abc import Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import libvirt

from nova_qos.core import errors
from nova_qos.host import Interfaces
from nova_qos.virt import failures
from nova_qos.virt.connection import Connection
from nova_qos.virt.definition import Definition

_STATS_FLAGS = (libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
                | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
_STATE_AND_INTERFACES = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE
_BALLOON = "balloon."
#: libvirt has it of every domain that it could ask QEMU about.
_ASKED = "balloon.rss"
# A definition is read again when one of these is new: the start of a domain gives it another id,
# and an interface that is plugged changes the names.
_Signature = tuple[int, tuple[str, ...]]
# And after so long, since not every change is announced.
_LONGEST_S = 300.0
# How long the figures of all balloons may take. Beyond that, a QEMU is stuck, and the call with it.
_PATIENCE_S = 5.0
# Pause (s) before a call repeats one that another caller had in flight.
_RETRY_S = 0.1


@dataclass(frozen=True)
class Listed:
    """One running domain: its id, its state and the reason in libvirt's numbers, its definition,
    and the figures of its balloon, None where they were not requested or libvirt has none."""

    domain_id: int
    state: tuple[int, int]
    definition: Definition
    balloon: Mapping[str, int] | None


class Inventory:
    """Lists the running domains; used by many threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._definitions: dict[str, tuple[_Signature, float, Definition]] = {}
        #: Counts the calls of ``forget``.
        self._generation = 0
        #: The last call for all balloons, and when it began (monotonic).
        self._balloons: futures.Future[dict[str, dict[str, int]]] | None = None
        self._asked_s = 0.0

    def interfaces(self) -> dict[str, Interfaces]:
        """The interfaces of every running domain by the server's uuid.

        :raises HostAway: libvirt does not answer
        :raises HostRefused: libvirt answers, but not this
        """
        return {uuid: each.definition.interfaces for uuid, each in self.list().items()}

    def list(self, balloons: bool = False) -> dict[str, Listed]:
        """Every running domain by the server's uuid.

        :param balloons: with the figures of their balloons, for which libvirt asks each QEMU; the
            size of one that moves may be a second old, since QEMU tells it no more often
        :raises HostAway, HostRefused: as ``interfaces``
        """
        figures = self._balloon_figures() if balloons else {}
        try:
            return self._connection.call(lambda connection: self._look(connection, figures))
        except libvirt.libvirtError as error:
            raise failures.translate(error, running=True) from error

    def known(self, server_uuid: str, domain_id: int) -> Definition | None:
        """A running domain's definition, where it was read before and no event has come since;
        None where it has to be read."""
        with self._lock:
            kept = self._definitions.get(server_uuid)
        if kept is None or kept[0][0] != domain_id or time.monotonic() > kept[1]:
            return None
        return kept[2]

    def forget(self, server_uuid: str | None) -> None:
        """Read a server's definition again when it is next needed; None = every server's."""
        with self._lock:
            self._generation += 1
            if server_uuid is None:
                self._definitions.clear()
            else:
                self._definitions.pop(server_uuid, None)

    def _balloon_figures(self) -> dict[str, dict[str, int]]:
        """The figures of all balloons; none where a stuck QEMU holds the call up.

        Only one call is in flight at a time: with two, each would report the other's guests as
        busy.
        """
        with self._lock:
            asked = self._balloons
            if asked is None or asked.done():
                asked, self._asked_s = futures.Future(), time.monotonic()
                self._balloons = asked
                threading.Thread(target=self._ask_balloons, args=(asked,), daemon=True,
                                 name="libvirt-balloons").start()
            patience_s = max(0.0, self._asked_s + _PATIENCE_S - time.monotonic())
        try:
            return asked.result(patience_s)
        except TimeoutError:
            return {}

    def _ask_balloons(self, answer: "futures.Future[dict[str, dict[str, int]]]") -> None:
        def ask(connection: libvirt.virConnect) -> dict[str, dict[str, int] | None]:
            return {domain.UUIDString(): balloon_of(figures) for domain, figures
                    in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BALLOON, _STATS_FLAGS)}

        try:
            found = self._connection.call(ask)
            if None in found.values():
                time.sleep(_RETRY_S)
                found |= {uuid: each for uuid, each in self._connection.call(ask).items() if each}
            answer.set_result({uuid: each for uuid, each in found.items() if each is not None})
        except libvirt.libvirtError as error:
            answer.set_exception(failures.translate(error, running=True))
        except errors.QosError as error:
            answer.set_exception(error)
        finally:
            # whoever waits goes on without figures, whatever has happened
            if not answer.done():
                answer.set_result({})

    def _look(
        self, connection: libvirt.virConnect, balloons: Mapping[str, Mapping[str, int]]
    ) -> dict[str, Listed]:
        found: dict[str, Listed] = {}
        definitions: dict[str, tuple[_Signature, float, Definition]] = {}
        now_s = time.monotonic()
        with self._lock:
            known, generation = dict(self._definitions), self._generation
        for domain, figures in connection.getAllDomainStats(_STATE_AND_INTERFACES, _STATS_FLAGS):
            uuid, signature = domain.UUIDString(), (domain.ID(), _names(figures))
            if uuid in known and known[uuid][0] == signature and now_s < known[uuid][1]:
                definitions[uuid] = known[uuid]
            else:
                try:
                    definitions[uuid] = (
                        signature, now_s + _LONGEST_S, Definition.parse(domain.XMLDesc()))
                except libvirt.libvirtError as error:
                    if failures.is_connection_lost(error):
                        raise
                    # it has ended meanwhile
                    continue
            state = (figures.get("state.state", 0), figures.get("state.reason", 0))
            found[uuid] = Listed(domain.ID(), state, definitions[uuid][2], balloons.get(uuid))
        with self._lock:
            if generation == self._generation:
                self._definitions = definitions
        return found


def balloon_of(figures: Mapping[str, Any]) -> dict[str, int] | None:
    """The figures of a balloon in a domain's statistics, named as ``virDomain.memoryStats`` names
    them; None where libvirt could not ask QEMU."""
    if _ASKED not in figures:
        return None
    mine = {name.removeprefix(_BALLOON).replace("-", "_"): value
            for name, value in figures.items() if name.startswith(_BALLOON)}
    actual = mine.pop("current")
    mine.pop("maximum", None)
    return {"actual": actual, **mine}


def _names(figures: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(value) for name, value in sorted(figures.items()) if name.endswith(".name"))
