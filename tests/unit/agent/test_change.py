# SPDX-License-Identifier: Apache-2.0
"""A set: all of its settings or none."""

import time

import pytest

from nova_qos.agent.change import Change, TooLate
from nova_qos.agent.hold import Outcome
from nova_qos.core import errors
from nova_qos.core.balloon import Limits
from tests.unit.agent.conftest import Site


def change(site: Site, late: bool = False, force: bool = False, **settings: int | None) -> Change:
    answer_by = time.monotonic() + (-1 if late else 60)
    return Change(site.records.load("one"), site.machine, settings,
                  Limits(32 * 1024, force), answer_by)


def states(outcomes: dict[str, Outcome]) -> dict[str, str | None]:
    return {name: outcome.reading.unmet for name, outcome in outcomes.items()}


def test_settings_are_saved_and_in_force(site: Site) -> None:
    record, domain = site.add("one")
    outcomes = change(site, memory=300, cpu_priority=2048).carry_out()
    assert states(outcomes) == {"memory": None, "cpu_priority": None}
    assert (domain.held()["memory"], domain.shares) == (300, 2048)
    assert record.server.own == {"memory": 300, "cpu_priority": 2048}


def test_what_holds_already_is_written_again(site: Site) -> None:
    _record, domain = site.add("one")
    change(site, memory=512).carry_out()
    assert domain.writes == [("memory", 512 * 1024)]


def test_a_refused_write_undoes_those_before_it_and_what_was_saved(site: Site) -> None:
    record, domain = site.add("one", cpu_priority=500)
    domain.shares, domain.refuse = 500, {"io_priority"}
    with pytest.raises(errors.HostRefused):
        change(site, cpu_priority=2048, io_priority=700).carry_out()
    assert (domain.shares, domain.weight) == (500, 100)
    assert record.server.own == {"cpu_priority": 500}


def test_a_failure_after_the_api_has_answered_keeps_what_was_saved(site: Site) -> None:
    record, domain = site.add("one")
    domain.refuse = {"io_priority"}
    with pytest.raises(TooLate):
        change(site, late=True, io_priority=700).carry_out()
    assert record.server.own == {"io_priority": 700}


@pytest.mark.parametrize(("spoil", "error"), [
    ({"driver": False}, errors.NoBalloon),
    ({"used_kib": 500 * 1024}, errors.UnsafeMemory),
    ({"due_s": 4.0}, errors.TooEarly),
    ({"pinned": "its memory is locked"}, errors.HostCannot),
])
def test_what_the_guest_cannot_do_is_refused_before_anything_is_saved(
    site: Site, spoil: dict[str, object], error: type[errors.QosError]
) -> None:
    record, domain = site.add("one")
    for name, value in spoil.items():
        setattr(domain, name, value)
    with pytest.raises(error):
        change(site, memory=200, cpu_priority=2048).carry_out()
    assert (record.server.own, domain.writes) == ({}, [])


def test_force_takes_what_the_guest_cannot_spare(site: Site) -> None:
    _record, domain = site.add("one")
    domain.used_kib, domain.due_s = 500 * 1024, 4.0
    change(site, force=True, memory=200).carry_out()
    assert domain.held()["memory"] == 200


def test_a_stopped_server_is_saved_and_waits(site: Site) -> None:
    record = site.records.add("one")
    outcomes = change(site, memory=300).carry_out()
    assert states(outcomes) == {"memory": "pending"}
    assert outcomes["memory"].reading.applied is None
    assert record.server.own == {"memory": 300}


def test_a_paused_server_waits_for_its_memory_alone(site: Site) -> None:
    _record, domain = site.add("one")
    domain.paused = True
    outcomes = change(site, memory=300, cpu_priority=2048).carry_out()
    assert states(outcomes) == {"memory": "pending", "cpu_priority": None}
    assert (domain.held()["memory"], domain.shares) == (512, 2048)


def test_a_guest_that_is_slow_is_followed(site: Site) -> None:
    _record, domain = site.add("one")
    domain.balloon_step_kib = 1024
    outcome = change(site, memory=300).carry_out()["memory"]
    assert (outcome.follows, outcome.reading.unmet) == (True, "pending")


def test_unset_is_reset_and_forgotten(site: Site) -> None:
    record, domain = site.add("one", io_priority=700)
    domain.weight = 700
    change(site, io_priority=None).carry_out()
    assert domain.weight == 100
    assert (record.server.own, record.server.marked) == ({}, frozenset())


def test_unset_where_nobody_can_reset_it_stays_marked(site: Site) -> None:
    record, domain = site.add("one", memory=300)
    domain.paused = True
    change(site, memory=None).carry_out()
    assert record.server.marked == {"memory"}


def test_unset_of_what_the_host_does_not_offer_is_done(site: Site) -> None:
    record, domain = site.add("one", io_priority=700)
    domain.cannot = {"io_priority"}
    outcomes = change(site, io_priority=None).carry_out()
    assert states(outcomes) == {"io_priority": "unsupported"}
    assert record.server.marked == frozenset()


def test_a_task_of_novas_refuses_it_all(site: Site) -> None:
    record, domain = site.add("one")
    record.refuses = errors.TaskInProgress("nova is at work")
    with pytest.raises(errors.TaskInProgress):
        change(site, cpu_priority=2048).carry_out()
    assert domain.writes == []
