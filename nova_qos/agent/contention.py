# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of its host as a whole: the servers there together, and its state."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from nova_qos.agent import hold
from nova_qos.agent.balance.account import Account
from nova_qos.agent.look import Looker
from nova_qos.core import contention, desired, errors, host_report
from nova_qos.core.balloon import Balloon
from nova_qos.core.contention import FAMILIES, Judgement, Placed
from nova_qos.core.reading import Reading
from nova_qos.core.server import SavedServer
from nova_qos.host import Host, SeenDomain, Snapshot
from nova_qos.resources import TABLE

_NAMES = [name for family in FAMILIES for name in (family.most, family.guarantee)]


class Contention:
    """Looks at all servers of one host together; used by many threads.

    Since when the host is in a state counts from the first look that found it so.
    """

    def __init__(
        self, machine: Host, looker: Looker,
        account: Callable[[], Account] = lambda: Account("off"),
    ) -> None:
        """:param account: tells what balancing does now"""
        self._machine, self._looker, self._account = machine, looker, account
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def report(self) -> host_report.HostReport:
        """The host as it is now, from one snapshot: a guest that hangs costs no more than its own
        figures.

        :raises HostAway: libvirt does not answer
        :raises HostRefused: the kernel does not tell the host's own figures
        """
        servers = self._looker.servers()
        seen = self._machine.snapshot(hold.knobs(_NAMES))
        room = self._machine.room()
        summary = contention.summary(
            list(self._placed(servers, seen)), room,
            self._looker.options.nova_qos.memory_reserve_mib)
        account = self._account()
        judgement = contention.judge(
            summary, room, account.reasons if account.state == "short" else ())
        return host_report.shown(
            summary, room, judgement, self._since_of(judgement), account.shown())

    def _placed(self, servers: Sequence[SavedServer], seen: Snapshot) -> Iterator[Placed]:
        for server in servers:
            try:
                yield _running(server, seen.domain(server.uuid))
            except errors.ServerNotRunning:
                # one that is still elsewhere, or already, counts there
                if server.host == self._looker.host:
                    yield Placed(server.flavor, runs=False)
            except errors.Unreachable:
                raise
            except errors.QosError as error:
                unread = dict.fromkeys(_NAMES, Reading.unread(error))
                yield _of(server, unread, None)

    def _since_of(self, judgement: Judgement) -> dict[str, float]:
        with self._lock:
            now_s = time.time()
            self._since = {name: self._since.get(name, now_s) for name in judgement.conditions}
            return dict(self._since)


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
