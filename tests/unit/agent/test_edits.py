# SPDX-License-Identifier: Apache-2.0
"""An edit of policies: written to all servers first, and what keeps that from being wrong."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nova_qos.agent import edits
from nova_qos.agent.locks import locked
from nova_qos.agent.loop import Loop
from nova_qos.agent.owed import Owed
from nova_qos.agent.records import Record
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors
from nova_qos.core.assignment import assigned
from nova_qos.core.policy import Catalog, Policy
from nova_qos.core.server import Entry
from nova_qos.resources import TABLE
from tests.fakehost import FakeDomain
from tests.unit.agent.conftest import Site
from tools.bed.memory_records import MemoryRecord


class Cloud:
    """A host whose servers have a default policy."""

    def __init__(self, site: Site, directory: Path) -> None:
        self.site, self.directory = site, directory
        self.looked: list[str] = []
        self.catalog = Catalog()
        site.looker.roster.assigned = lambda server: replace(
            server, assigned=assigned(self.catalog, TABLE, server))
        self.edit(io_priority=300)
        self.restart()

    def restart(self) -> None:
        """Another agent, that knows what is in the directory alone."""
        looker = self.site.looker
        looker.roster.owed = Owed(str(self.directory))
        looker.settled.clear()
        looker.looked.clear()
        self.loop = Loop(looker, self.site.options, Unfinished(str(self.directory)))

    def edit(self, **settings: int | str) -> None:
        revision = self.catalog.revision + 1
        self.catalog = Catalog(
            "x", revision, {1: Policy(1, "basic", settings, revision)}, default=1)

    def work(self) -> None:
        """As a worker does, until nothing is due at once."""
        schedule = self.loop._schedule
        look = self.site.looker.look

        def noted(server_uuid: str) -> Any:
            self.looked.append(server_uuid)
            return look(server_uuid)

        self.site.looker.look = noted  # type: ignore[method-assign]
        for uuid, due in sorted(schedule._due.items()):
            if due <= time.monotonic():
                del schedule._due[uuid]
                schedule.take = iter([uuid, None]).__next__  # type: ignore[method-assign]
                self.loop._work()
        self.site.looker.look = look  # type: ignore[method-assign]

    def check(self) -> list[str]:
        """One check with all that comes of it at once; which servers were looked at."""
        self.looked.clear()
        self.loop.check()
        self.work()
        return list(self.looked)


@pytest.fixture
def cloud(site: Site, tmp_path: Path) -> Cloud:
    return Cloud(site, tmp_path)


def settled(cloud: Cloud, uuid: str = "one", **own: int) -> tuple[MemoryRecord, FakeDomain]:
    """A server that has all that it is to have, as the check has seen."""
    record, domain = cloud.site.add(uuid, **own)
    cloud.check()
    assert cloud.check() == []
    domain.writes.clear()
    return record, domain


def test_an_edit_is_written_without_a_look(cloud: Cloud) -> None:
    _record, domain = settled(cloud)
    cloud.edit(io_priority=400)
    began = time.monotonic()
    assert cloud.check() == []
    assert domain.writes == [("io_priority", 400)]
    # and one comes later
    assert cloud.loop._schedule._due["one"] > began + 1
    # also where it is edited back meanwhile
    cloud.edit(io_priority=300)
    assert cloud.check() == []
    assert domain.weight == 300


def test_what_an_edit_adds_is_noted_then_written_then_marked(cloud: Cloud) -> None:
    record, domain = settled(cloud)
    noted: list[frozenset[str]] = []
    domain.before_write = lambda name, value: noted.append(Owed(str(cloud.directory)).of("one"))
    cloud.edit(io_priority=300, net_limit=7000)
    assert cloud.check() == []
    assert noted == [{"net_limit"}]
    assert domain.net["net_limit"] == 7000
    assert record.now.marked == {"io_priority"}
    cloud.site.looker.look("one")
    assert record.now.marked == {"io_priority", "net_limit"}
    assert list(cloud.directory.iterdir()) == []


def test_what_an_edit_adds_and_the_next_one_drops_is_reset(cloud: Cloud) -> None:
    record, domain = settled(cloud)
    cloud.edit(io_priority=300, net_limit=7000)
    cloud.check()
    cloud.edit(io_priority=300)
    assert cloud.check() == []
    assert domain.net["net_limit"] == -1
    cloud.site.looker.look("one")
    assert record.now.marked == {"io_priority"}
    assert cloud.check() == []


@pytest.mark.parametrize("dropped", [True, False])
def test_nothing_is_lost_where_the_agent_ends_before_the_mark_is_saved(
    cloud: Cloud, dropped: bool
) -> None:
    record, domain = settled(cloud)
    cloud.edit(io_priority=300, net_limit=7000)
    cloud.check()
    cloud.restart()
    if dropped:
        cloud.edit(io_priority=300)
    cloud.check()
    assert domain.net["net_limit"] == (-1 if dropped else 7000)
    assert record.now.marked == {"io_priority"} | (set() if dropped else {"net_limit"})
    assert cloud.site.looker.roster.owed.of("one") == frozenset()


def test_the_mark_of_a_server_that_has_moved_away_is_saved(cloud: Cloud) -> None:
    record, _domain = settled(cloud)
    cloud.edit(io_priority=300, net_limit=7000)
    cloud.check()
    record.now = replace(record.now, host="elsewhere", task="migrating")
    del cloud.site.machine.domains["one"]
    cloud.restart()
    cloud.check()
    # nova writes the record
    assert record.now.marked == {"io_priority"}
    record.now = replace(record.now, task=None)
    cloud.check()
    assert record.now.marked == {"io_priority", "net_limit"}
    assert cloud.site.looker.roster.owed.overdue() == []


def test_a_server_that_is_gone_owes_nothing(cloud: Cloud) -> None:
    settled(cloud)
    cloud.edit(io_priority=300, net_limit=7000)
    cloud.check()
    del cloud.site.records.all["one"]
    cloud.restart()
    cloud.check()
    assert list(cloud.directory.iterdir()) == []


def test_an_agent_without_a_directory_looks_where_something_is_to_be_marked(
    cloud: Cloud, tmp_path: Path
) -> None:
    record, domain = settled(cloud)
    (tmp_path / "file").touch()
    cloud.site.looker.roster.owed = Owed(str(tmp_path / "file"))
    cloud.edit(io_priority=400)
    assert cloud.check() == []
    cloud.edit(io_priority=300, net_limit=7000)
    assert cloud.check() == ["one"]
    assert domain.net["net_limit"] == 7000
    assert record.now.marked == {"io_priority", "net_limit"}


def test_a_set_that_nova_has_overwritten_is_not_overruled(cloud: Cloud) -> None:
    """The record has lost what the host holds; only a look reads what the actions tell."""
    record, domain = settled(cloud, io_priority=500)
    record.now = replace(record.now, own={})
    cloud.edit(io_priority=400)
    own = record.now

    def mend() -> None:
        record.now = own.having({"io_priority": Entry(500, stamp=1)})

    record.mend = mend  # type: ignore[method-assign]
    assert cloud.check() == ["one"]
    assert ("io_priority", 400) not in domain.writes


def _set_lately(cloud: Cloud, record: MemoryRecord) -> None:
    cloud.site.looker.roster.accepted.add("one", {"net_limit": Entry(5000, stamp=9)}, for_s=30)


def _set_long_ago(cloud: Cloud, record: MemoryRecord) -> None:
    record.save({"net_limit": Entry(5000, stamp=9)})


def _busy(cloud: Cloud, record: MemoryRecord) -> None:
    """Nova began between the load and now."""
    cloud.site.records.busy = lambda host: frozenset({"one"})  # type: ignore[method-assign]


def _resized(cloud: Cloud, record: MemoryRecord) -> None:
    record.now = replace(record.now, flavor=replace(record.now.flavor, memory_mib=400))


def _looked_at(cloud: Cloud, record: MemoryRecord) -> None:
    """Since the record was loaded."""
    cloud.site.looker.looked["one"] = time.monotonic() + 60


def _after(cloud: Cloud, disturb: Callable[[], None]) -> None:
    """Disturb what was taken before it is written."""
    take = cloud.loop._edits.take

    def then(records: Iterable[Record], loaded_at: float) -> list[str]:
        taken = take(records, loaded_at)
        disturb()
        return taken

    cloud.loop._edits.take = then  # type: ignore[method-assign]


def _happened(cloud: Cloud, record: MemoryRecord) -> None:
    _after(cloud, lambda: cloud.loop.happened("one", "changed"))


def _put(cloud: Cloud, record: MemoryRecord) -> None:
    _after(cloud, lambda: cloud.loop.put("one"))


def _saved_late(cloud: Cloud, record: MemoryRecord) -> None:
    """A set counts no more, and the record may be from before the API saved it."""
    entries = {"net_limit": Entry(5000, stamp=9)}
    _after(cloud, lambda: cloud.site.looker.roster.accepted.add("one", entries, for_s=0))


@pytest.mark.parametrize(
    "disturb", [_set_lately, _set_long_ago, _busy, _resized, _looked_at, _happened, _put,
                _saved_late])
def test_whatever_is_in_doubt_is_looked_at(
    cloud: Cloud, disturb: Callable[[Cloud, MemoryRecord], None]
) -> None:
    record, domain = settled(cloud)
    cloud.edit(io_priority=400)
    disturb(cloud, record)
    assert cloud.check() == ["one"]
    assert domain.weight == 400


def test_a_record_counts_for_some_seconds(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(cloud)
    monkeypatch.setattr(edits, "_FRESH_S", 0.0)
    cloud.edit(io_priority=400)
    assert cloud.check() == ["one"]


def test_a_server_in_a_task_is_left_alone(cloud: Cloud) -> None:
    record, domain = settled(cloud)
    record.now = replace(record.now, task="rebooting")
    # the check finds all in force there, too
    assert cloud.check() == []
    cloud.site.records.busy = lambda host: frozenset()  # type: ignore[method-assign]
    cloud.edit(io_priority=400)
    assert cloud.check() == ["one"]
    assert domain.writes == []


def test_nobody_waits_for_a_lock(cloud: Cloud) -> None:
    _record, domain = settled(cloud)
    cloud.edit(io_priority=400)
    cloud.loop.check()
    with locked("one"):
        assert not cloud.loop._edits.follow("one")
    assert domain.writes == []


def test_what_the_host_refuses_is_looked_at(cloud: Cloud) -> None:
    _record, domain = settled(cloud)
    domain.refuse = {"net_limit"}
    cloud.edit(io_priority=400, net_limit=7000)
    assert cloud.check() == ["one"]
    assert domain.weight == 400


def test_a_policy_that_is_newer_than_what_was_noted(cloud: Cloud) -> None:
    record, domain = settled(cloud)
    cloud.edit(io_priority=400)
    cloud.loop.check()
    cloud.edit(io_priority=400, net_limit=7000)
    marked: list[frozenset[str]] = []
    domain.before_write = lambda name, value: marked.append(record.now.marked)
    cloud.work()
    assert cloud.looked == ["one"]
    assert marked[0] == {"io_priority", "net_limit"}


def test_conductor_that_is_away_ends_no_worker(cloud: Cloud) -> None:
    def busy(host: str) -> frozenset[str]:
        raise errors.HostAway("nova-conductor is away")

    settled(cloud)
    cloud.site.records.busy = busy  # type: ignore[method-assign]
    cloud.edit(io_priority=400)
    cloud.loop.check()
    cloud.work()
    # it is tried again
    assert "one" in cloud.loop._schedule._due
