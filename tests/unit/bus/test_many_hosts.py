# SPDX-License-Identifier: Apache-2.0
"""Agents of many hosts, asked side by side."""

import threading
import time
from collections.abc import Callable
from typing import Any

import nova.conf
import pytest

from nova_qos import conf
from nova_qos.bus import hosts, wire
from nova_qos.bus.asking import UnknownVersion
from nova_qos.bus.hosts import HostClient
from nova_qos.core import errors
from tests.pace import LONG_S

CONF = nova.conf.CONF
conf.register(CONF)


class SlowBus:
    """Agents of which each takes its time; ``answers``: what those of these hosts answer or raise
    in place of a report.

    ``crowd``: nobody gets an answer before so many wait at the same time; ``quick``: one called
    dead answers once so many others have.
    """

    def __init__(
        self, takes_s: float = 0.0, crowd: int = 0, quick: int = 0, **answers: Any
    ) -> None:
        self.takes_s, self.answers = takes_s, answers
        self.asked: list[tuple[Any, ...]] = []
        self.waiting = self.most_waiting = self.answered = 0
        self._crowd, self._quick = crowd, quick
        self._changed = threading.Condition()

    def begin(
        self, context: Any, host: str, method: str, version: str, within_s: int
    ) -> Callable[[], Any]:
        self.asked.append((context, host, method, version, within_s))
        if host == "refused":
            raise errors.AgentAway("the message bus did not take the message within 1 s")
        ready_at = time.monotonic() + self.takes_s
        with self._changed:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
            self._changed.notify_all()

        def wait() -> Any:
            time.sleep(max(0.0, ready_at - time.monotonic()))
            with self._changed:
                assert self._changed.wait_for(lambda: self._is_answered(host), LONG_S)
                self.waiting -= 1
                self.answered += not host.startswith("dead")
                self._changed.notify_all()
            answer = self.answers.get(host, {"state": "calm"})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return wait

    def _is_answered(self, host: str) -> bool:
        if host.startswith("dead"):
            return self.answered >= self._quick
        return self.most_waiting >= self._crowd


def cells(*names: str) -> list[tuple[str, str]]:
    return [(name, f"cell of {name}") for name in names]


def test_each_host_has_its_answer() -> None:
    old, away = UnknownVersion("too old"), errors.HostAway("libvirt does not answer")
    bus = SlowBus(old=old, away=away, odd=["calm"], broken=KeyError("MemTotal"))
    found = HostClient(bus).reports(cells("one", "old", "away", "odd", "broken", "refused"))
    assert list(found) == ["one", "old", "away", "odd", "broken", "refused"]
    assert (found["one"], found["old"], found["away"]) == ({"state": "calm"}, old, away)
    assert isinstance(found["odd"], errors.HostRefused)
    assert str(found["broken"]) == "nova-qos-agent on host broken failed; its log says why"
    assert isinstance(found["refused"], errors.AgentAway)
    assert ("cell of one", "one", "host_report", wire.HOST_VERSION, hosts._ONE_S) in bus.asked


def test_no_agent_takes_longer_than_a_server_may() -> None:
    CONF.set_override("rpc_timeout", 2, "nova_qos")
    try:
        bus = SlowBus()
        HostClient(bus).reports(cells("one"))
        assert bus.asked[0][-1] == 2
    finally:
        CONF.clear_override("rpc_timeout", "nova_qos")


def test_they_are_asked_side_by_side_but_not_without_limit(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_ALL_S", LONG_S)
    bus = SlowBus(takes_s=0.2, crowd=hosts._AT_A_TIME)
    found = HostClient(bus).reports(cells(*(f"host-{number}" for number in range(200))))
    assert [each for each in found.values() if not isinstance(each, dict)] == []
    assert len(found) == 200
    assert bus.most_waiting == hosts._AT_A_TIME


def test_those_that_do_not_answer_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_ALL_S", LONG_S)
    names = [f"{'dead' if number % 60 == 0 else 'host'}-{number}" for number in range(600)]
    bus = SlowBus(quick=590)
    found = HostClient(bus).reports(cells(*names))
    assert [each for each in found.values() if not isinstance(each, dict)] == []


def test_there_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_ALL_S", 0.3)
    bus, names = SlowBus(takes_s=0.2), [f"host-{number}" for number in range(1000)]
    found = HostClient(bus).reports(cells(*names))
    # each thread begins at most twice within 0.3 s
    assert len(bus.asked) <= 2 * hosts._AT_A_TIME
    assert set(found) == set(names)
    late = [each for each in found.values() if isinstance(each, errors.AgentAway)]
    assert 0 < len(late) == 1000 - len(bus.asked)
    assert late[0].message == "other hosts took so long that this one was not asked"
