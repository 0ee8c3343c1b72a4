# SPDX-License-Identifier: Apache-2.0
"""The metrics of a host and its servers, collected anew for each scrape."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from oslo_log import log
from prometheus_client.registry import Collector

from nova_qos.agent import hold
from nova_qos.agent.balance.account import Account
from nova_qos.agent.families import Families, Family, Took
from nova_qos.agent.look import Looker
from nova_qos.agent.readings import Readings
from nova_qos.agent.recent import Recent
from nova_qos.core import desired, errors, metric
from nova_qos.core.desired import Target
from nova_qos.core.metric import COLLECTORS
from nova_qos.core.reading import Reading
from nova_qos.core.report import held, report
from nova_qos.core.resource import Resource
from nova_qos.core.server import SavedServer
from nova_qos.core.sharing import Claim
from nova_qos.core.source import DEFAULT
from nova_qos.core.units import UNLIMITED
from nova_qos.host import Snapshot
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: 57 percent is 0.57, and not the binary fraction that a product may come to.
_DIGITS = 9
#: How long a scrape waits for its turn; Prometheus gives up after 10 s.
_TURN_S = 8.0
_Readings = dict[str, dict[str, Reading]]


class HostCollector(Collector):
    """Collects from one snapshot of the host, and from what the last check has loaded of its
    servers, so that a scrape asks neither nova nor a guest twice.

    Scrapes at the same time get their turns: libvirt has one bulk call of theirs in flight. One
    whose turn does not come in time gets what is known without the host.
    """

    def __init__(
        self, looker: Looker, readings: Readings, groups: Collection[str],
        build: tuple[str, str, str], usable: Callable[[], Mapping[str, bool]],
        account: Callable[[], Account] = lambda: Account("off"),
    ) -> None:
        """
        :param groups: those of ``metric.GROUPS`` that are wanted
        :param build: the versions of nova-qos, nova and libvirt
        :param usable: whether the host can apply each resource, as far as that is known
        :param account: tells what balancing does now
        """
        self._account = account
        self._looker, self._readings = looker, readings
        self._wanted = {each.name: each for each in metric.metrics(TABLE)
                        if each.group is None or each.group in groups}
        self._names = tuple(TABLE) if "settings" in groups else ()
        self._has_pressure = "pressure" in groups
        self._build, self._usable = build, usable
        self._recent = Recent(self._names, looker.options.nova_qos.check_interval)
        self._turn = threading.Lock()
        #: The collectors that failed at the last scrape.
        self._failing: set[str] = set()

    def collect(self) -> Iterator[Family]:
        """Every family that has a sample."""
        families = Families(self._wanted)
        self._add_own(families)
        if self._turn.acquire(timeout=_TURN_S):
            try:
                took = self._add_host(families)
                self._tell(took)
            finally:
                self._turn.release()
        else:
            took = {name: Took(_TURN_S, "other scrapes last") for name in COLLECTORS}
        for name, each in took.items():
            families.add("collector_success", (name,), each.why_not is None)
            families.add("collector_duration_seconds", (name,), each.seconds)
        return iter(families)

    def describe(self) -> Iterator[Family]:
        """Every family that there may be; without it, ``?name[]=`` would find none."""
        return Families(self._wanted).empty()

    def _add_host(self, families: Families) -> dict[str, Took]:
        """What the host tells; how the collectors fared."""
        took = {name: Took() for name in COLLECTORS}
        # nova is not asked: until the first check, no server is known
        servers = self._looker.roster.servers() if self._looker.roster.is_known else []
        seen = self._snapshot(took)
        if self._names:
            self._add_settings(families, servers, seen, took["settings"])
        if seen is not None:
            self._add_figures(families, servers, seen, took)
        return took

    def _tell(self, took: Mapping[str, Took]) -> None:
        """Log what is new: which collectors fail, and why."""
        for name, each in took.items():
            if each.why_not is None and name in self._failing:
                LOG.info("All metrics of the collector %s are there again", name)
            elif each.why_not is not None and name not in self._failing:
                LOG.warning("Metrics of the collector %s are missing: %s", name, each.why_not)
        self._failing = {name for name, each in took.items() if each.why_not is not None}

    def _add_own(self, families: Families) -> None:
        """What is known without the host."""
        families.add("build_info", self._build, 1)
        families.add_all(self._looker.history.counts.figures())
        account = self._account()
        families.add_all(account.figures())
        for server_uuid in account.plans:
            families.add_all(account.figures_of(server_uuid), server_uuid)
        for name, is_usable in self._usable().items():
            families.add("resource_usable", (name,), is_usable)
        for server_uuid, called in self._looker.roster.called.items():
            families.add("server_info", (server_uuid, called.name, called.project_id,
                                         called.flavor, called.domain), 1)

    def _snapshot(self, took: dict[str, Took]) -> Snapshot | None:
        with took["libvirt"].timed():
            seen = self._looker.machine.snapshot(hold.knobs(self._names), figures=True)
            for name, part in seen.parts.items():
                took[name] = Took(part.seconds, part.error)
            return seen
        return None

    def _add_figures(
        self, families: Families, servers: Sequence[SavedServer], seen: Snapshot,
        took: Mapping[str, Took],
    ) -> None:
        partial = 0
        for server in servers:
            with took["libvirt"].timed():
                families.add_all(seen.figures_of(server.uuid), server.uuid)
                partial += not seen.is_whole(server.uuid)
            if self._has_pressure:
                with took["cgroup"].timed():
                    families.add_all(seen.pressure_of(server.uuid), server.uuid)
        families.add_all(seen.figures())
        families.add("servers_partial", (), partial)

    def _add_settings(
        self, families: Families, servers: Sequence[SavedServer], seen: Snapshot | None, took: Took
    ) -> None:
        found: _Readings = {}
        self._recent.retain({server.uuid for server in servers})
        for server in servers:
            targets = desired.resolve(TABLE, server)
            read: dict[str, Reading] = {}
            with took.timed():
                try:
                    read = {} if seen is None else self._read(seen, server)
                except errors.Unreachable:
                    # else it would be waited for once more for each server
                    seen = None
                    raise
            found[server.uuid] = read
            with took.timed():
                for name, row in TABLE.items():
                    _add_setting(families, server, row, targets[name], read.get(name))
        if seen is not None:
            cpus = int(seen.figures().get("host_cpus", {}).get((), 0))
            # one that comes from another host is divided there, as lists have it
            here = [each for each in servers if each.host == self._looker.roster.host]
            _add_shares(families, here, found, cpus)

    def _read(self, seen: Snapshot, server: SavedServer) -> dict[str, Reading]:
        # some are as old as a check: to remember them would change what get-qos says
        return {name: self._readings.explain(server.uuid, name, reading)
                for name, reading in self._recent.read(seen, server).items()}


def _add_setting(
    families: Families, server: SavedServer, row: Resource, target: Target, reading: Reading | None
) -> None:
    """The values of one resource; its state only where somebody has set it."""
    is_set, of = target.source != DEFAULT, (server.uuid, row.name)
    if is_set and not target.missing:
        _add_value(families, server, row, "requested", target.requested)
    if reading is None:
        return
    reading = held(row, target, reading)
    if is_set or row.knob is not None:
        _add_value(families, server, row, "applied", row.unit.from_host(reading.applied))
    if is_set:
        shown = report(row, target, server.flavor, reading)
        families.add("server_setting_state", (*of, str(shown["state"]), str(shown["source"])), 1)
        families.add("server_setting_effective", of, bool(shown["effective"]))


def _add_value(
    families: Families, server: SavedServer, row: Resource, stage: metric.Stage,
    value: float | None,
) -> None:
    if value is not None and value != UNLIMITED:
        _unit, factor = row.unit.base
        families.add(metric.name_of(row, stage), (server.uuid,), round(value * factor, _DIGITS))


def _add_shares(
    families: Families, servers: Sequence[SavedServer], found: _Readings, cpus: int
) -> None:
    for row in TABLE.values():
        if row.division is None or not cpus:
            continue
        claims = [Claim(row.weight_of(found[each.uuid][row.name])
                        if row.name in found.get(each.uuid, {}) else None, each.flavor.vcpus)
                  for each in servers]
        for server, percent in zip(servers, row.division.rule(claims, cpus), strict=True):
            if percent is not None:
                families.add("server_share_ratio", (server.uuid, row.name),
                             round(percent / 100, _DIGITS))
