# SPDX-License-Identifier: Apache-2.0
"""Who waits for a guest, and for how long: a set in the API, and never the agent or a get."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nova import context

from nova_qos.agent.locks import locked
from nova_qos.bus import wire
from nova_qos.bus.client import AgentClient
from nova_qos.core import errors
from nova_qos.instances import settings
from tests.functional.caller import ADMIN, READER
from tests.functional.cloud import Cloud, FakeAgent, Server, eventually
from tests.pace import LONG_S, Stopwatch


def test_the_agent_works_on_while_a_guest_is_slow(server: Server, option: Any) -> None:
    option("balloon_timeout", LONG_S)
    server.domain.balloon_step_kib = 0
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(
        ADMIN.act(server, "set-current-memory", {"memory": 256})))
    slow.start()
    eventually(lambda: server.saved() == {"memory": 256})
    assert ADMIN.act(server, "set-cpu-priority", {"share": 99}).body == {"share": 99}
    assert answers == []
    server.domain.balloon_step_kib = None
    slow.join()
    assert answers[0].body == {"success": 1}


def test_a_guest_that_arrives_in_time_is_success(server: Server) -> None:
    server.domain.balloon_step_kib = 64 * 1024
    assert ADMIN.act(server, "set-current-memory", {"memory": 256}).body == {"success": 1}


def test_a_set_that_comes_too_early_is_repeated(server: Server) -> None:
    server.domain.due_s = 0.5
    threading.Timer(0.7, lambda: setattr(server.domain, "due_s", 0.0)).start()
    began = time.monotonic()
    assert ADMIN.act(server, "set-current-memory", {"memory": 256}).body == {"success": 1}
    assert time.monotonic() > began + 0.5


@pytest.mark.parametrize("due_s", [0.3, 301.0])
def test_a_guest_that_never_reports_is_a_refusal_with_nothing_saved(
    server: Server, option: Any, due_s: float
) -> None:
    option("rpc_timeout", 2)
    server.domain.due_s = due_s
    with Stopwatch() as watch:
        answer = ADMIN.act(server, "set-current-memory", {"memory": 256})
    assert watch.seconds < 3
    assert (answer.status, server.saved()) == (409, {})
    assert "has not reported what it can spare" in answer.message


def test_a_get_never_waits_for_a_guest(server: Server) -> None:
    server.domain.due_s, server.domain.overdue = 30.0, True
    with Stopwatch() as watch, ThreadPoolExecutor(16) as readers:
        answers = list(readers.map(
            lambda _: READER.act(server, "balloon-driver-enabled"), range(16)))
    assert {each.body["ballooning_enabled"] for each in answers} == {False}
    assert watch.seconds < 5
    assert READER.act(server, "get-current-memory").status == 200
    server.domain.overdue = False
    assert READER.act(server, "balloon-driver-enabled").body == {"ballooning_enabled": True}


class WaitingAgent(FakeAgent):
    """As the first of its version: it says when to ask again."""

    def balloon(self, *args: Any, **kwargs: Any) -> Any:
        return True, None, 30.0


def test_not_even_where_an_older_agent_says_so(
    cloud: Cloud, boot: Callable[[str], Server]
) -> None:
    server = boot("halted")
    agent = cloud.start_service(
        "qos-agent", host="halted", topic=wire.TOPIC,
        manager=f"{WaitingAgent.__module__}.{WaitingAgent.__name__}")
    try:
        with Stopwatch() as watch:
            answer = ADMIN.act(server, "balloon-driver-enabled")
        assert (answer.body, watch.seconds < 5) == ({"ballooning_enabled": False}, True)
    finally:
        agent.stop()


def test_a_set_that_waited_too_long_for_its_turn_is_not_carried_out_behind_the_caller(
    server: Server, option: Any
) -> None:
    option("rpc_timeout", 2)
    with locked(server.uuid):
        answer = ADMIN.act(server, "set-cpu-priority", {"share": 333})
        assert answer.status == 202
        assert server.domain.writes == []
    eventually(lambda: server.held()["cpu_priority"] == 333)
    assert [name for name, _value in server.domain.writes] == ["cpu_priority"]


def test_a_set_of_everything_is_one_question(server: Server, messages: list[str]) -> None:
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": 2048})
    assert answer.body["io_priority"]["applied"] == 100
    assert messages == ["set"]


def test_errors_of_the_agent_are_those_of_the_tree(server: Server) -> None:
    """Their names are all that crosses a real bus."""
    server.domain.used_kib = 500 * 1024
    with pytest.raises(errors.UnsafeMemory) as caught:
        AgentClient().set(context.get_admin_context(), "compute",
                          settings.saved_server(server.instance()), {"memory": 100}, False,
                          ["memory"])
    assert type(caught.value).__name__ in vars(errors)
