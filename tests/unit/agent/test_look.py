# SPDX-License-Identifier: Apache-2.0
"""One look at one server, whatever has happened to it."""

from dataclasses import replace

import pytest

from nova_qos.agent.outcome import SELDOM_S, SOON_S
from nova_qos.agent.schedule import Again
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.server import Flavor
from nova_qos.resources import TABLE
from tests.fakehost import FakeDomain, FakeKnob
from tests.unit.agent.conftest import Site

ALL = {"memory": 300, "memory_soft_limit": 200, "cpu_priority": 2048, "io_priority": 300,
       "net_priority": 10}
PENDING = Again("pending", SOON_S, SELDOM_S)


def test_everything_that_is_saved_is_applied(site: Site) -> None:
    _record, domain = site.add("one", **ALL)
    assert site.looker.look("one") is None
    assert domain.held() == {**domain.held(), **ALL}
    assert site.check("one")


def test_what_a_host_lacks_for_one_setting_does_not_cost_the_others_of_its_knob(
    site: Site,
) -> None:
    """As the inbound limit of a server that comes to a host without htb_rate_in."""
    _record, domain = site.add("one", net_in_priority=10, net_in_limit=5000)

    def before_write(name: str, value: int) -> None:
        if name == "net_in_priority":
            raise errors.HostCannot("net_in_priority: htb_rate_in is not set")

    domain.before_write = before_write
    site.looker.look("one")
    assert (domain.net["net_in_limit"], domain.net["net_in_priority"]) == (5000, -1)


def test_a_second_look_writes_nothing(site: Site) -> None:
    _record, domain = site.add("one", **ALL)
    site.looker.look("one")
    domain.writes.clear()
    assert site.looker.look("one") is None
    assert domain.writes == []


def test_a_server_that_is_gone_or_stopped_needs_no_look(site: Site) -> None:
    site.records.add("stopped", memory=300)
    assert site.looker.look("gone") is None
    assert site.looker.look("stopped") is None
    assert site.check("stopped")


@pytest.mark.parametrize(("changes", "again"), [
    ({"task": "rebooting"}, Again("busy", SOON_S)),
    ({"host": "elsewhere"}, Again("busy", SOON_S)),
])
def test_nothing_is_written_into_a_task_or_for_another_host(
    site: Site, changes: dict[str, str], again: Again
) -> None:
    record, domain = site.add("one", cpu_priority=2048)
    record.now = replace(record.now, **changes)
    assert site.looker.look("one") == again
    assert domain.writes == []


def test_a_server_that_migrates_here_has_its_settings_before_nova_says_so(site: Site) -> None:
    record, domain = site.add("one", **ALL)
    record.now = replace(record.now, host="elsewhere", task="migrating")
    assert site.looker.look("one") == Again("arriving", SOON_S)
    assert domain.held() == {**domain.held(), **ALL}


def test_what_was_unset_is_reset_and_forgotten(site: Site) -> None:
    record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    record.unset("cpu_priority")
    assert not site.check("one")
    assert site.looker.look("one") is None
    assert domain.shares == 1024
    assert record.server.marked == frozenset()


def test_a_mark_stays_until_the_host_was_reset(site: Site) -> None:
    record, domain = site.add("one")
    record.unset("io_priority")
    domain.weight, domain.refuse = 700, {"io_priority"}
    assert site.looker.look("one") == Again("refused", SELDOM_S)
    assert record.server.marked == {"io_priority"}


def test_a_default_that_is_kept_is_applied_and_reset_when_it_is_kept_no_more(site: Site) -> None:
    record, domain = site.add("one")
    record.now = replace(record.now, flavor=Flavor(512, fair_cpu_shares=600))
    site.looker.look("one")
    assert domain.shares == 600
    record.now = replace(record.now, flavor=Flavor(512))
    assert site.looker.look("one") is None
    assert domain.shares == 1024
    assert record.server.marked == frozenset()


def test_drift_is_corrected(site: Site) -> None:
    _record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    domain.shares = 5
    assert not site.check("one")
    site.looker.look("one")
    assert domain.shares == 2048


def test_drift_is_only_reported_where_the_operator_wants_that(site: Site) -> None:
    site.options.set_override("drift", "report", "nova_qos")
    _record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    domain.shares = 5
    assert site.looker.look("one") is None
    assert domain.shares == 5
    reading = site.looker.history.observe("one", "cpu_priority", Reading(5))
    assert reading.unmet == "drifted"


def test_what_the_check_finds_in_force_can_drift(site: Site) -> None:
    site.options.set_override("drift", "report", "nova_qos")
    _record, domain = site.add("one", cpu_priority=2048)
    domain.shares = 2048
    assert site.check("one")
    domain.shares = 5
    site.looker.look("one")
    assert domain.shares == 5


def test_what_a_start_lost_is_no_drift(site: Site) -> None:
    site.options.set_override("drift", "report", "nova_qos")
    _record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    domain.shares = 1024
    site.looker.history.restarted("one")
    site.looker.look("one")
    assert domain.shares == 2048


def test_a_guest_that_takes_its_memory_back_is_left_alone_for_a_while(site: Site) -> None:
    _record, domain = site.add("one", memory=300)
    site.looker.look("one")
    domain.autodeflates, domain.actual_kib, domain.balloon_step_kib = True, 400 * 1024, 0
    again = site.looker.look("one")
    assert again is not None
    assert (again.why, round(again.longest_s)) == ("deflated", 10)
    assert site.looker.history.observe("one", "memory", Reading(400 * 1024)).unmet == "deflated"


def test_a_guest_that_may_be_on_its_way_there_and_back_is_not_told_again(site: Site) -> None:
    _record, domain = site.add("one", memory=300)
    domain.actual_kib = domain.target_kib = 300 * 1024
    # no driver that could report by now
    domain.turned, domain.driver = True, False
    assert site.looker.look("one") == PENDING
    assert domain.writes == []
    domain.driver = True
    assert site.looker.look("one") is None
    assert domain.writes == []


def test_a_restarted_guest_is_asked_at_once(site: Site) -> None:
    _record, domain = site.add("one", memory=300)
    site.looker.look("one")
    domain.autodeflates, domain.actual_kib, domain.balloon_step_kib = True, 400 * 1024, 0
    site.looker.look("one")
    domain.balloon_step_kib = None
    site.looker.history.restarted("one")
    assert site.looker.look("one") is None
    assert domain.held()["memory"] == 300


@pytest.mark.parametrize(("spoil", "again"), [
    (lambda domain: setattr(domain, "driver", False), PENDING),
    (lambda domain: setattr(domain, "paused", True), PENDING),
    (lambda domain: setattr(domain, "due_s", 3.0), PENDING),
    (lambda domain: setattr(domain, "used_kib", 500 * 1024), Again("refused", SELDOM_S)),
    (lambda domain: setattr(domain, "pinned", "its memory is locked"), None),
])
def test_one_resource_that_waits_does_not_stop_the_others(
    site: Site, spoil: object, again: Again | None
) -> None:
    _record, domain = site.add("one", **ALL)
    spoil(domain)  # type: ignore[operator]
    assert site.looker.look("one") == again
    assert domain.held() == {**domain.held(), **ALL, "memory": 512}


def test_a_guest_without_driver_is_left_alone_by_the_check_until_it_has_one(site: Site) -> None:
    _record, domain = site.add("one", memory=300, cpu_priority=2048)
    domain.driver = False
    assert site.looker.look("one") == PENDING
    assert [site.check("one") for _ in range(3)] == [False, True, True]
    domain.shares = 5
    assert not site.check("one")
    site.looker.look("one")
    assert site.check("one")
    domain.driver = True
    assert not site.check("one")
    assert site.looker.look("one") is None
    assert site.check("one")


def test_an_unset_waits_for_the_guest_in_the_same_way(site: Site) -> None:
    record, domain = site.add("one", memory=300)
    site.looker.look("one")
    domain.driver = False
    record.unset("memory")
    assert site.looker.look("one") == PENDING
    assert [site.check("one") for _ in range(3)] == [False, True, True]
    domain.actual_kib = 512 * 1024
    assert not site.check("one")
    assert site.looker.look("one") is None
    assert record.server.marked == frozenset()


def test_a_guest_that_moves_and_reports_nothing_gets_its_memory_back(site: Site) -> None:
    record, domain = site.add("one", memory=300)
    domain.reports = False
    assert site.looker.look("one") == PENDING
    assert domain.writes == []
    domain.target_kib = domain.actual_kib = 300 * 1024
    assert site.looker.look("one") is None
    record.unset("memory")
    assert site.looker.look("one") is None
    assert (domain.held()["memory"], record.server.marked) == (512, frozenset())


def test_libvirt_that_is_away_is_asked_again(site: Site) -> None:
    site.add("one", memory=300)
    site.machine.away = True
    assert site.looker.look("one") == Again("away", SOON_S)


def test_a_server_that_cannot_be_read_is_looked_at(site: Site) -> None:
    _record, domain = site.add("one", memory=300)
    domain.failure = errors.HostAway("libvirt does not answer")
    assert not site.check("one")


def test_hooks_see_a_new_server_once(site: Site) -> None:
    site.looker.hooks._hooks = {"half": lambda server: {"memory": server.flavor.memory_mib // 2}}
    record, domain = site.add("one")
    record.new = True
    assert not site.check("one")
    site.looker.look("one")
    assert domain.held()["memory"] == 256
    assert not record.new


def test_hooks_never_see_a_server_that_was_launched_again(site: Site) -> None:
    site.looker.hooks._hooks = {"half": lambda server: {"memory": server.flavor.memory_mib // 2}}
    record, domain = site.add("one")
    record.new, record.is_first_launch = True, False
    assert site.looker.look("one") is None
    assert domain.held()["memory"] == 512
    assert not record.new


def test_a_resource_without_a_knob_is_always_held(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = replace(TABLE["io_priority"], knob=None)
    monkeypatch.setitem(TABLE, "io_priority", row)  # type: ignore[arg-type]
    _record, domain = site.add("one", io_priority=700)
    assert site.looker.look("one") is None
    assert site.check("one")
    assert domain.writes == []


def test_a_check_reads_what_is_saved_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of a server's disks may wait for a file system."""
    _record, domain = site.add("one", cpu_priority=2048)
    site.looker.look("one")
    asked: list[str] = []

    def knob(name: str) -> FakeKnob:
        asked.append(name)
        return FakeDomain.knob(domain, name)

    monkeypatch.setattr(domain, "knob", knob)
    assert site.check("one")
    assert asked == ["cpu_group"]
