# SPDX-License-Identifier: Apache-2.0
"""A set: all of its settings or none."""

from dataclasses import replace

import pytest

from nova_qos.agent.change import Change, changed
from nova_qos.agent.outcome import Outcome
from nova_qos.core import errors
from nova_qos.core.balloon import Limits
from nova_qos.core.server import Entry, Flavor
from tests.unit.agent.conftest import Site


def change(site: Site, force: bool = False, **settings: int | None) -> Change:
    server = site.records.load("one").server
    return Change(server, site.machine, settings, Limits(32 * 1024, force),
                  changed(server, settings))


def states(outcomes: dict[str, Outcome]) -> dict[str, str | None]:
    return {name: outcome.reading.unmet for name, outcome in outcomes.items()}


def entries(site: Site, **settings: int | None) -> dict[str, Entry]:
    """What a set would have saved."""
    asked = change(site, **settings)
    asked.carry_out()
    return asked.entries(7)


def test_settings_are_in_force(site: Site) -> None:
    _record, domain = site.add("one")
    outcomes = change(site, memory=300, cpu_priority=2048).carry_out()
    assert states(outcomes) == {"memory": None, "cpu_priority": None}
    assert (domain.held()["memory"], domain.shares) == (300, 2048)


def test_what_is_to_be_saved(site: Site) -> None:
    site.add("one", io_priority=500)
    assert entries(site, memory=300, io_priority=None) == {
        "memory": Entry(300, stamp=7), "io_priority": Entry(stamp=7)}


def test_what_holds_already_is_written_again(site: Site) -> None:
    _record, domain = site.add("one")
    change(site, memory=512).carry_out()
    assert domain.writes == [("memory", 512 * 1024)]


def test_a_host_that_cannot_be_looked_at_is_changed_knob_by_knob(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(uuid: str, knobs: object) -> None:
        raise errors.HostRefused("nobody can tell what this guest is made of")

    _record, domain = site.add("one", cpu_priority=500)
    monkeypatch.setattr(site.machine, "look", look)
    outcomes = change(site, cpu_priority=None, io_priority=700).carry_out()
    assert states(outcomes) == {"cpu_priority": None, "io_priority": None}
    assert (domain.shares, domain.weight) == (1024, 700)


def test_a_refused_write_undoes_those_before_it(site: Site) -> None:
    _record, domain = site.add("one", cpu_priority=500)
    domain.shares, domain.refuse = 500, {"io_priority"}
    with pytest.raises(errors.HostRefused):
        change(site, cpu_priority=2048, io_priority=700).carry_out()
    assert (domain.shares, domain.weight) == (500, 100)


@pytest.mark.parametrize(("spoil", "error"), [
    ({"driver": False}, errors.NoBalloon),
    ({"used_kib": 500 * 1024}, errors.UnsafeMemory),
    ({"due_s": 4.0}, errors.TooEarly),
    ({"pinned": "its memory is locked"}, errors.HostCannot),
])
def test_what_the_guest_cannot_do_is_refused_before_anything_is_written(
    site: Site, spoil: dict[str, object], error: type[errors.QosError]
) -> None:
    _record, domain = site.add("one")
    for name, value in spoil.items():
        setattr(domain, name, value)
    with pytest.raises(error):
        change(site, memory=200, cpu_priority=2048).carry_out()
    assert domain.writes == []


def test_force_takes_what_the_guest_cannot_spare(site: Site) -> None:
    _record, domain = site.add("one")
    domain.used_kib, domain.due_s = 500 * 1024, 4.0
    change(site, force=True, memory=200).carry_out()
    assert domain.held()["memory"] == 200


def test_a_stopped_server_waits(site: Site) -> None:
    site.records.add("one")
    outcomes = change(site, memory=300).carry_out()
    assert states(outcomes) == {"memory": "pending"}
    assert outcomes["memory"].reading.applied is None
    assert entries(site, memory=300) == {"memory": Entry(300, stamp=7)}


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


def test_unset_is_reset(site: Site) -> None:
    _record, domain = site.add("one", io_priority=700)
    domain.weight = 700
    assert entries(site, io_priority=None) == {"io_priority": Entry(stamp=7)}
    assert domain.weight == 100


@pytest.mark.parametrize("spoil", [
    {"paused": True}, {"driver": False}, {"refuse": {"memory"}}])
def test_unset_is_taken_and_marked_where_nobody_can_reset_it_now(
    site: Site, spoil: dict[str, object]
) -> None:
    _record, domain = site.add("one", memory=300, cpu_priority=2048)
    domain.target_kib = domain.actual_kib = 300 * 1024
    domain.shares = 2048
    for name, value in spoil.items():
        setattr(domain, name, value)
    assert entries(site, memory=None, cpu_priority=None) == {
        "memory": Entry(marked=True, stamp=7), "cpu_priority": Entry(stamp=7)}
    assert domain.shares == 1024


def test_unset_of_what_the_host_does_not_offer_is_done(site: Site) -> None:
    _record, domain = site.add("one", io_priority=700)
    domain.cannot = {"io_priority"}
    asked = change(site, io_priority=None)
    outcomes = asked.carry_out()
    assert states(outcomes) == {"io_priority": "unsupported"}
    assert asked.entries(7) == {"io_priority": Entry(stamp=7)}


def test_a_default_that_the_agent_keeps_stays_marked(site: Site) -> None:
    record, domain = site.add("one", cpu_priority=2048)
    record.now = replace(record.now, flavor=Flavor(512, fair_cpu_shares=600))
    assert entries(site, cpu_priority=None) == {"cpu_priority": Entry(marked=True, stamp=7)}
    assert domain.shares == 600
