# SPDX-License-Identifier: Apache-2.0
import pytest

from nova_qos.agent.history import History
from nova_qos.core.reading import Reading

SERVER, NAME = "uuid", "memory"


def test_a_reason_is_told_until_the_target_is_there() -> None:
    history = History()
    history.unmet(SERVER, NAME, 300, "refused", "too little")
    told = history.observe(SERVER, NAME, Reading(500))
    assert (told.unmet, told.reason) == ("refused", "too little")
    assert history.observe(SERVER, NAME, Reading(300)).unmet is None
    history.in_force(SERVER, NAME, 300)
    assert history.observe(SERVER, NAME, Reading(500)).unmet is None


def test_what_was_refused_of_a_policy_is_no_answer_to_its_next_revision() -> None:
    history = History()
    history.unmet(SERVER, NAME, 300, "refused", "too little")
    history.unmet(SERVER, "io_limit", 300, "refused", "too little", by_policy=True)
    history.unmet(SERVER, "net_limit", 300, "pending", "no driver", by_policy=True)
    history.policies_changed()
    assert history.observe(SERVER, NAME, Reading(500)).unmet == "refused"
    assert history.observe(SERVER, "io_limit", Reading(500)).unmet is None
    assert history.observe(SERVER, "net_limit", Reading(500)).unmet == "pending"
    # and the check has it looked at
    assert not history.waits(SERVER, "io_limit", 300, Reading(500))


def test_what_the_host_says_itself_comes_first() -> None:
    history = History()
    history.unmet(SERVER, NAME, 300, "refused", "too little")
    told = history.observe(SERVER, NAME, Reading(None, unmet="unsupported", reason="never"))
    assert (told.unmet, told.reason) == ("unsupported", "never")


def test_a_target_waits_while_nothing_new_is_seen_of_the_guest() -> None:
    history, silent = History(), Reading(500, details={"last_update": 7, "rss": 1})
    history.unmet(SERVER, NAME, 300, "pending", "no driver")
    assert not history.waits(SERVER, NAME, 300, silent)
    assert history.waits(SERVER, NAME, 300, Reading(500, details={"last_update": 7, "rss": 2}))
    assert not history.waits(SERVER, NAME, 301, silent)
    for size, last_update in ((500, 8), (499, 8)):
        news = Reading(size, details={"last_update": last_update})
        assert not history.waits(SERVER, NAME, 300, news)
        assert history.waits(SERVER, NAME, 300, news)
    history.unmet(SERVER, NAME, 300, "refused", "too little")
    assert not history.waits(SERVER, NAME, 300, news)


def test_only_what_was_there_can_drift() -> None:
    history = History()
    assert not history.was_in_force(SERVER, NAME, 300)
    history.in_force(SERVER, NAME, 300)
    assert history.was_in_force(SERVER, NAME, 300)
    assert not history.was_in_force(SERVER, NAME, 301)
    history.restarted(SERVER)
    assert not history.was_in_force(SERVER, NAME, 300)


def test_what_is_not_here_any_more_is_forgotten() -> None:
    history = History()
    for server in ("here", "gone"):
        history.in_force(server, NAME, 300)
    history.retain({"here"})
    assert history.was_in_force("here", NAME, 300)
    assert not history.was_in_force("gone", NAME, 300)


def test_a_guest_is_left_in_peace_for_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    history, now = History(), [10_000.0]
    monkeypatch.setattr("nova_qos.agent.history.time.monotonic", lambda: now[0])
    waits = []
    for _ in range(12):
        history.in_force(SERVER, NAME, 300)
        history.retaken(SERVER, NAME, 300)
        waits.append(history.wait_s(SERVER, NAME))
        now[0] += waits[-1]
        assert history.wait_s(SERVER, NAME) == 0
    assert waits[:4] == [10, 20, 40, 80]
    assert waits[-1] == 3600
    history.in_force(SERVER, NAME, 300)
    now[0] += 3601
    history.retaken(SERVER, NAME, 300)
    assert history.wait_s(SERVER, NAME) == 10


def test_only_what_was_written_before_without_a_move_is_stuck() -> None:
    history = History()
    written = [(300, 200), (300, 200), (300, 250), (400, 250), (400, 250)]
    stuck = []
    for each in written:
        stuck.append(history.is_stuck(SERVER, NAME, *each))
        history.wrote(SERVER, NAME, *each)
    assert stuck == [False, True, False, False, True]
    history.in_force(SERVER, NAME, 400)
    assert not history.is_stuck(SERVER, NAME, 400, 250)


def test_how_long_a_guest_has_followed_is_counted_from_the_first_request(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    history, now = History(), [100.0]
    monkeypatch.setattr("nova_qos.agent.history.time.monotonic", lambda: now[0])
    history.follows(SERVER, NAME, 300)
    now[0] += 4
    history.follows(SERVER, NAME, 300)
    assert history.followed(SERVER, NAME) == (300, 4.0)
    history.follows(SERVER, NAME, 200)
    assert history.followed(SERVER, NAME) == (200, 0.0)
    history.in_force(SERVER, NAME, 200)
    assert history.followed(SERVER, NAME) is None


def test_a_restart_of_the_server_ends_the_wait() -> None:
    history = History()
    history.in_force(SERVER, NAME, 300)
    history.retaken(SERVER, NAME, 300)
    assert history.wait_s(SERVER, NAME) > 9
    history.restarted(SERVER)
    assert history.wait_s(SERVER, NAME) == 0


def test_what_was_found_earlier_does_not_undo_what_was_requested_since() -> None:
    history = History()
    history.found(SERVER, NAME, 300)
    assert history.was_in_force(SERVER, NAME, 300)
    history.in_force(SERVER, NAME, 200)
    history.found(SERVER, NAME, 300)
    assert history.was_in_force(SERVER, NAME, 200)
    history.follows(SERVER, NAME, 100)
    history.found(SERVER, NAME, 200)
    assert history.followed(SERVER, NAME) is not None
    history.found(SERVER, NAME, 100)
    assert history.was_in_force(SERVER, NAME, 100)


def test_questions_change_nothing() -> None:
    history = History()
    history.was_in_force(SERVER, NAME, 1)
    history.is_stuck(SERVER, NAME, 1, 1)
    history.wait_s(SERVER, NAME)
    history.followed(SERVER, NAME)
    assert not history._all


def test_what_the_host_cannot_tell_from_the_target_is_the_target() -> None:
    history = History()
    history.unmet(SERVER, NAME, 1500, "refused", "not now")
    near = Reading(1495, span=(1490, 1500))
    assert history.observe(SERVER, NAME, Reading(1505, span=(1501, 1510))).unmet == "refused"
    assert history.observe(SERVER, NAME, near).unmet is None


def test_what_was_shown_as_in_force_can_drift() -> None:
    history = History()
    history.follows(SERVER, NAME, 300)
    assert history.observe(SERVER, NAME, Reading(400)).unmet == "pending"
    assert not history.was_in_force(SERVER, NAME, 300)
    assert history.observe(SERVER, NAME, Reading(300, unmet="pending")).unmet == "pending"
    assert not history.was_in_force(SERVER, NAME, 300)
    assert history.observe(SERVER, NAME, Reading(300)).unmet is None
    assert history.was_in_force(SERVER, NAME, 300)
