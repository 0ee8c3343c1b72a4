# SPDX-License-Identifier: Apache-2.0
"""Many servers changed by one request."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from oslo_db.exception import DBError

from nova_qos.agent.change import Change
from nova_qos.agent.locks import locked
from nova_qos.bus.client import AgentClient
from nova_qos.core import errors
from nova_qos.instances import saving
from nova_qos.resources import LIST_PATH
from tests.fakehost import NET_CAPACITY
from tests.functional.caller import ADMIN, STRANGER, Answer, Caller
from tests.functional.cloud import AsAgentBegins, Cloud, Server, eventually
from tests.functional.values import SETTINGS, UNSET

Boot = Callable[..., Server]
NOBODY = "00000000-0000-0000-0000-000000000000"
#: Long enough for all servers of a request to be weighed, if they were side by side.
_SLOW_S = 0.5


def change(
    changes: Mapping[Any, Mapping[str, object]], who: Caller = ADMIN, **more: object
) -> Answer:
    """Ask for settings by server, or by its id."""
    return who.request("POST", LIST_PATH, json.dumps({"changes": [
        {"server": getattr(server, "uuid", server), "settings": settings}
        for server, settings in changes.items()], **more}))


@pytest.fixture(scope="module")
def made(cloud: Cloud) -> Iterator[dict[str, list[Server]]]:
    """By host, the servers of this file, which takes dozens: to make them all anew takes longer
    than all else."""
    made: dict[str, list[Server]] = {}
    yield made
    for server in (server for servers in made.values() for server in servers):
        cloud.delete(server)


@pytest.fixture
def boot(cloud: Cloud, made: dict[str, list[Server]]) -> Boot:
    """Servers without settings, each once in a test."""
    free = {host: list(servers) for host, servers in made.items()}

    def boot(host: str = "compute") -> Server:
        if not free.get(host):
            made.setdefault(host, []).append(cloud.boot(host))
            return made[host][-1]
        server = free[host].pop()
        server.reset()
        return server

    return boot


def codes(answer: Answer) -> list[int]:
    return [each["code"] for each in answer.body["results"]]


def actions(server: Server) -> list[dict[str, Any]]:
    """What nova's list of its actions tells of ours."""
    path = f"/servers/{server.uuid}/os-instance-actions"
    return [each for each in ADMIN.request("GET", path).body["instanceActions"]
            if each["action"] == "set-qos"]


def test_each_server_gets_what_it_was_named_with(boot: Boot) -> None:
    here, there = boot(), boot("second")
    answer = change({here: SETTINGS, there: {"cpu_priority": 2048, "memory": 300}})
    assert (answer.status, codes(answer)) == (200, [200, 200])
    assert [each["server"] for each in answer.body["results"]] == [here.uuid, there.uuid]
    shown = answer.body["results"][1]["qos"]
    assert {name: (row["applied"], row["state"]) for name, row in shown.items()} == {
        "memory": (300, "applied"), "cpu_priority": (2048, "applied")}
    assert here.saved() == here.held() == SETTINGS
    assert there.saved() == {"cpu_priority": 2048, "memory": 300}
    assert all(actions(each)[0]["message"].startswith("qos ") for each in (here, there))


def test_one_message_a_host(boot: Boot, messages: list[str]) -> None:
    servers = [boot() for _ in range(3)]
    assert codes(change({each: {"io_priority": 300} for each in servers})) == [200] * 3
    assert messages == ["set_many"]


def test_null_unsets(server: Server) -> None:
    change({server: SETTINGS})
    answer = change({server: dict.fromkeys(SETTINGS)})
    assert codes(answer) == [200]
    assert (server.saved(), server.held()) == ({}, UNSET)


def test_one_that_fails_leaves_the_others_changed(boot: Boot) -> None:
    good, bad, poor, busy = boot(), boot(), boot(), boot()
    bad.domain.refuse = {"cpu_priority"}
    poor.domain.used_kib = 500 * 1024
    busy.change(task_state="rebooting")
    answer = change({
        good: {"cpu_priority": 50}, bad: {"cpu_priority": 50}, poor: {"memory": 100},
        busy: {"cpu_priority": 50}, NOBODY: {"cpu_priority": 50}})
    assert (answer.status, codes(answer)) == (207, [200, 409, 409, 409, 404])
    messages = [each.get("error", {}).get("message", "") for each in answer.body["results"]]
    assert "rebooting" in messages[3]
    assert NOBODY in messages[4]
    assert good.saved() == {"cpu_priority": 50}
    assert bad.saved() == poor.saved() == busy.saved() == {}
    assert actions(bad)[0]["message"] == "Error"
    busy.change(task_state=None)


def test_those_of_a_host_are_saved_at_once(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    save_all = saving.save_all

    def counted(sets: Any, *more: Any) -> Any:
        saved.append(len(sets))
        return save_all(sets, *more)

    monkeypatch.setattr(saving, "save_all", counted)
    here, there, bad = [boot() for _ in range(3)], [boot("second") for _ in range(2)], boot()
    bad.domain.refuse = {"cpu_priority"}
    answer = change({each: {"cpu_priority": 50} for each in (*here, bad, *there)})
    assert codes(answer) == [200, 200, 200, 409, 200, 200]
    assert sorted(saved) == [2, 3]
    for each in (*here, *there):
        assert each.saved() == {"cpu_priority": 50}
        assert actions(each)[0]["message"].startswith("qos ")


def test_one_that_cannot_be_saved_leaves_the_others_changed(
    boot: Boot, as_agent_begins: AsAgentBegins
) -> None:
    """nova begins to work on one of them just when the agent has changed it."""
    first, second, third = boot(), boot(), boot()
    as_agent_begins(first, lambda: second.change(task_state="rebooting"))
    answer = change({each: {"cpu_priority": 50} for each in (first, second, third)})
    assert codes(answer) == [200, 409, 200]
    assert "rebooting" in answer.body["results"][1]["error"]["message"]
    second.change(task_state=None)
    assert first.saved() == third.saved() == {"cpu_priority": 50}
    assert second.saved() == {}
    assert actions(second)[0]["message"] == "Error"
    eventually(lambda: second.held()["cpu_priority"] == 1024)
    assert first.held()["cpu_priority"] == third.held()["cpu_priority"] == 50


def test_a_database_that_fails_once_is_asked_for_each(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = [boot(), boot()]
    save_all, failed = saving.save_all, list[object]()

    def fails_once(*sets: Any) -> Any:
        if not failed:
            failed.append(None)
            raise DBError("too many at once")
        return save_all(*sets)

    monkeypatch.setattr(saving, "save_all", fails_once)
    assert codes(change({each: {"cpu_priority": 50} for each in servers})) == [200, 200]
    assert [each.saved() for each in servers] == [{"cpu_priority": 50}] * 2


def test_force_takes_memory_of_all(boot: Boot) -> None:
    server = boot()
    server.domain.used_kib = 500 * 1024
    assert codes(change({server: {"memory": 200}}, force=True)) == [200]
    assert server.held()["memory"] == 200


def test_a_value_out_of_range_is_that_servers_alone(boot: Boot) -> None:
    good, bad = boot(), boot()
    answer = change({good: {"memory": 300}, bad: {"memory": 513}})
    assert (answer.status, codes(answer)) == (207, [200, 400])
    assert "memory: '513' is not accepted" in answer.body["results"][1]["error"]["message"]
    assert bad.saved() == {}


def test_what_cannot_be_applied_now_is_pending(
    boot: Boot, option: Callable[[str, object], None]
) -> None:
    # also what answers has no longer on a busy machine
    option("rpc_timeout", 6)
    stopped, running, unheard = boot(), boot(), boot("silent")
    stopped.machine.domains.pop(stopped.uuid)
    answer = change({each: {"cpu_priority": 50} for each in (stopped, running, unheard)})
    assert (answer.status, codes(answer)) == (207, [202, 200, 202])
    row = answer.body["results"][2]["qos"]["cpu_priority"]
    assert (row["state"], row["reason"]) == (
        "pending", "nova-qos-agent on host silent did not answer within 6 s")
    assert stopped.saved() == unheard.saved() == {"cpu_priority": 50}
    stopped.restart()
    eventually(lambda: stopped.held()["cpu_priority"] == 50)


def test_a_guest_follows_before_the_answer(boot: Boot) -> None:
    slow = [boot(), boot()]
    for each in slow:
        each.domain.balloon_step_kib = 100 * 1024
    for memory, applied in ((300, 300), (None, 512)):
        answer = change({each: {"memory": memory} for each in slow})
        rows = [each["qos"]["memory"] for each in answer.body["results"]]
        assert [row["applied"] for row in rows] == [applied, applied]


def test_an_agent_that_dies_while_a_guest_follows(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has read by then is told."""
    def away(*_args: Any) -> None:
        raise errors.AgentAway("gone")

    slow = boot()
    slow.domain.balloon_step_kib = 0
    monkeypatch.setattr(AgentClient, "read_many", away)
    row = change({slow: {"memory": 300}}).body["results"][0]["qos"]["memory"]
    assert (row["requested"], row["applied"], row["state"]) == (300, 512, "pending")


def test_one_that_is_locked_by_another_request_keeps_nobody_waiting(
    boot: Boot, option: Callable[[str, object], None]
) -> None:
    # also the first has no longer on a busy machine
    option("rpc_timeout", 6)
    first, held = boot(), boot()
    with locked(held.uuid):
        answer = change({each: {"cpu_priority": 50} for each in (first, held)})
        assert codes(answer) == [200, 202]
        assert held.domain.writes == []
    eventually(lambda: held.held()["cpu_priority"] == 50)
    assert held.saved() == {"cpu_priority": 50}


def test_guarantees_that_do_not_fit_together(boot: Boot) -> None:
    """Weighed one after another, however many come at once, and however slow the host writes."""
    servers = [boot() for _ in range(4)]
    for server in servers:
        server.domain.before_write = lambda name, value: time.sleep(_SLOW_S)
    more_than_half = {"net_guarantee": NET_CAPACITY * 3 // 5}
    answer = change(dict.fromkeys(servers, more_than_half))
    assert sorted(codes(answer)) == [200, 409, 409, 409]
    kept = [each for each, code in zip(servers, codes(answer), strict=True) if code == 200]
    assert [each for each in servers if each.saved()] == kept


@pytest.mark.parametrize("body", [
    None, [], {}, {"changes": []}, {"changes": None}, {"changes": [{}]}, {"changes": ["x"]},
    {"changes": [{"server": NOBODY}]}, {"changes": [{"server": NOBODY, "settings": {}}]},
    {"changes": [{"server": "vm1", "settings": {"memory": 300}}]},
    {"changes": [{"server": NOBODY, "settings": {"memry": 300}}]},
    {"changes": [{"server": NOBODY, "settings": {"memory": 300.5}}]},
    {"changes": [{"server": NOBODY, "settings": {"memory": 300}, "more": 1}]},
    {"changes": [{"server": NOBODY, "settings": {"memory": 300}}], "more": 1},
    {"changes": [{"server": NOBODY, "settings": {"memory": 300}}], "force": "yes"},
    {"changes": [{"server": NOBODY, "settings": {"memory": 300}}] * 2},
    {"changes": [{"server": f"00000000-0000-0000-0000-{number:012}", "settings": {"memory": 300}}
                 for number in range(101)]},
], ids=lambda body: str(body)[:60])
def test_a_body_that_is_none(cloud: Cloud, body: object) -> None:
    answer = ADMIN.request("POST", LIST_PATH, json.dumps(body))
    assert answer.status == 400, answer
    assert answer.message


def test_a_hundred_servers_that_are_none(cloud: Cloud) -> None:
    answer = change({f"00000000-0000-0000-0000-{number:012}": {"memory": 300}
                     for number in range(100)})
    assert (answer.status, set(codes(answer))) == (200, {404})


def test_servers_of_others_are_unknown(boot: Boot) -> None:
    server = boot()
    answer = change({server: {"memory": 300}}, STRANGER)
    assert codes(answer) == [404]
    assert server.saved() == {}


def test_a_locked_server(boot: Boot) -> None:
    server = boot()
    server.change(locked=True, locked_by="admin")
    assert codes(change({server: {"cpu_priority": 50}})) == [200]


def test_together(boot: Boot) -> None:
    gives, gets = boot(), boot()
    ADMIN.act(gives, "set-qos", {"memory": 400})
    answer = change({gets: {"memory": 500}, gives: {"memory": 300}}, together=True)
    assert (answer.status, codes(answer)) == (200, [200, 200])
    assert (gives.saved(), gets.saved()) == ({"memory": 300}, {"memory": 500})
    assert (gives.held()["memory"], gets.held()["memory"]) == (300, 500)
    assert [row["qos"]["memory"]["applied"] for row in answer.body["results"]] == [500, 300]


def test_together_what_is_taken_comes_first(boot: Boot) -> None:
    """The host could not keep both guarantees at any other time."""
    gives, gets = boot(), boot()
    most = {"net_guarantee": NET_CAPACITY}
    assert codes(change({gives: most})) == [200]
    assert codes(change({gets: most})) == [409]
    answer = change({gets: most, gives: {"net_guarantee": None}}, together=True)
    assert (answer.status, gives.saved(), gets.saved()) == (200, {}, most)
    assert (gives.held()["net_guarantee"], gets.held()["net_guarantee"]) == (-1, NET_CAPACITY)


@pytest.mark.parametrize(("spoil", "status", "words"), [
    ({"driver": False}, 409, "balloon driver"),
    ({"used_kib": 500 * 1024}, 409, "memory"),
    ({"refuse": {"cpu_priority"}}, 409, "refused"),
    ({"pinned": "its memory is locked"}, 501, "its memory is locked"),
])
def test_together_all_or_none(
    boot: Boot, spoil: dict[str, object], status: int, words: str
) -> None:
    good, bad = boot(), boot()
    for name, value in spoil.items():
        setattr(bad.domain, name, value)
    settings = {"memory": 200, "cpu_priority": 50}
    before = good.held()
    answer = change({good: settings, bad: settings}, together=True)
    assert answer.status == status
    assert f"{bad.uuid}: " in answer.message
    assert words in answer.message
    assert good.saved() == bad.saved() == {}
    assert good.held() == before
    assert actions(good)[0]["message"] == "Error"


def test_together_on_one_host_and_running(boot: Boot) -> None:
    here, there, stopped = boot(), boot("second"), boot()
    stopped.machine.domains.pop(stopped.uuid)
    settings = {"cpu_priority": 50}
    answer = change({here: settings, there: settings}, together=True)
    assert (answer.status, "are not on one host" in answer.message) == (400, True)
    answer = change({here: settings, stopped: settings}, together=True)
    assert (answer.status, "is not running" in answer.message) == (409, True)
    answer = change({here: settings, NOBODY: settings}, together=True)
    assert (answer.status, NOBODY in answer.message) == (404, True)
    assert here.saved() == there.saved() == stopped.saved() == {}
    assert here.held()["cpu_priority"] == there.held()["cpu_priority"] == 1024


def test_together_without_an_agent(
    boot: Boot, option: Callable[[str, object], None]
) -> None:
    option("rpc_timeout", 2)
    servers = [boot("silent"), boot("silent")]
    answer = change({each: {"cpu_priority": 50} for each in servers}, together=True)
    assert answer.status == 503
    assert servers[0].saved() == servers[1].saved() == {}


def test_together_on_a_host_that_cannot_note_it(
    boot: Boot, option: Callable[[str, object], None], cloud: Cloud
) -> None:
    servers = [boot(), boot()]
    unfinished = cloud.agents["compute"].manager._together._unfinished
    before, unfinished._directory = unfinished._directory, Path("/proc/none")
    try:
        answer = change({each: {"cpu_priority": 50} for each in servers}, together=True)
    finally:
        unfinished._directory = before
    assert (answer.status, "state_directory" in answer.message) == (501, True)
    assert servers[0].held()["cpu_priority"] == 1024


def test_together_where_one_cannot_be_saved(boot: Boot, as_agent_begins: AsAgentBegins) -> None:
    """nova begins to work on one of them just when its agent has changed it."""
    first, second = boot(), boot()
    as_agent_begins(first, lambda: second.change(task_state="rebooting"))
    answer = change({each: {"cpu_priority": 50} for each in (first, second)}, together=True)
    second.change(task_state=None)
    assert (answer.status, "rebooting" in answer.message) == (409, True)
    assert first.saved() == second.saved() == {}
    for each in (first, second):
        eventually(lambda each=each: each.held()["cpu_priority"] == 1024)  # type: ignore[misc]


class _Killed(BaseException):
    """Ends one thread as a kill would; under eventlet, SystemExit would end them all."""


def test_an_agent_that_is_killed_in_between_leaves_none(
    boot: Boot, cloud: Cloud, option: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a resource that nobody had set, nothing else would tell."""
    option("rpc_timeout", 2)
    first, second = boot(), boot()
    dies = threading.Event()
    apply, undo = Change.apply, Change.undo

    def half(self: Change, names: Any) -> None:
        apply(self, names)
        if self.server.uuid == second.uuid and names:
            dies.set()
            raise _Killed

    monkeypatch.setattr(Change, "apply", half)
    monkeypatch.setattr(Change, "undo", lambda self: None)
    answer = change({each: {"cpu_priority": 50} for each in (first, second)}, together=True)
    assert (answer.status, dies.is_set()) == (503, True)
    monkeypatch.setattr(Change, "apply", apply)
    monkeypatch.setattr(Change, "undo", undo)
    assert {each.held()["cpu_priority"] for each in (first, second)} == {50}
    cloud.agents["compute"].stop()
    cloud.start_agent("compute")
    for each in (first, second):
        eventually(lambda each=each: each.held()["cpu_priority"] == 1024)  # type: ignore[misc]
    assert first.saved() == second.saved() == {}
