# SPDX-License-Identifier: Apache-2.0
"""Sets that come to an agent with policies: what is saved of them, and for whom they wait."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nova_qos.agent.readings import Readings
from nova_qos.agent.sets import Sets
from nova_qos.agent.together import Together
from nova_qos.agent.unfinished import Unfinished
from nova_qos.bus.wire import Result, SetAnswer, Wish
from nova_qos.core import assignment, errors
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.reading import Reading
from nova_qos.core.server import POLICY, Entry, SavedServer, newer
from nova_qos.resources import TABLE
from tests.unit.agent.conftest import Site

GOLD = Policy(5, "gold", {"memory": 200, "io_priority": 700})
CATALOG = Catalog("db", 7, {5: GOLD})


@dataclass
class Agent:
    """Carries out sets with the policies that it knows."""

    site: Site
    catalog: Catalog = CATALOG
    #: For how many seconds it was asked for the policies.
    sought: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        looker = self.site.looker
        looker.roster.assigned = lambda server: replace(
            server, assigned=assignment.assigned(self.catalog, TABLE, server))
        self.sets = Sets(
            self.site.machine, self.site.options, looker,
            Readings(self.site.machine, looker.history, lambda: Reading(7)),
            later=lambda uuid: None, seek=self.sought.append)

    def set(
        self, server: SavedServer, settings: Mapping[str, object], force: bool = False
    ) -> SetAnswer:
        return self.sets.carry_out(server, settings, force, time.monotonic() + 10, settings)

    def set_many(self, settings: Mapping[str, Mapping[str, int | None]]) -> dict[str, Result]:
        return self.sets.carry_out_each(
            [Wish(self.site.records.load(uuid).server, each) for uuid, each in settings.items()],
            False, time.monotonic() + 10)


@pytest.fixture
def agent(site: Site) -> Agent:
    return Agent(site)


def test_sets_and_gets_need_no_conductor(agent: Agent, site: Site) -> None:
    """What the API sends with a set is all that the agent needs of nova."""
    record, domain = site.add("one", io_priority=300)

    def away(*_asked: object) -> None:
        raise ConnectionError("nova-conductor is away")

    site.records.load = site.records.on_host = away  # type: ignore[assignment, method-assign]
    answer = agent.set(record.server, {"cpu_priority": 2048})
    assert (answer.readings["cpu_priority"].unmet, domain.shares) == (None, 2048)
    readings = Readings(site.machine, site.looker.history, lambda: Reading(7))
    assert readings.of("one", ["cpu_priority"])["cpu_priority"].applied == 2048


def test_a_policy_leaves_alone_what_was_set_meanwhile(agent: Agent, site: Site) -> None:
    """A set that had to wait for this one for too long: its API has saved it by itself."""
    record, _domain = site.add("one")
    loaded = record.server
    later = {"io_priority": Entry(300, stamp=max(1, int(time.time() * 1000)))}
    record.save(later)
    answer = agent.set(loaded, {POLICY: 5})
    record.save(newer(answer.entries, record.server.entries))
    assert record.server.own == {"io_priority": 300, POLICY: 5}
    assert record.server.marked == {"memory"}


def test_a_policy_marks_what_it_changes(agent: Agent, site: Site) -> None:
    record, domain = site.add("one")
    before = record.server
    record.now = before.having({"io_priority": Entry(stamp=1_000), "memory": Entry(stamp=9)})
    answer = agent.set(record.server, {POLICY: 5})
    saved = newer(answer.entries, record.server.entries)
    assert {name for name, each in saved.items() if each.marked} == {"memory", "io_priority"}
    assert (domain.held()["memory"], domain.weight) == (200, 700)


def test_force_reaches_what_the_policy_asks_for(agent: Agent, site: Site) -> None:
    record, domain = site.add("one")
    domain.used_kib = 400 * 1024
    answer = agent.set(record.server, {POLICY: 5})
    assert (answer.readings["memory"].unmet, domain.held()["memory"]) == ("refused", 512)
    assert agent.set(record.server, {POLICY: 5}, force=True).readings["memory"].unmet is None
    assert domain.held()["memory"] == 200


@pytest.mark.parametrize("catalog", [
    Catalog(), Catalog("db", 7, {5: Policy(5, "gold", {"net_limit": 7000})}, default=5)])
def test_none_of_its_own_stays_what_the_api_has_made_of_it(
    agent: Agent, site: Site, catalog: Catalog
) -> None:
    agent.catalog = catalog
    record, domain = site.add("one", net_limit=9000)
    domain.net["net_limit"] = 9000
    entry = agent.set(record.server, {"net_limit": -1}).entries["net_limit"]
    assert (entry.value, domain.held()["net_limit"]) == (-1, -1)
    entry = agent.set(record.server, {"net_limit": None}).entries["net_limit"]
    assert entry.value is None
    assert domain.held()["net_limit"] == (7000 if catalog.policies else -1)


@pytest.mark.parametrize("cannot", ["cannot", "refuse"])
def test_nothing_is_asked_of_the_host_by_none(agent: Agent, site: Site, cannot: str) -> None:
    record, domain = site.add("one")
    setattr(domain, cannot, {"io_limit"})
    assert agent.set(record.server, {"io_limit": -1}).entries["io_limit"].value == -1
    with pytest.raises(errors.QosError):
        agent.set(record.server, {"io_limit": 500})


@pytest.mark.parametrize("by_a_look", [False, True])
def test_another_policy_is_no_longer_refused(
    agent: Agent, site: Site, by_a_look: bool
) -> None:
    record, domain = site.add("one", **{POLICY: 5})
    domain.used_kib = 400 * 1024
    if by_a_look:
        site.looker.look("one")
    else:
        agent.set(record.server, {POLICY: 5})
    readings = Readings(site.machine, site.looker.history, lambda: Reading(7))
    assert readings.of("one", ["memory"])["memory"].unmet == "refused"
    site.looker.history.policies_changed()
    assert readings.of("one", ["memory"])["memory"].unmet is None


def test_none_is_applied_later_where_it_cannot_be_now(agent: Agent, site: Site) -> None:
    record, domain = site.add("one", io_limit=500)
    domain.io_limit, domain.refuse = 500, {"io_limit"}
    answer = agent.set(record.server, {"io_limit": -1})
    assert answer.readings["io_limit"].unmet == "pending"
    record.save(answer.entries)
    domain.refuse = set()
    site.looker.look("one")
    assert domain.io_limit == -1


def test_many_servers_wait_once_for_a_policy(agent: Agent, site: Site) -> None:
    uuids = [f"server-{number}" for number in range(8)]
    for uuid in uuids:
        site.add(uuid)
    results = agent.set_many({uuid: {POLICY: 6} for uuid in uuids})
    assert all(isinstance(each, SetAnswer) for each in results.values())
    assert len(agent.sought) == 1
    agent.set_many({uuid: {POLICY: 5} for uuid in uuids})
    agent.set_many({uuid: {"io_priority": 300} for uuid in uuids})
    assert len(agent.sought) == 1


def test_a_number_that_is_none_costs_its_own_server_alone(agent: Agent, site: Site) -> None:
    site.add("one")
    site.add("two")
    results = agent.set_many({"one": {POLICY: -5}, "two": {POLICY: 5}})
    assert isinstance(results["one"], errors.InvalidSetting)
    assert isinstance(results["two"], SetAnswer)


def test_the_copy_is_told_beside_resources(agent: Agent, site: Site) -> None:
    site.add("one")
    readings = Readings(site.machine, site.looker.history, lambda: Reading(7))
    names = ["io_priority", POLICY]
    assert readings.of("one", names)[POLICY] == Reading(7)
    away = readings.of_any("gone", names)
    assert (away[POLICY], away["io_priority"].unmet) == (Reading(7), "pending")
    assert readings.seen(site.machine.snapshot([]), "gone", names)[POLICY] == Reading(7)


def test_a_set_is_known_until_the_next_check(
    agent: Agent, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who plans with all servers, such as the balancer, asks nova for none of them in between."""
    record, _domain = site.add("one")
    site.looker.roster.remember([record])
    before = record.server
    answer = agent.set(before, {"memory_guarantee": 200})
    later_s = time.monotonic() + 10 * site.options.nova_qos.rpc_timeout
    monkeypatch.setattr("time.monotonic", lambda: later_s)
    assert [each.own for each in site.looker.roster.servers()] == [{"memory_guarantee": 200}]
    # one that the API could not save is taken back
    site.looker.undo("one", answer.entries)
    assert [each.own for each in site.looker.roster.servers()] == [{}]


def test_sets_are_counted_whether_together_or_not(
    agent: Agent, site: Site, tmp_path: Path
) -> None:
    wishes = [Wish(site.add(uuid)[0].server, {"cpu_priority": 2048}) for uuid in ("one", "two")]
    together = Together(
        agent.sets, site.looker, Unfinished(str(tmp_path / "unfinished")))

    def count(result: str) -> float:
        return site.looker.history.counts.figures()["sets_total"]["cpu_priority", result]

    together.carry_out_each(wishes, False, time.monotonic() + 10)
    assert (count("applied"), count("failed")) == (2, 0)
    site.machine.domains["two"].refuse = {"cpu_priority"}
    refused = [replace(each, settings={"cpu_priority": 512}) for each in wishes]
    together.carry_out_each(refused, False, time.monotonic() + 10)
    assert (count("applied"), count("failed")) == (2, 2)
