# SPDX-License-Identifier: Apache-2.0
import pytest

from nova_qos.agent.schedule import Schedule
from nova_qos.agent.standing import Standings
from nova_qos.model import Reading

SERVER, NAME = "uuid", "memory"


def test_a_reason_is_told_until_the_target_is_there() -> None:
    standings = Standings()
    standings.hinder(SERVER, NAME, 300, "refused", "too little")
    told = standings.explain(SERVER, NAME, Reading(500))
    assert (told.hindered, told.reason) == ("refused", "too little")
    assert standings.explain(SERVER, NAME, Reading(300)).hindered is None
    standings.settle(SERVER, NAME, 300)
    assert standings.explain(SERVER, NAME, Reading(500)).hindered is None


def test_what_the_host_says_itself_comes_first() -> None:
    standings = Standings()
    standings.hinder(SERVER, NAME, 300, "refused", "too little")
    told = standings.explain(SERVER, NAME, Reading(None, hindered="unsupported", reason="never"))
    assert (told.hindered, told.reason) == ("unsupported", "never")


def test_only_what_was_there_can_drift() -> None:
    standings = Standings()
    assert not standings.was_settled(SERVER, NAME, 300)
    standings.settle(SERVER, NAME, 300)
    assert standings.was_settled(SERVER, NAME, 300)
    assert not standings.was_settled(SERVER, NAME, 301)
    standings.restarted(SERVER)
    assert not standings.was_settled(SERVER, NAME, 300)


def test_what_is_not_here_any_more_is_forgotten() -> None:
    standings = Standings()
    for server in ("here", "gone"):
        standings.settle(server, NAME, 300)
    standings.retain({"here"})
    assert standings.was_settled("here", NAME, 300)
    assert not standings.was_settled("gone", NAME, 300)


def test_a_guest_is_left_in_peace_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    standings, now = Standings(), [10_000.0]
    monkeypatch.setattr("nova_qos.agent.standing.time.monotonic", lambda: now[0])
    waits = []
    for _ in range(12):
        standings.settle(SERVER, NAME, 300)
        standings.retaken(SERVER, NAME, 300)
        waits.append(standings.must_wait(SERVER, NAME))
        now[0] += waits[-1]
        assert standings.must_wait(SERVER, NAME) == 0
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == 3600
    standings.settle(SERVER, NAME, 300)
    now[0] += 3601
    standings.retaken(SERVER, NAME, 300)
    assert standings.must_wait(SERVER, NAME) == 10


def test_only_what_was_asked_for_before_stands_still() -> None:
    standings = Standings()
    asked = [(300, 200), (300, 200), (300, 250), (400, 250), (400, 250)]
    assert [standings.stands_still(SERVER, NAME, *each) for each in asked] == [
        False, True, False, False, True]
    standings.settle(SERVER, NAME, 400)
    assert not standings.stands_still(SERVER, NAME, 400, 250)


def test_a_server_stands_once_in_the_schedule_and_keeps_the_earlier_time() -> None:
    schedule = Schedule()
    schedule.put("late", 60)
    for _ in range(5):
        schedule.put("soon", 0.05)
        schedule.put("soon", 60)
    assert schedule.take() == "soon"
    schedule.put("late")
    assert schedule.take() == "late"
    schedule.close()
    assert schedule.take() is None


def test_what_the_host_cannot_tell_from_the_target_is_the_target() -> None:
    standings = Standings()
    standings.hinder(SERVER, NAME, 1500, "refused", "not now")
    near = Reading(1495, span=(1490, 1500))
    assert standings.explain(SERVER, NAME, near).hindered is None
    assert standings.explain(SERVER, NAME, Reading(1505, span=(1501, 1510))).hindered == "refused"
