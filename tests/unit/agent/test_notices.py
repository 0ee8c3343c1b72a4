# SPDX-License-Identifier: Apache-2.0
"""When other programs are told of the state of a host, and what."""

from dataclasses import replace
from typing import Any

import pytest

from nova_qos.agent.contention import Contention
from nova_qos.agent.loop import Loop
from nova_qos.agent.notices import APART_S, EVENT, Notices
from nova_qos.agent.unfinished import Unfinished
from tests.fakehost import ROOM
from tests.unit.agent.conftest import Site


class Place:
    """A host with one server, whose state can be chosen."""

    def __init__(self, site: Site) -> None:
        self.now_s, self.sent = 0.0, list[tuple[str, dict[str, Any], bool]]()
        self._site = site
        _record, self._domain = site.add("one")
        self.contention = Contention(
            site.machine, site.looker,
            listener=Notices(
                "compute", lambda *event: self.sent.append(event), lambda: self.now_s))

    def become(self, state: str, after_s: float) -> None:
        """Be in that state so much later, and be looked at."""
        self.now_s += after_s
        self._site.machine.own = {
            "calm": ROOM, "tense": replace(ROOM, available_mib=1), "short": replace(
                ROOM, capacity={**ROOM.capacity, "memory": 10})}[state]
        self.contention.judge()

    @property
    def told(self) -> list[tuple[str | None, str, bool]]:
        """The state before, the state, and whether it was a warning."""
        return [(event["nova_object.data"]["previous_state"], event["nova_object.data"]["state"],
                 is_warning) for _name, event, is_warning in self.sent]


@pytest.fixture
def place(site: Site) -> Place:
    return Place(site)


def test_changes_alone_are_told(place: Place) -> None:
    for state in ("calm", "calm", "short", "short", "tense", "calm"):
        place.become(state, APART_S)
    assert place.told == [(None, "calm", False), ("calm", "short", True),
                          ("short", "tense", False), ("tense", "calm", False)]


def test_a_host_at_a_threshold_is_no_flood(place: Place) -> None:
    for number in range(60):
        place.become("tense" if number % 2 else "calm", 1)
    assert len(place.told) == 1
    place.become("tense", 1)
    assert place.told[1:] == [("calm", "tense", False)]


def test_a_change_that_came_too_soon_is_told_later(place: Place) -> None:
    place.become("calm", 0)
    place.become("short", 5)
    assert len(place.told) == 1
    place.become("short", APART_S)
    assert place.told[1:] == [("calm", "short", True)]


def test_what_is_told(place: Place) -> None:
    place.become("short", 0)
    ((name, event, _is_warning),) = place.sent
    assert name == EVENT == "nova_qos.host.contention"
    assert {key: event[f"nova_object.{key}"] for key in ("name", "namespace", "version")} == {
        "name": "HostContentionPayload", "namespace": "nova_qos", "version": "1.0"}
    data = event["nova_object.data"]
    assert (data["host"], data["state"], data["memory_capacity"]) == ("compute", "short", 10)
    assert data["short_promised"] == data["memory_needs"] - 10
    assert data["reasons"][0].startswith("memory: its servers need")
    assert data["since"].endswith("+00:00")


def test_nobody_is_asked_where_nobody_listens(site: Site) -> None:
    site.machine.away = True
    Contention(site.machine, site.looker).judge()


def test_each_check_looks_and_survives_a_failure(site: Site, tmp_path: object) -> None:
    loop, looks = Loop(site.looker, site.options, Unfinished(str(tmp_path))), []

    def fail() -> None:
        looks.append(1)
        raise ValueError("nobody expects it")

    loop.after_check = fail
    loop._check()
    loop._check()
    assert len(looks) == 2
