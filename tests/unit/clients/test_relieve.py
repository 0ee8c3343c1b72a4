# SPDX-License-Identifier: Apache-2.0
"""Relief of a host above an in-memory nova: what goes wrong on the way, and what is known then."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from nova_qos.client_hosts import HostState, Placed
from nova_qos.client_moves import Migration, Progress, Reason, ServerNow
from nova_qos.core.errors import ApiRefused
from nova_qos.core.moves import Move, Server
from novaclient_qos.relief import carried, pausing, relief
from novaclient_qos.relief.carried import Carried
from novaclient_qos.relief.relief import Relief, Wanted
from novaclient_qos.relief.situation import Situation
from tests.unit.clients import hosts

TARGETS = ("two", "three")


class Nova:
    """The requests of ``Moves``, for servers on the host "one". ``meanwhile`` is called before each
    look at a server; ``status``: what migrations end as; ``refusing``: hosts that nova refuses;
    ``refusals``: the errors of requests, by their names; ``away``: how many looks fail."""

    def __init__(self) -> None:
        self.host, self.status, self.vm_status = "one", "completed", "ACTIVE"
        self.locked, self.task = False, None
        self.refusing: set[str] = set()
        self.refusals: dict[str, ApiRefused] = {}
        self.why: Reason | None = Reason("the cable was cut", False)
        self.away = 0
        self.rows: list[Migration] = []
        self.metadata: dict[str, str] = {}
        self.asked: list[tuple[str, ...]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def _ask(self, *words: str) -> None:
        self.asked.append(words)
        if words[0] in self.refusals:
            raise self.refusals[words[0]]

    def server(self, server_id: str) -> ServerNow:
        self.meanwhile()
        if self.away:
            self.away -= 1
            raise ApiRefused("bad gateway", 502)
        return ServerNow(server_id, "web", self.host, self.vm_status, self.task, self.locked,
                         dict(self.metadata))

    def migrations(self, server_id: str) -> list[Migration]:
        return self.rows

    def actions(self, server_id: str) -> frozenset[str]:
        return frozenset(f"req-{each.id}" for each in self.rows)

    def reason(self, server_id: str, request_id: str) -> Reason | None:
        return self.why

    def progress(self, server_id: str, migration: Migration) -> Progress:
        return Progress(100, 40, 0, 0)

    def begin(self, server_id: str, host: str, cold: bool = False) -> None:
        self._ask("begin", server_id, host)
        is_refused = host in self.refusing
        status = "error" if is_refused else self.status
        if is_refused:
            self.why = Reason("No valid host was found.", True)
        self.rows = [Migration(len(self.rows) + 1, status, self.host, host), *self.rows]
        if status == "completed":
            self.host = host

    def abort(self, server_id: str, migration: Migration) -> bool:
        self._ask("abort", server_id)
        return False

    def paused(self) -> list[ServerNow]:
        return [replace(self.server("a"), status="PAUSED", metadata=metadata)
                for metadata in ({pausing.KEY: "one"}, {pausing.KEY: "two"}, {})]

    def note(self, server_id: str, key: str, value: str) -> None:
        self._ask("note", server_id)
        self.metadata[key] = value

    def forget(self, server_id: str, key: str) -> None:
        self._ask("forget", server_id)
        self.metadata.pop(key, None)

    def pause(self, server_id: str) -> None:
        self._ask("pause", server_id)

    def unpause(self, server_id: str) -> None:
        self._ask("unpause", server_id)


class Agents:
    """What they tell of their hosts; "one" is short until its servers have gone."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    def hosts(self, name: str | None = None, *, servers: bool = False) -> list[HostState]:
        assert servers
        return [self._state(each) for each in ("one", *TARGETS) if name in (None, each)]

    def _state(self, name: str) -> HostState:
        state = HostState.of(hosts.short(name))
        has = name == self._nova.host
        memory = replace(state.memory, capacity=9_000, available=9_500, needs=9_500 if has else 0)
        return replace(
            state, memory=memory, uses={**state.uses, "memory": memory}, promised=None,
            placed=[placed("a", need=1000)] if has else [])


def placed(key: str, **more: Any) -> Placed:
    return Placed(**{**hosts.placed(), "id": key, "name": f"web-{key}", **more})


@pytest.fixture
def nova(monkeypatch: pytest.MonkeyPatch) -> Nova:
    monkeypatch.setattr(relief, "_POLL_S", 0.0)
    monkeypatch.setattr(carried, "_REASONS_S", 0.0)
    monkeypatch.setattr(carried, "_WRITES_S", 0.0)
    return Nova()


def relieved(nova: Nova, **wanted: Any) -> Relief:
    agents = Agents(nova)
    situation = Situation("one", {each.name: each for each in agents.hosts(servers=True)},
                          ["one", *TARGETS])
    found = Relief(agents, nova, situation, Wanted(**wanted), lambda _line: None)
    found.run()
    return found


def results(found: Relief) -> list[tuple[str, str]]:
    return [(each.result, each.details) for each in found.ended]


def test_moved(nova: Nova) -> None:
    found = relieved(nova)
    assert (results(found), found.stopped) == ([("moved", "")], None)
    assert not any(found.situation.missing)


@pytest.mark.parametrize(("change", "why"), [
    ({"locked": True}, "it is locked"),
    ({"task": "rebooting"}, "nova is at work on it (rebooting)"),
    ({"vm_status": "SHUTOFF"}, "it is SHUTOFF"), ({"host": "three"}, "it is on three by now")])
def test_what_has_changed_since_the_agent_looked(
    nova: Nova, change: dict[str, Any], why: str
) -> None:
    def happens() -> None:
        vars(nova).update(change)

    nova.meanwhile = happens
    found = relieved(nova)
    assert results(found) == [("fixed", why)]
    assert nova.asked == []


def test_another_host_is_tried_where_one_is_refused(nova: Nova) -> None:
    nova.refusing = {"three"}
    found = relieved(nova)
    assert ("moved", "") in results(found)
    assert nova.host == "two"
    nova.host, nova.refusing = "one", set(TARGETS)
    found = relieved(nova)
    assert results(found) == [("refused", "No valid host was found.")] * 2
    assert found.stopped is None


def test_a_failure_stops(nova: Nova) -> None:
    nova.status = "failed"
    found = relieved(nova)
    assert results(found) == [("failed", "the migration is failed: the cable was cut")]
    assert found.stopped == (
        "the move of web-a failed: the migration is failed: the cable was cut")


@pytest.mark.parametrize(("status", "result"), [(400, "refused"), (409, "fixed"), (404, "fixed")])
def test_what_nova_refuses_at_once(nova: Nova, status: int, result: str) -> None:
    nova.refusals = {"begin": ApiRefused("no", status)}
    assert {each for each, _details in results(relieved(nova))} == {result}


def test_no_rights(nova: Nova) -> None:
    nova.refusals = {"begin": ApiRefused("not you", 403)}
    with pytest.raises(ApiRefused, match="not you"):
        relieved(nova)


def test_the_api_is_away_for_a_while(nova: Nova) -> None:
    def goes_away() -> None:
        if nova.rows and not nova.away:
            nova.meanwhile, nova.away = lambda: None, 10

    nova.meanwhile = goes_away
    assert results(relieved(nova)) == [("moved", "")]


def test_the_api_stays_away(nova: Nova) -> None:
    def goes_away() -> None:
        if nova.rows:
            nova.away = 1

    nova.meanwhile = goes_away
    found = relieved(nova)
    ((result, details),) = results(found)
    assert (result, "nobody can tell what became of it" in details) == ("failed", True)
    assert found.stopped is not None


def test_one_that_nova_cannot_end(nova: Nova) -> None:
    nova.status = "running"
    assert results(relieved(nova, timeout_s=0)) == [
        ("failed", "not done after 0 s, and nova cannot end it; it goes on")]
    assert ("abort", "a") in nova.asked


def test_how_far_it_is(nova: Nova) -> None:
    nova.status = "running"
    move = Move(Server("a", (0, 0, 0, 0, 0), 0), "one", "two")
    one = Carried(nova, move, "web")
    one.begin()
    one.look()
    assert (one.result, one.details) == ("under way", "running, 40 of 100 MiB are left")


def test_moves_that_agents_have_yet_to_tell_of(nova: Nova) -> None:
    situation = Situation("one", {each.name: each for each in Agents(nova).hosts(servers=True)},
                          ["one", *TARGETS])
    (move,) = situation.plan().moves
    before = situation.hosts()
    situation.under_way["a"] = move
    during = situation.hosts()
    assert not any(situation.missing)
    assert during[move.target].left[0] == before[move.target].left[0] - 1000
    situation.done["a"] = situation.under_way.pop("a")
    assert situation.hosts()[move.target].left == during[move.target].left
    nova.host = move.target
    situation.update(Agents(nova).hosts(servers=True))
    assert (situation.done, situation.fixed) == ({}, {"a": "it has just come"})


@pytest.mark.parametrize(("more", "targets"), [
    ({"to": "two"}, {"two"}), ({"usable": ["one", "three"]}, {"three"}),
    ({"refused": {("a", "two")}}, {"three"}), ({"fixed": {"a": "it failed"}}, set())])
def test_where_servers_may_go(nova: Nova, more: dict[str, Any], targets: set[str]) -> None:
    states = {each.name: each for each in Agents(nova).hosts(servers=True)}
    situation = Situation(**{"source": "one", "states": states, "usable": TARGETS, **more})
    assert {move.target for move in situation.plan().moves} == targets


def test_an_agent_that_goes_away_is_no_relief(
    nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relief, "_FRESH_S", -1.0)
    agents = Agents(nova)
    situation = Situation("one", {each.name: each for each in agents.hosts(servers=True)},
                          ["one", *TARGETS])
    monkeypatch.setattr(Agents, "hosts", lambda _self, name, servers: [
        replace(situation.states[name], agent="down", age_s=5, placed=None)])
    found = Relief(agents, nova, situation, Wanted(), lambda _line: None)
    found.run()
    assert found.stopped == "the agent of one does not answer any more"
    assert nova.asked == []


def test_hosts_that_tell_nothing_are_no_targets(nova: Nova) -> None:
    states = {each.name: each for each in Agents(nova).hosts(servers=True)}
    states["two"] = replace(states["two"], age_s=40)
    states["three"] = replace(states["three"], placed=None)
    assert Situation("one", states, TARGETS).plan().moves == []


def keys(servers: Iterable[Placed]) -> str:
    return "".join(each.id for each in servers)


def test_who_is_paused() -> None:
    servers = [
        placed("a", need=500, memory_priority=200), placed("b", need=100, memory_priority=10),
        placed("c", need=100, memory_priority=50, guaranteed={"memory": 80}),
        placed("d", need=90, memory_priority=50, guaranteed={"memory": 0}),
        # its agent does not know it yet
        placed("e", need=400, running=False), placed("f", need=50, paused=False)]
    assert keys(pausing.chosen(servers, 40, {"f"})) == ""
    assert keys(pausing.chosen(servers, 60, {"f"})) == "b"
    assert keys(pausing.chosen(servers, 200, {"f"})) == "bd"
    assert keys(pausing.chosen(servers, 10**6, {"f"})) == "bdca"
    assert keys(pausing.chosen(servers, 10**6)) == "bdcfa"


def test_a_pause_that_fails_leaves_no_note(nova: Nova) -> None:
    nova.refusals = {"pause": ApiRefused("a task is in progress", 409)}
    (found,) = pausing.pause(nova, "one", [placed("a")])
    assert (found.has_failed, nova.metadata) == (True, {})
    nova.refusals["forget"] = ApiRefused("gone", 404)
    assert pausing.pause(nova, "one", [placed("a")])[0].details.startswith("a task is in progress")


def test_a_pause_that_fails_leaves_the_note_that_was_there(nova: Nova) -> None:
    nova.metadata = {pausing.KEY: "one"}
    nova.refusals = {"pause": ApiRefused("it is paused", 409)}
    (found,) = pausing.pause(nova, "one", [placed("a")])
    assert (found.has_failed, nova.metadata) == (True, {pausing.KEY: "one"})


def test_a_note_that_fails_pauses_nothing(nova: Nova) -> None:
    nova.refusals = {"note": ApiRefused("too many keys", 403)}
    (found,) = pausing.pause(nova, "one", [placed("a")])
    assert found.has_failed
    assert ("pause", "a") not in nova.asked


def test_only_what_was_paused_for_the_host_runs_again(nova: Nova) -> None:
    (found,) = pausing.undo(nova, "one")
    assert found.result == "runs again"
    nova.refusals = {"unpause": ApiRefused("no", 409)}
    nova.asked.clear()
    assert [each.has_failed for each in pausing.undo(nova, "one")] == [True]
    assert nova.asked == [("unpause", "a")]
