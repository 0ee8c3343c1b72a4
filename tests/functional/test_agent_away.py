# SPDX-License-Identifier: Apache-2.0
"""Nobody there to ask: a set is kept for later, a get says so, both within the RPC timeout."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nova_qos.core import errors
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.values import SETTINGS
from tests.pace import LONG_S, Stopwatch

TIMEOUT = 1


@pytest.fixture(autouse=True)
def short_timeout(option: Callable[[str, object], None]) -> None:
    option("rpc_timeout", TIMEOUT)


@contextmanager
def in_time() -> Iterator[None]:
    with Stopwatch() as watch:
        yield
    assert watch.seconds < TIMEOUT + 2


@pytest.mark.parametrize("host", ["silent", "halted"])
def test_no_agent_on_the_host(boot: Callable[[str], Server], host: str) -> None:
    server = boot(host)
    # each call takes the whole timeout, for the fixture of the bus knows no undeliverable message
    for row in (TABLE["memory"], TABLE["cpu_priority"]):
        with in_time():
            answer = ADMIN.act(server, row.names.set_action, {row.names.key: SETTINGS[row.name]})
        assert answer.status == 202
        assert answer.body["state"] == "pending"
        assert answer.body["requested"] == SETTINGS[row.name]
        assert f"nova-qos-agent on host {host}" in answer.body["reason"]
        with in_time():
            answer = ADMIN.act(server, row.names.get_action)
        assert answer.status == 503
        assert f"nova-qos-agent on host {host}" in answer.message
    with in_time():
        assert ADMIN.act(server, "set-qos", SETTINGS).status == 202
    assert server.saved() == SETTINGS
    with in_time():
        assert ADMIN.act(server, "balloon-driver-enabled").status == 503
    with in_time():
        shown = ADMIN.act(server, "get-qos")
    assert shown.status == 200
    for name, value in SETTINGS.items():
        assert shown.body[name]["requested"] == value
        assert shown.body[name]["state"] == "pending"
        assert host in shown.body[name]["reason"]
    with in_time():
        answer = ADMIN.act(server, "set-qos", {"memory": None, "cpu_priority": 78})
    assert answer.status == 202
    kept = {name: value for name, value in SETTINGS.items() if name != "memory"}
    assert server.saved() == kept | {"cpu_priority": 78}
    assert server.lifted() == {"memory"}
    assert server.domain.writes == []


def test_a_bad_value_is_refused_although_nobody_is_there(boot: Callable[[str], Server]) -> None:
    server = boot("silent")
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": 5, "memory": 513})
    assert (answer.status, server.saved()) == (400, {})
    server.change(task_state="deleting")
    assert ADMIN.act(server, "set-qos", {"cpu_priority": 5}).status == 409
    assert server.saved() == {}


def test_a_task_that_begins_while_the_api_waits(
    boot: Callable[[str], Server], as_it_asks: Callable[[Callable[[], object]], None]
) -> None:
    server = boot("silent")
    as_it_asks(lambda: server.change(task_state="deleting"))
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 5})
    assert (answer.status, server.saved()) == (409, {})


def test_an_agent_that_answers_too_late(server: Server) -> None:
    may_go_on = threading.Event()
    server.domain.before_write = lambda name, value: may_go_on.wait(2 * LONG_S)
    with in_time():
        answer = ADMIN.act(server, "set-cpu-priority", {"share": 77})
    assert answer.status == 202
    assert "did not answer within 1 s" in answer.body["reason"]
    assert server.saved() == {"cpu_priority": 77}
    may_go_on.set()
    eventually(lambda: server.domain.shares == 77)
    assert ADMIN.act(server, "get-cpu-priority").body == {"share": 77}
    assert server.saved() == {"cpu_priority": 77}


def test_what_was_promised_for_later_outlives_a_late_refusal(server: Server) -> None:
    may_go_on = threading.Event()
    server.keep(cpu_priority=50)
    server.domain.refuse = {"cpu_priority"}
    server.domain.before_write = lambda name, value: may_go_on.wait(2 * LONG_S)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 202
    may_go_on.set()
    # one set after another: when this is answered, the late one is over
    assert ADMIN.act(server, "set-io-priority", {"weight": 200}).status == 200
    assert server.saved() == {"cpu_priority": 77, "io_priority": 200}


def test_an_agent_that_comes_back(cloud: Cloud, boot: Callable[[str], Server]) -> None:
    server = boot("halted")
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 202
    cloud.start_agent("halted")
    try:
        assert ADMIN.act(server, "set-io-priority", {"weight": 200}).status == 200
        assert ADMIN.act(server, "get-qos").body["cpu_priority"]["requested"] == 77
    finally:
        cloud.agents["halted"].stop()
    assert ADMIN.act(server, "get-io-priority").status == 503
    assert server.saved() == {"cpu_priority": 77, "io_priority": 200}


def test_libvirt_is_away(server: Server) -> None:
    server.machine.away = True
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert answer.status == 202
    assert {shown["reason"] for shown in answer.body.values()} == {"libvirt does not answer"}
    assert ADMIN.act(server, "set-cpu-priority", {"share": 78}).body == {
        "state": "pending", "requested": 78, "reason": "libvirt does not answer"}
    assert server.saved() == SETTINGS | {"cpu_priority": 78}
    for row in TABLE.values():
        answer = ADMIN.act(server, row.names.get_action)
        assert (answer.status, answer.message) == (503, "libvirt does not answer")
    assert ADMIN.act(server, "balloon-driver-enabled").status == 503
    shown = ADMIN.act(server, "get-qos")
    assert (shown.status, shown.body["memory"]["requested"]) == (200, 300)
    server.machine.away = False
    eventually(lambda: ADMIN.act(server, "get-cpu-priority").body == {"share": 78})


def test_libvirt_goes_away_between_two_writes(server: Server) -> None:
    def leave(name: str, value: int) -> None:
        if name == "cpu_priority":
            server.domain.failure = errors.HostAway("libvirt does not answer")

    server.domain.before_write = leave
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 202
    assert server.saved() == SETTINGS
