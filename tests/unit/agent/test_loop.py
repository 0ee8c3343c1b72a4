# SPDX-License-Identifier: Apache-2.0
"""Events, the check, and what keeps the agent alive."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nova_qos.agent.locks import locked
from nova_qos.agent.loop import Loop
from nova_qos.agent.unfinished import Unfinished
from nova_qos.core import errors
from nova_qos.core.server import Entry
from nova_qos.host import Floating
from tests.pace import LONG_S, eventually
from tests.unit.agent.conftest import Site
from tools.bed.memory_records import HOST


@pytest.fixture
def loop(site: Site, tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(site.looker, site.options, Unfinished(str(tmp_path)))
    yield loop
    loop.stop()


def test_the_start_applies_what_is_saved(site: Site, loop: Loop) -> None:
    _record, domain = site.add("one", cpu_priority=2048)
    loop.start()
    eventually(lambda: domain.shares == 2048)


def test_an_event_has_a_server_looked_at(site: Site, loop: Loop) -> None:
    site.options.set_override("check_interval", 3600, "nova_qos")
    loop.start()
    record, domain = site.add("one")
    time.sleep(0.2)
    record.save({"cpu_priority": Entry(2048)})
    site.machine.happened("one", "started")
    eventually(lambda: domain.shares == 2048)


def test_a_server_that_nova_has_elsewhere_yet_waits_for_no_other_check(
    site: Site, loop: Loop
) -> None:
    """It was evacuated to this host, and began to run, while the agent started."""
    site.options.set_override("check_interval", 3600, "nova_qos")
    record, domain = site.add("one", cpu_priority=2048)
    record.now = replace(record.now, host="lost", task="rebuild_spawning")
    loop.start()
    time.sleep(0.3)
    assert domain.shares == 1024
    record.now = replace(record.now, host=HOST, task=None)
    eventually(lambda: domain.shares == 2048)


def test_guests_that_owe_a_report_keep_no_worker(site: Site, loop: Loop) -> None:
    """They are looked at again later: no look sleeps until a report is due."""
    for number in range(8):
        _record, owing = site.add(f"owing {number}", memory=300)
        owing.due_s = 60.0
    _record, domain = site.add("one", cpu_priority=2048)
    loop.start()
    eventually(lambda: domain.shares == 2048)


def test_other_domains_are_looked_up_once(site: Site, loop: Loop) -> None:
    site.machine.add("not of nova")
    loop.check()
    assert list(loop._schedule._due) == ["not of nova"]
    loop._schedule._due.clear()
    loop.check()
    assert not loop._schedule._due


def test_a_guest_that_resets_itself_all_the_time_is_looked_at_now_and_then(
    site: Site, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    tidied: list[bool] = []
    monkeypatch.setattr(site.looker, "look", looked.append)
    monkeypatch.setattr(site.machine, "tidy", lambda correct, floating: tidied.append(correct))
    site.options.set_override("check_interval", 3600, "nova_qos")
    _record, domain = site.add("one", cpu_priority=2048)
    domain.shares = 2048
    loop.start()
    began = time.monotonic()
    for _ in range(8):
        site.machine.happened("one", "started")
        time.sleep(0.25)
    eventually(lambda: len(looked) >= 2)
    # once a second, however long that took on a busy machine
    most = 1 + math.ceil(time.monotonic() - began)
    assert len(looked) <= most
    assert len(tidied) <= most
    site.machine.happened("two", "started")
    eventually(lambda: "two" in looked, within_s=0.9)
    # a domain that ended is another one afterwards
    before = len(looked)
    site.machine.happened("one", "ended")
    site.machine.happened("one", "started")
    eventually(lambda: len(looked) > before, within_s=0.9)


def test_a_floating_ip_is_followed_at_once(
    site: Site, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Floating] = []
    monkeypatch.setattr(site.machine, "tidy", lambda correct, floating: followed.append(floating))
    record, _domain = site.add("one")
    site.options.set_override("check_interval", 1, "nova_qos")
    loop.start()
    eventually(lambda: {"one": frozenset()} in followed, within_s=1)
    record.floating.append("192.0.2.7")
    eventually(lambda: {"one": frozenset(["192.0.2.7"])} in followed, within_s=2)


def test_servers_that_left_are_forgotten(site: Site, loop: Loop) -> None:
    site.add("one", cpu_priority=2048)
    site.looker.look("one")
    assert site.looker.history.was_in_force("one", "cpu_priority", 2048)
    del site.records.all["one"]
    loop.check()
    assert not site.looker.history.was_in_force("one", "cpu_priority", 2048)


def test_the_check_puts_on_the_schedule_only_what_is_not_held(site: Site, loop: Loop) -> None:
    site.add("held", cpu_priority=2048)
    site.looker.look("held")
    site.add("lost", cpu_priority=2048)
    loop.check()
    assert list(loop._schedule._due) == ["lost"]


def test_a_look_that_raises_ends_no_worker(site: Site, loop: Loop) -> None:
    record, domain = site.add("one", cpu_priority=2048)
    record.refuses = errors.TaskInProgress("busy")
    record.now = record.now.__class__(**{**record.now.__dict__, "marked": frozenset({"memory"})})
    loop.start()
    eventually(lambda: domain.shares == 2048)
    record.refuses = None
    eventually(lambda: not record.server.marked)


def test_a_lock_that_is_not_free_in_time_is_given_up() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold_it() -> None:
        with locked("one"):
            inside.set()
            leave.wait(LONG_S)

    thread = threading.Thread(target=hold_it)
    thread.start()
    inside.wait(LONG_S)
    with pytest.raises(errors.AgentAway), locked("one", time.monotonic() + 0.05):
        pass
    with locked("other", time.monotonic() + 0.05):
        pass
    leave.set()
    thread.join()
    with locked("one", time.monotonic() + 1):
        pass


def test_what_was_never_saved_is_taken_back_one_server_after_another(
    site: Site, loop: Loop
) -> None:
    """One that cannot be asked for now is tried again, and keeps no other from it."""
    for uuid in ("one", "two"):
        _record, domain = site.add(uuid)
        domain.shares = 2048
        site.looker.roster.accepted.add(uuid, {"cpu_priority": Entry(2048, stamp=7)}, for_s=0)
    load = site.records.load

    def fails(server_uuid: str, context: object = None) -> object:
        if server_uuid == "one":
            raise ConnectionError("nova-conductor is away")
        return load(server_uuid)

    site.records.load = fails  # type: ignore[method-assign, assignment]
    loop.check()
    assert [site.machine.domains[uuid].shares for uuid in ("one", "two")] == [2048, 1024]
    site.records.load = load  # type: ignore[method-assign]
    loop.check()
    assert site.machine.domains["one"].shares == 1024


def test_a_directory_that_cannot_be_read_costs_no_check(
    site: Site, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def due(_self: Unfinished) -> None:
        raise OSError("stale file handle")

    monkeypatch.setattr(Unfinished, "due", due)
    site.add("one", cpu_priority=2048)
    loop.check()
    assert loop._schedule.take() == "one"
