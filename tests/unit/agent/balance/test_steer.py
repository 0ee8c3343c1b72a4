# SPDX-License-Identifier: Apache-2.0
"""Balancing at work, on a host in memory: what servers get, what is said of it, and what fails."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from nova_qos.agent.balance.given import BALANCER, MEMORY
from nova_qos.agent.balance.steer import Balancer
from nova_qos.balance_options import thresholds_of
from nova_qos.core import desired
from nova_qos.core.reading import Reading
from nova_qos.core.server import SavedServer
from nova_qos.resources import TABLE
from tests.fakehost import FakeDomain
from tests.unit.agent.conftest import Site
from tools.bed.memory_records import HOST

MIB = 1024


class Bench:
    """A host whose balancer's seconds pass when the test says so."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch, **options: object) -> None:
        self.site, self.now_s = site, 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)
        for name, value in options.items():
            site.options.set_override(name, value, "nova_qos_balance")
        site.machine.memory.available_mib = None
        self.released = 0
        self.balancer = self.start()
        site.looker.roster.assigned = lambda server: self.balancer.given.balanced(server)

    def start(self) -> Balancer:
        """Another balancer, as after a restart of the agent."""
        looker = self.site.looker
        self.balancer = Balancer(
            self.site.machine.memory, self.site.options.nova_qos_balance,
            thresholds_of(self.site.options, 10), self.servers,
            lambda: looker.roster.records.busy(HOST), looker.balance, self.release)
        # one at a time, and done when it has begun
        self.balancer._errands.begin = lambda subject, what, work: work()
        return self.balancer

    def release(self) -> None:
        self.released += 1

    def servers(self) -> dict[str, SavedServer]:
        self.site.looker.roster.remember(self.site.records.on_host(HOST))
        return {server.uuid: server for server in self.site.looker.roster.servers()}

    def add(self, uuid: str, used_mib: int, **own: int) -> FakeDomain:
        """A server of 512 MiB."""
        _record, domain = self.site.add(uuid, **own)
        domain.used_kib = used_mib * MIB
        return domain

    def pass_by(self, seconds: int) -> None:
        for _second in range(seconds):
            self.now_s += 1.0
            self.balancer._second()

    def until(self, is_so: Callable[[], bool], seconds: int = 120) -> None:
        for _second in range(seconds):
            if is_so():
                return
            self.pass_by(1)
        pytest.fail(f"it was not so within {seconds} s")

    def given_mib(self, uuid: str) -> int:
        value = self.servers()[uuid].balanced[MEMORY]
        assert value is not None
        return value

    def memory_mib(self, uuid: str) -> int:
        return self.site.machine.domains[uuid].actual_kib // MIB


@pytest.fixture
def bench(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    names: set[str] = set()

    def make(**options: object) -> Bench:
        names.update(options)
        return Bench(site, monkeypatch, **options)

    yield make
    for name in names:
        site.options.clear_override(name, "nova_qos_balance")


def scarce(bench: Bench, busy_mib: int = 400, idle_mib: int = 100) -> None:
    """Five servers of 512 MiB: what they use fits their host, what they may have does not."""
    for number in range(3):
        bench.add(f"busy{number}", busy_mib)
    for number in range(2):
        bench.add(f"idle{number}", idle_mib)
    bench.site.machine.memory.memory_mib = 3 * busy_mib + 2 * idle_mib + 150


def test_who_does_not_need_memory_gives_it(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    assert here.balancer.account.state in ("tense", "short")
    assert here.memory_mib("idle0") < 400
    assert here.memory_mib("busy0") > here.memory_mib("idle0")
    assert here.balancer.account.moves > 0


def test_all_together_have_no_more_than_the_host(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    for domain in here.site.machine.domains.values():
        domain.used_kib = 512 * MIB
    here.pass_by(60)
    total = sum(here.memory_mib(uuid) for uuid in here.site.machine.domains)
    # of each, 8 MiB do not count
    assert total <= here.site.machine.memory.memory_mib + 5 * 8


def test_reports_come_faster_while_it_is_tense(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(2)
    assert {each.period_s for each in here.site.machine.domains.values()} == {2}
    here.site.machine.memory.memory_mib = 10_000.0
    here.until(lambda: here.balancer.account.state == "calm", 600)
    assert {each.period_s for each in here.site.machine.domains.values()} == {10}
    assert {here.memory_mib(uuid) for uuid in here.site.machine.domains} == {512}


def test_a_period_of_others_stays(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.site.machine.domains["idle0"].period_s = 7
    here.pass_by(5)
    assert here.site.machine.domains["idle0"].period_s == 7


@pytest.mark.parametrize("mode", ["off", "report"])
def test_a_killed_agent_may_have_left_fast_reports(
    bench: Callable[..., Bench], mode: str
) -> None:
    here = bench(mode=mode)
    here.add("one", 100).period_s = 2
    here.balancer.start()
    here.balancer.stop()
    assert here.balancer._thread is not None
    here.balancer._thread.join()
    assert here.site.machine.domains["one"].period_s == 10


def test_one_that_does_not_answer_at_once_is_asked_again(bench: Callable[..., Bench]) -> None:
    here = bench(mode="off")
    domain = here.add("one", 100)
    domain.period_s, domain.silent = 2, True
    assert not here.balancer._put_back_periods()
    domain.silent = False
    assert not here.balancer._put_back_periods()
    assert here.balancer._put_back_periods()
    assert domain.period_s == 10


def test_a_report_touches_nothing(bench: Callable[..., Bench]) -> None:
    here = bench(mode="report")
    scarce(here)
    here.pass_by(60)
    assert here.balancer.account.state in ("tense", "short")
    assert here.balancer.account.plans["idle0"].wish_mib < 400
    assert {here.memory_mib(uuid) for uuid in here.site.machine.domains} == {512}
    assert here.balancer.account.moves == 0
    assert here.servers()["idle0"].balanced == {}


def test_what_is_requested_is_the_most(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.site.records.add("busy0", memory=256)
    domain = here.site.machine.domains["busy0"]
    domain.actual_kib = domain.target_kib = 256 * MIB
    here.pass_by(60)
    assert here.memory_mib("busy0") <= 256
    assert here.memory_mib("busy1") > 256


def test_a_guarantee_is_kept(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.site.records.add("idle0", memory_guarantee=512)
    here.pass_by(120)
    assert here.memory_mib("idle0") == 512
    assert here.memory_mib("idle1") < 400


def test_who_is_not_managed_is_left_alone(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    domains = here.site.machine.domains
    domains["idle0"].paused = True
    domains["idle1"].driver = False
    record = here.site.records.all["busy0"]
    record.now = replace(record.now, task="migrating")
    here.pass_by(60)
    assert [here.memory_mib(each) for each in ("idle0", "idle1", "busy0")] == [512] * 3
    assert set(here.balancer.account.unmanaged) == {"idle0", "idle1", "busy0"}
    assert "paused" in here.balancer.account.unmanaged["idle0"]


def test_who_waits_is_touched_by_nobody(bench: Callable[..., Bench]) -> None:
    """It may hold back what was taken from it, and all of that at once is what the host lacks."""
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    here.site.looker.look("idle0")
    had_mib, domain = here.memory_mib("idle0"), here.site.machine.domains["idle0"]
    domain.paused = True
    here.pass_by(3)
    domain.paused = False
    assert here.given_mib("idle0") == had_mib
    assert here.site.looker.look("idle0") is None
    assert here.memory_mib("idle0") == had_mib
    shown = here.balancer.given.shown("idle0", MEMORY, Reading(had_mib * MIB))
    assert shown.holds(512 * MIB)
    # of one that was paused when the balancer began, nobody knows what it is to have
    domain.paused = True
    here.start()
    here.pass_by(1)
    domain.paused = False
    assert here.servers()["idle0"].balanced == {MEMORY: None}
    assert here.site.looker.look("idle0") is None
    assert here.memory_mib("idle0") == had_mib
    shown = here.balancer.given.shown("idle0", MEMORY, Reading(had_mib * MIB))
    assert shown.holds(512 * MIB)
    assert "yet to say" in str(shown.reason)
    here.pass_by(3)
    assert here.given_mib("idle0") <= 512
    # a guest that never had a driver is nothing to wait for
    here.site.machine.domains["idle1"].driver = False
    here.pass_by(3)
    assert here.servers()["idle1"].balanced == {}


def test_a_setting_is_a_bound_while_it_is_tense(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    had_mib = here.memory_mib("idle0")
    server = here.servers()["idle0"]
    target = desired.resolve(TABLE, server)["memory"]
    assert target.balanced
    assert target.value == had_mib
    assert "memory" not in desired.due(TABLE, server).targets
    # so that whoever looks after it later gives the memory back
    assert desired.to_mark(TABLE, server) == ["memory"]
    shown = here.balancer.given.shown("idle0", MEMORY, Reading(had_mib * MIB))
    assert (shown.applied_source, shown.unmet) == (BALANCER, None)
    assert shown.holds(512 * MIB)
    assert shown.holds(had_mib * MIB)
    assert not shown.holds((had_mib - 8) * MIB)
    assert shown.reason


def test_a_look_does_not_undo_it(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    had_mib = here.memory_mib("idle0")
    assert here.site.looker.look("idle0") is None
    assert here.site.records.load("idle0").server.marked == {"memory"}
    assert here.memory_mib("idle0") == had_mib
    assert here.site.check("idle0")


def test_a_restart_takes_over_what_is_there(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    here.site.looker.look("idle0")
    had_mib = here.memory_mib("idle0")
    here.start()
    # until it has looked, nobody knows what balloons hold for the sake of others
    assert here.servers()["idle0"].balanced == {MEMORY: None}
    assert here.site.looker.look("idle0") is None
    assert here.memory_mib("idle0") == had_mib
    here.balancer._second()
    assert here.given_mib("idle0") <= had_mib


def test_turned_off_it_gives_everything_back(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    here.site.looker.look("idle0")
    here.site.options.set_override("mode", "off", "nova_qos_balance")
    here.start()
    assert not here.site.check("idle0")
    here.site.looker.look("idle0")
    assert here.memory_mib("idle0") == 512
    assert here.site.records.load("idle0").server.marked == set()


def test_a_server_that_has_just_come_waits_for_the_next_look(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(10)
    here.add("new", 100)
    assert here.servers()["new"].balanced == {MEMORY: None}
    here.pass_by(3)
    assert here.given_mib("new") <= 512


def test_libvirt_away_moves_nothing(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    here = bench(mode="on")
    scarce(here)
    here.site.machine.away = True
    here.pass_by(30)
    assert {here.memory_mib(uuid) for uuid in here.site.machine.domains} == {512}
    assert caplog.text.count("not balanced now") == 1
    here.site.machine.away = False
    here.pass_by(60)
    assert here.memory_mib("idle0") < 400


def test_the_log_tells_changes_of_state_alone(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    here = bench(mode="on")
    scarce(here)
    with caplog.at_level(logging.INFO):
        here.pass_by(100)
    assert len([each for each in caplog.messages if "memory of the host is" in each]) in (1, 2, 3)
    assert len(caplog.messages) <= 3


def test_the_host_is_calm_again(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.pass_by(60)
    here.site.machine.memory.memory_mib = 10_000.0
    here.until(lambda: here.balancer.account.state == "calm", 600)
    assert here.released == 1
    assert here.servers()["idle0"].balanced == {}
    assert here.balancer.given.shown("idle0", MEMORY, Reading(512 * MIB)).applied_source is None


def test_a_guest_that_talks_nonsense_harms_nobody(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    scarce(here)
    here.site.machine.memory.memory_mib -= 100
    here.site.machine.domains["idle0"].used_kib = -(2**60)
    here.site.machine.domains["idle1"].swapped_in_kib = 2**62
    here.pass_by(60)
    assert here.balancer.account.state in ("tense", "short")
    assert all(0 < here.memory_mib(uuid) <= 512 for uuid in here.site.machine.domains)


def test_figures(bench: Callable[..., Bench]) -> None:
    here = bench(mode="on")
    assert here.balancer.account.figures() == {}
    scarce(here)
    here.pass_by(60)
    account = here.balancer.account
    found = account.figures()
    assert sum(found["balance_state"].values()) == 1
    assert found["balance_room_bytes"][()] > 0
    assert set(account.figures_of("idle0")) == {
        f"server_balance_{name}_bytes" for name in ("wanted", "lent", "lacking")}
    assert account.figures_of("elsewhere") == {}
    assert account.shown()["managed"] == 5


def test_a_guest_that_does_not_answer_for_a_moment_goes_on_giving(
    bench: Callable[..., Bench]
) -> None:
    """All at once, as where the host swaps: to give their memory back would make that worse."""
    here = bench(mode="on")
    scarce(here)
    here.until(lambda: here.memory_mib("idle0") < 400)
    before = {uuid: here.memory_mib(uuid) for uuid in here.site.machine.domains}
    for domain in here.site.machine.domains.values():
        domain.silent = True
    here.pass_by(20)
    assert here.balancer.account.plans["idle0"].stale
    assert here.given_mib("idle0") <= before["idle0"]
    here.pass_by(120)
    assert "idle0" in here.balancer.account.unmanaged
    assert here.given_mib("idle0") <= before["idle0"]


def test_a_guest_that_does_not_answer_at_the_start_keeps_what_it_has(
    bench: Callable[..., Bench]
) -> None:
    here = bench(mode="on")
    scarce(here)
    here.until(lambda: here.memory_mib("idle0") < 400)
    here.site.machine.domains["idle0"].silent = True
    here.start()
    here.pass_by(5)
    # nobody knows yet what it gives
    assert here.servers()["idle0"].balanced == {MEMORY: None}
