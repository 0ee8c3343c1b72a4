# SPDX-License-Identifier: Apache-2.0
"""What hosts refuse, cannot, or do not answer."""

import threading
import time
from collections.abc import Callable

import pytest

from nova_qos.resources import SET_ALL, TABLE, Resource
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server

rows = pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
Option = Callable[[str, object], None]


@rows
def test_refused(server: Server, row: Resource) -> None:
    ADMIN.act(server, row.set_action, {row.key: 400})
    held = row.read(server.domain).applied
    server.domain.refuse = {row.name}
    answer = ADMIN.act(server, row.set_action, {row.key: 300})
    assert answer.status == 409
    assert row.name in answer.message
    assert server.saved() == {row.name: 400}
    assert row.read(server.domain).applied == held


def test_the_third_of_four_refused(server: Server) -> None:
    ADMIN.act(server, SET_ALL, {"memory": 400, "memory_soft_limit": 400})
    server.domain.refuse = {"cpu_priority"}
    answer = ADMIN.act(server, SET_ALL, dict.fromkeys(TABLE, 300))
    assert answer.status == 409
    assert server.saved() == {"memory": 400, "memory_soft_limit": 400}
    domain = server.domain
    assert (domain.target_kib, domain.soft_limit_kib) == (400 * 1024, 400 * 1024)
    assert (domain.shares, domain.weight) == (1024, 100)


@rows
def test_cannot(server: Server, row: Resource) -> None:
    server.domain.cannot = {row.name}
    answer = ADMIN.act(server, row.set_action, {row.key: 300})
    assert (answer.status, server.saved()) == (501, {})
    assert ADMIN.act(server, row.get_action).status == 501
    report = ADMIN.act(server, "get-qos").body
    assert report[row.name]["state"] == "unsupported"
    assert {report[name]["state"] for name in TABLE if name != row.name} == {"unset"}
    answer = ADMIN.act(server, SET_ALL, {row.name: None})
    assert (answer.status, answer.body[row.name]["state"]) == (200, "unsupported")


def test_no_balloon_driver(server: Server) -> None:
    server.domain.driver = False
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300})
    assert (answer.status, "balloon" in answer.message) == (409, True)
    assert (server.saved(), server.domain.writes) == ({}, [])
    assert ADMIN.act(server, "get-current-memory").body["actual"] == 512 * 1024


def test_memory_that_the_guest_needs(server: Server, option: Option) -> None:
    option("memory_reserve_mib", 16)
    server.domain.used_kib = 200 * 1024
    answer = ADMIN.act(server, "set-current-memory", {"memory": 215})
    assert (answer.status, "216 MiB" in answer.message) == (409, True)
    assert server.saved() == {}
    assert ADMIN.act(server, "set-current-memory", {"memory": 216}).status == 200
    forced = {"memory": 150, "force": True}
    assert ADMIN.act(server, "set-current-memory", forced).body == {"success": 1}
    assert ADMIN.act(server, SET_ALL, {"memory": 100, "force": True}).status == 200


def test_a_balloon_that_is_slow(server: Server) -> None:
    server.domain.balloon_step_kib = 100 * 1024
    assert ADMIN.act(server, "set-current-memory", {"memory": 200}).body == {"success": 1}


def test_a_balloon_that_does_not_arrive(server: Server, option: Option) -> None:
    option("balloon_timeout", 0.3)
    server.domain.balloon_step_kib = 0
    answer = ADMIN.act(server, "set-current-memory", {"memory": 200})
    assert answer.status == 200
    assert (answer.body["success"], answer.body["actual"]) == (0, 512 * 1024)
    assert "512 of 200 MiB" in answer.body["reason"]
    assert server.saved() == {"memory": 200}
    assert ADMIN.act(server, SET_ALL, {"memory": 200}).body["memory"]["state"] == "pending"


def test_libvirt_away(server: Server) -> None:
    server.machine.away = True
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 300})
    assert (answer.status, answer.body["state"]) == (202, "pending")
    assert server.saved() == {"cpu_priority": 300}
    assert ADMIN.act(server, "get-cpu-priority").status == 503
    assert ADMIN.act(server, "get-qos").body["cpu_priority"]["requested"] == 300


@pytest.mark.parametrize("host", ["silent", "halted"])
def test_no_agent(boot: Callable[..., Server], option: Option, host: str) -> None:
    option("rpc_timeout", 1)
    server = boot(host)
    start = time.monotonic()
    answer = ADMIN.act(server, SET_ALL, {"cpu_priority": 300})
    assert time.monotonic() - start < 3
    assert (answer.status, answer.body["cpu_priority"]["state"]) == (202, "pending")
    assert host in answer.body["cpu_priority"]["reason"]
    assert server.saved() == {"cpu_priority": 300}
    assert ADMIN.act(server, "get-cpu-priority").status == 503
    report = ADMIN.act(server, "get-qos")
    assert (report.status, report.body["cpu_priority"]["requested"]) == (200, 300)


def test_an_agent_that_answers_too_late(server: Server, option: Option) -> None:
    option("rpc_timeout", 1)
    go_on = threading.Event()
    server.domain.before_write = lambda name, value: go_on.wait(10)
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 300})
    go_on.set()
    assert (answer.status, answer.body["state"]) == (202, "pending")
    assert server.saved() == {"cpu_priority": 300}


def _all_at_once(server: Server, values: range) -> list[int]:
    statuses: list[int] = []

    def set_one(value: int) -> None:
        statuses.append(ADMIN.act(server, "set-cpu-priority", {"share": value}).status)

    threads = [threading.Thread(target=set_one, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


@pytest.mark.parametrize("number", [2, 100])
def test_sets_racing_on_one_server(server: Server, number: int) -> None:
    statuses = _all_at_once(server, range(1000, 1000 + number))
    assert statuses == [200] * number
    assert len(server.domain.writes) == number
    assert server.saved() == {"cpu_priority": server.domain.shares}
