# SPDX-License-Identifier: Apache-2.0
from nova_qos.agent.schedule import Again, Schedule


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


class Clock:
    """Told by the test."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_pause_doubles_while_the_reason_stays() -> None:
    clock, found = Clock(), []
    schedule = Schedule(clock)
    for why in ("busy", "busy", "busy", "away", "away"):
        schedule.put_back("one", Again(why, 5.0))
        found.append(schedule._due.pop("one") - clock.now_s)
    assert found == [0.25, 0.5, 1.0, 0.25, 0.5]


def test_a_pause_is_never_longer_than_it_may_be() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    for _ in range(12):
        schedule._due.clear()
        schedule.put_back("one", Again("refused", 1.5))
    assert schedule._due["one"] - clock.now_s == 1.5


def pauses(again: Again, for_s: float) -> list[float]:
    """The pauses of a server that is put back whenever it is due."""
    clock = Clock()
    schedule, began, found = Schedule(clock), clock.now_s, []
    while clock.now_s < began + for_s:
        schedule.put_back("one", again)
        found.append(schedule._due.pop("one") - clock.now_s)
        clock.now_s += found[-1]
    return found


def test_who_waits_for_long_is_looked_at_seldom() -> None:
    patient, impatient = Again("pending", 5.0, 300.0), Again("pending", 5.0)
    assert pauses(patient, 50) == pauses(impatient, 50)
    assert max(pauses(impatient, 7200)) == 5
    hours = pauses(patient, 7200)
    assert hours == sorted(hours)
    assert round(hours[-1]) == 300
    assert len(hours) < 80


def test_a_server_that_is_put_afresh_begins_anew() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    for _ in range(6):
        schedule.put_back("one", Again("busy", 60.0))
    schedule.put_afresh("one")
    assert schedule.take() == "one"
    schedule.put_back("one", Again("busy", 60.0))
    assert schedule._due["one"] - clock.now_s == 0.25
    schedule.put_back("one", None)
    assert not schedule._repeats
