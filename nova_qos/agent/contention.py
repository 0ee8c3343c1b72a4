# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of its host as a whole: the servers there together, and its state."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nova_qos.agent import hold
from nova_qos.agent.balance.account import Account
from nova_qos.agent.look import Looker
from nova_qos.core import contention, desired, errors, host_report
from nova_qos.core.balloon import Balloon
from nova_qos.core.contention import FAMILIES, Judgement, Placed, Summary
from nova_qos.core.known import Copy
from nova_qos.core.reading import Reading
from nova_qos.core.room import Room
from nova_qos.core.server import SavedServer
from nova_qos.host import Host, SeenDomain, Snapshot
from nova_qos.resources import TABLE

_BYTES_PER_MIB = 2**20
#: Among a server's figures.
_RESIDENT = "server_memory_resident_bytes"
_NAMES = [name for family in FAMILIES for name in (family.most, family.guarantee)]


@dataclass(frozen=True)
class State:
    """What a look at a host has found; ``since``: when each of ``judgement.conditions`` began (s
    since 1970)."""

    judgement: Judgement
    summary: Summary
    room: Room
    since: Mapping[str, float]


class Contention:
    """Looks at all servers of one host together; used by many threads.

    Since when the host is in a state counts from the first look that found it so.
    """

    def __init__(
        self, machine: Host, looker: Looker,
        account: Callable[[], Account] = lambda: Account("off"),
        listener: Callable[[State], None] | None = None,
        policies: Callable[[], Reading] | None = None,
    ) -> None:
        """:param account: tells what balancing does now
        :param listener: told the state of the host at each look; returns at once
        :param policies: tells of the host's copy of the policies, as ``Policies.reading``
        """
        self._policies = policies
        self._machine, self._looker, self._account = machine, looker, account
        self._listener = listener
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def report(self, servers: bool = False) -> host_report.HostReport:
        """The host as it is now, from one snapshot: a guest that hangs costs no more than its own
        figures.

        :param servers: with each of its servers, as ``placed``
        :raises HostAway: libvirt does not answer
        :raises HostRefused: the kernel does not tell the host's own figures
        """
        seen = self._machine.snapshot(hold.knobs(_NAMES), figures=servers)
        placed = list(self._placed(self._looker.roster.servers(), seen))
        room, reserve_mib = self._machine.room(), self._reserve_mib
        summary = contention.summary([each for _server, each in placed], room, reserve_mib)
        account = self._account()
        judgement = contention.judge(
            summary, room, account.reasons if account.state == "short" else ())
        since = self._judged(judgement, summary, room)
        copy = Copy.of(self._policies()) if self._policies else Copy()
        found = host_report.shown(summary, room, judgement, since, account.shown(), copy)
        if servers:
            found["placed"] = [self._shown(server, each, seen) for server, each in placed]
        return found

    def judge(self) -> None:
        """Look at the host, so that whoever wants to know of its state is told; raises as
        ``report``."""
        if self._listener is not None:
            self.report()

    @property
    def _reserve_mib(self) -> int:
        reserve_mib: int = self._looker.options.nova_qos.memory_reserve_mib
        return reserve_mib

    def _judged(
        self, judgement: Judgement, summary: Summary, room: Room
    ) -> dict[str, float]:
        """Since when what is true of the host is."""
        since = self._since_of(judgement)
        if self._listener is not None:
            self._listener(State(judgement, summary, room, since))
        return since

    def _shown(self, server: SavedServer, placed: Placed, seen: Snapshot) -> dict[str, Any]:
        called = self._looker.roster.called.get(server.uuid)
        return host_report.placed(
            server, called.name if called else "", placed, self._reserve_mib,
            _resident_mib(server.uuid, seen) if placed.runs else 0,
            desired.resolve(TABLE, server)["memory_priority"].value)

    def _placed(
        self, servers: Sequence[SavedServer], seen: Snapshot
    ) -> Iterator[tuple[SavedServer, Placed]]:
        for server in servers:
            try:
                yield server, _running(server, seen.domain(server.uuid))
            except errors.ServerNotRunning:
                # one that is still elsewhere, or already, counts there
                if server.host == self._looker.roster.host:
                    yield server, Placed(server.flavor, runs=False)
            except errors.Unreachable:
                raise
            except errors.QosError as error:
                unread = dict.fromkeys(_NAMES, Reading.unread(error))
                yield server, _of(server, unread, None)

    def _since_of(self, judgement: Judgement) -> dict[str, float]:
        with self._lock:
            now_s = time.time()
            self._since = {name: self._since.get(name, now_s) for name in judgement.conditions}
            return dict(self._since)


def _resident_mib(server_uuid: str, seen: Snapshot) -> int | None:
    """What of the host's memory its QEMU has."""
    try:
        figures = seen.figures_of(server_uuid).get(_RESIDENT, {})
    except errors.QosError:
        return None
    resident = figures.get(())
    return None if resident is None else math.ceil(resident / _BYTES_PER_MIB)


def _running(server: SavedServer, domain: SeenDomain) -> Placed:
    return _of(server, hold.read(domain, _NAMES), _balloon(domain))


def _balloon(domain: SeenDomain) -> Balloon | None:
    try:
        return domain.balloon()
    except (errors.HostCannot, errors.HostRefused, errors.ServerNotRunning):
        # what it has cannot be taken, or nobody can tell now
        return None


def _of(server: SavedServer, readings: Mapping[str, Reading], balloon: Balloon | None) -> Placed:
    targets = desired.resolve(TABLE, server)
    return Placed(
        server.flavor, runs=True, balloon=balloon,
        requested={each.name: targets[each.most].value for each in FAMILIES},
        applied={each.name: TABLE[each.most].unit.from_host(readings[each.most].applied)
                 for each in FAMILIES},
        guaranteed={each.name: _guaranteed(each.guarantee, readings[each.guarantee],
                                           targets[each.guarantee].value) for each in FAMILIES})


def _guaranteed(name: str, reading: Reading, target: int) -> int:
    """What a server is guaranteed as its host counts it: what was written, though the host may keep
    less; where that cannot be read, what is to be."""
    if reading.unmet == "unsupported":
        return 0
    asked = TABLE[name].unit.from_host(reading.asked)
    return max(0, target if asked is None else int(asked))
