# SPDX-License-Identifier: Apache-2.0
"""Readings that are kept for a while."""

from dataclasses import replace

import pytest

from nova_qos.agent import recent
from nova_qos.agent.recent import Recent
from nova_qos.core import errors
from nova_qos.resources import TABLE
from tests.unit.agent.conftest import Site


class Clock:
    """Time that passes when it is told to."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recent, "time", clock)
    return clock


def applied(site: Site, kept: Recent, name: str) -> int | None:
    server = site.records.load("one").server
    return kept.read(site.machine.snapshot([]), server)[name].applied


def test_what_every_snapshot_has_is_read_each_time(site: Site) -> None:
    _record, domain = site.add("one")
    kept = Recent(TABLE, 60)
    for memory_kib in 400 * 1024, 300 * 1024:
        domain.actual_kib = domain.target_kib = memory_kib
        assert applied(site, kept, "memory") == memory_kib
    for priority in 5, 6:
        domain.net["net_priority"] = priority
        assert applied(site, kept, "net_priority") == priority


def test_the_rest_is_kept_for_a_while(site: Site, clock: Clock) -> None:
    _record, domain = site.add("one")
    kept = Recent(TABLE, 60)
    assert applied(site, kept, "cpu_priority") == 1024
    domain.shares = 77
    clock.now_s += 29
    assert applied(site, kept, "cpu_priority") == 1024
    clock.now_s += 32
    assert applied(site, kept, "cpu_priority") == 77


def test_a_change_of_what_is_saved_is_seen_at_once(site: Site) -> None:
    record, domain = site.add("one")
    kept = Recent(TABLE, 60)
    applied(site, kept, "cpu_priority")
    domain.shares = 77
    record.now = replace(record.now, own={"cpu_priority": 77})
    assert applied(site, kept, "cpu_priority") == 77


def test_drift_is_not_kept(site: Site) -> None:
    """A correction, and a set that was saved before the host had it, are seen at once."""
    _record, domain = site.add("one", cpu_priority=512)
    kept = Recent(TABLE, 60)
    assert applied(site, kept, "cpu_priority") == 1024
    domain.shares = 512
    assert applied(site, kept, "cpu_priority") == 512


def test_what_could_not_be_read_is_not_kept(site: Site) -> None:
    _record, domain = site.add("one")
    kept, cannot = Recent(TABLE, 60), errors.HostRefused("busy")
    domain.failure = cannot
    assert applied(site, kept, "cpu_priority") is None
    domain.failure = None
    assert applied(site, kept, "cpu_priority") == 1024


def test_a_server_that_has_ended_is_forgotten(site: Site) -> None:
    site.add("one")
    kept = Recent(TABLE, 60)
    applied(site, kept, "cpu_priority")
    domain = site.machine.domains.pop("one")
    server = site.records.load("one").server
    assert kept.read(site.machine.snapshot([]), server) == {}
    domain.shares = 77
    site.machine.domains["one"] = domain
    assert applied(site, kept, "cpu_priority") == 77
    domain.shares = 78
    kept.retain(())
    assert applied(site, kept, "cpu_priority") == 78
