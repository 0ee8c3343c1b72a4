# SPDX-License-Identifier: Apache-2.0
"""All running domains, from one bulk call to libvirt."""

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import libvirt

from nova_qos.core import errors
from nova_qos.host import Interfaces
from nova_qos.virt import failures, groups, hangs
from nova_qos.virt.calls import Calls
from nova_qos.virt.definition import Definition
from nova_qos.virt.definitions import Definitions, Signature
from nova_qos.virt.pool import Call, Overdue

_STATS_FLAGS = (libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
                | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
_STATE_AND_INTERFACES = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE
#: What libvirt asks each QEMU for.
_BALLOONS = libvirt.VIR_DOMAIN_STATS_BALLOON
_WITH_DISKS = _BALLOONS | libvirt.VIR_DOMAIN_STATS_BLOCK
_FIGURES = (_WITH_DISKS | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_VCPU)
_BALLOON = "balloon."
#: libvirt has it of every domain that it could ask QEMU about.
_ASKED = "balloon.rss"
# How long a call for all domains may take.
_LIST_S = 15.0
# How long the figures of all guests may take.
_GUESTS_S = 5.0
# How many calls may hang for them at a time, each at a QEMU of its own; single guests need the
# other threads.
_MOST_HANGING = 4
# Pause (s) before a call repeats one that another caller had in flight.
_RETRY_S = 0.1


_Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Running:
    """What libvirt tells of a domain without its QEMU."""

    signature: Signature
    state: tuple[int, int]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """One running domain: its id, its state and the reason in libvirt's numbers, its definition or
    why nobody can tell it, and the figures of its balloon, None where they were not requested or
    libvirt has none. ``record`` is all that the bulk calls told, by libvirt's names, where that
    was requested."""

    domain_id: int
    state: tuple[int, int]
    definition: Definition | errors.HostRefused
    balloon: Mapping[str, int] | None
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether its QEMU has answered."""
        return _ASKED in self.record


class Inventory:
    """Lists the running domains; used by many threads."""

    def __init__(self, calls: Calls, definitions: Definitions) -> None:
        self._calls, self._definitions = calls, definitions
        #: The last call for all guests, what it asks for, and those before that hang.
        self._asked: Call[_Records] | None = None
        self._asked_for = 0
        self._hanging: list[Call[_Records]] = []
        self._asking = threading.Lock()

    def interfaces(self) -> dict[str, Interfaces]:
        """The interfaces of every running domain by the server's uuid, but of those whose QEMU has
        not answered since before anybody read their definition.

        :raises HostAway: libvirt does not answer
        :raises HostRefused: libvirt answers, but not this
        """
        return {uuid: each.definition.interfaces for uuid, each in self.list().items()
                if isinstance(each.definition, Definition)}

    def machines(self) -> frozenset[str]:
        """The ``groups.machine`` of every running domain.

        :raises HostAway, HostRefused: as ``interfaces``
        """
        try:
            return self._calls.call("machines", _machines, _LIST_S)
        except libvirt.libvirtError as error:
            raise failures.translate(error, running=True) from error

    def list(
        self, balloons: bool = False, figures: bool = False, disks: bool = False
    ) -> dict[str, Listed]:
        """Every running domain by the server's uuid.

        :param balloons: with the figures of their balloons, for which libvirt asks each QEMU; the
            size of one that moves may be a second old, since QEMU tells it no more often
        :param figures: with all figures, balloons' among them
        :param disks: with the figures of balloons and disks
        :raises HostAway, HostRefused: as ``interfaces``
        """
        wanted = _FIGURES if figures else _WITH_DISKS if disks else _BALLOONS if balloons else 0
        told = self._ask_guests(wanted) if wanted else {}
        try:
            running = self._calls.call("list", _look, _LIST_S)
            definitions = self._definitions.of_all(
                {uuid: each.signature for uuid, each in running.items()})
        except libvirt.libvirtError as error:
            raise failures.translate(error, running=True) from error
        found = {uuid: Listed(running[uuid].signature[0], running[uuid].state, definition,
                              balloon_of(told.get(uuid, {})),
                              {**running[uuid].record, **told.get(uuid, {})}
                              if figures or disks else {})
                 for uuid, definition in definitions.items()}
        self._calls.hangs.retain(found)
        return found

    def _ask_guests(self, wanted: int) -> _Records:
        """What libvirt tells of all guests; of one whose QEMU does not answer, what it knows.

        A call hangs at the first such guest. libvirt passes over one that another call waits for,
        so the next call gets beyond it.
        """
        give_up_s = time.monotonic() + _GUESTS_S
        while (rest_s := give_up_s - time.monotonic()) > 0:
            try:
                asked, is_enough = self._ask_once(wanted)
                told = asked.wait(asked.lasted_s + min(hangs.PATIENCE_S, rest_s))
                if is_enough:
                    return told
            except Overdue:
                self._look_who_hangs(asked)
            except libvirt.libvirtError as error:
                raise failures.translate(error, running=True) from error
            except errors.HostRefused:
                break
        return {}

    def _ask_once(self, wanted: int) -> tuple[Call[_Records], bool]:
        """The call in flight, or a new one: with two, each would report the other's guests as
        busy. And whether it asks for all that is wanted."""
        with self._asking:
            if self._asked is None or self._asked.answer.done():
                self._hanging = [each for each in self._hanging if not each.answer.done()]
                if len(self._hanging) >= _MOST_HANGING:
                    raise errors.HostRefused("too many guests hang")
                self._asked = self._calls.begin(
                    f"guests, {time.monotonic()}",
                    lambda connection: self._ask_all(connection, wanted))
                self._asked_for = wanted
            return self._asked, not wanted & ~self._asked_for

    def _look_who_hangs(self, asked: Call[_Records]) -> None:
        """Leave a call to the guest that it is stuck at: one that was asked something after the
        call began, and has not answered since."""
        def look(connection: libvirt.virConnect) -> dict[str, float]:
            silent_s: dict[str, float] = {}
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                with contextlib.suppress(libvirt.libvirtError):  # it has ended meanwhile
                    silent_s[domain.UUIDString()] = hangs.silent_s(domain)
            return silent_s

        silent_s = self._calls.call("hangs", look)
        stuck_at = {uuid: for_s for uuid, for_s in silent_s.items()
                    if hangs.HANGS_S < for_s <= asked.lasted_s}
        with self._asking:
            if stuck_at and asked is self._asked:
                self._hanging.append(asked)
                self._asked = None
        for uuid, for_s in stuck_at.items():
            self._calls.hangs.found(uuid, for_s)

    def _ask_all(self, connection: libvirt.virConnect, wanted: int) -> _Records:
        def ask() -> _Records:
            return {domain.UUIDString(): record for domain, record
                    in connection.getAllDomainStats(wanted, _STATS_FLAGS)}

        found = ask()
        if any(_ASKED not in record and not self._calls.hangs.knows(uuid)
               for uuid, record in found.items()):
            time.sleep(_RETRY_S)
            found |= {uuid: record for uuid, record in ask().items() if _ASKED in record}
        for uuid, record in found.items():
            if _ASKED in record:
                self._calls.hangs.answered(uuid)
        return found


def _machines(connection: libvirt.virConnect) -> frozenset[str]:
    running = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    return frozenset(groups.machine(domain.ID(), domain.name()) for domain in running)


def _look(connection: libvirt.virConnect) -> dict[str, _Running]:
    found = connection.getAllDomainStats(_STATE_AND_INTERFACES, _STATS_FLAGS)
    return {domain.UUIDString(): _Running(
        (domain.ID(), _names(figures)),
        (figures.get("state.state", 0), figures.get("state.reason", 0)), figures)
        for domain, figures in found}


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
