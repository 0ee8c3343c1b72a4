# SPDX-License-Identifier: Apache-2.0
"""How often events act."""

from nova_qos.agent.pace import Pace


class Events:
    """Events of a server, on a clock of the test's."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pace = Pace(lambda: self.now_s)

    def acts(self, server_uuid: str = "one") -> float | None:
        """When an event that comes now acts."""
        delay_s = self.pace.delay_s(server_uuid)
        return None if delay_s is None else self.now_s + delay_s

    def acted(self, each_s: float, for_s: float) -> list[float]:
        """When events acted that came one after another, from now."""
        began, acted = self.now_s, []
        while self.now_s < began + for_s:
            if (when := self.acts()) is not None:
                acted.append(when - began)
            self.now_s += each_s
        return acted


def test_the_pause_grows_while_events_keep_coming() -> None:
    acted = Events().acted(0.25, 120)
    assert acted[:6] == [0, 0.5, 1.5, 3.5, 7.5, 15.5]
    assert acted[6:] == [30.5, 45.5, 60.5, 75.5, 90.5, 105.5, 120.5]


def test_every_event_acts_or_is_followed_by_an_act() -> None:
    events = Events()
    assert [events.acts(), events.acts(), events.acts()] == [1000, 1000.5, None]
    events.now_s += 0.5
    assert events.acts() == 1001.5


def test_events_that_are_no_flood_act_at_once() -> None:
    assert Events().acted(20, 200) == [20 * number for number in range(10)]


def test_after_a_calm_the_pause_is_short_again() -> None:
    events = Events()
    events.acted(0.25, 120)
    events.now_s += 80
    assert events.acted(0.25, 0.5) == [0, 0.5]


def test_servers_are_apart_and_a_server_that_ended_begins_anew() -> None:
    events = Events()
    events.acts()
    assert events.acts("two") == 1000
    events.pace.forget("one")
    assert events.acts() == 1000
    events.pace.retain({"two"})
    assert (events.acts(), events.acts("two")) == (1000, 1000.5)
