# SPDX-License-Identifier: Apache-2.0
"""What was answered 200 or 202 is saved in the end, and nothing that nova keeps beside it is lost.

nova writes system_metadata whole. Here it writes a copy that it loaded before a set after that set,
as ``lock --reason``, a guest's password and others do when they meet one.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nova import context

from nova_qos.bus.client import AgentClient
from nova_qos.core.server import Entry
from nova_qos.instances import journal, settings
from nova_qos.instances.records import Record
from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server, eventually
from tests.functional.test_keeping import check, states
from tests.functional.values import SETTINGS, UNSET

ROUNDS = 40


def write_back(instance: Any, **more: str) -> None:
    """Save what was loaded earlier, with something of nova's own: else nova would not write it."""
    instance.system_metadata.update(more or {"of_nova": str(time.time())})
    instance.save()


def test_what_nova_overwrites_is_in_force_and_saved_again(server: Server) -> None:
    older = server.instance()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    write_back(older, locked_reason="why")
    assert server.saved() == {}
    answer = ADMIN.act(server, "get-qos").body
    assert {name: row["requested"] for name, row in answer.items()} == SETTINGS
    assert {row["state"] for row in answer.values()} == {"applied"}
    assert server.saved() == SETTINGS
    assert server.unrelated()["locked_reason"] == "why"


def test_what_nova_overwrites_that_is_the_default(server: Server) -> None:
    """By what the host holds, nobody could tell that it is gone."""
    older = server.instance()
    assert ADMIN.act(server, "set-cpu-priority", {"share": 1024}).status == 200
    write_back(older)
    assert server.saved() == {}
    row = ADMIN.act(server, "get-qos").body["cpu_priority"]
    assert (row["requested"], row["state"]) == (1024, "applied")
    assert server.saved() == {"cpu_priority": 1024}


def test_the_agent_mends_what_left_no_trace(
    server: Server, option: Callable[[str, object], None]
) -> None:
    option("rpc_timeout", 1)
    older = server.instance()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    write_back(older)

    def mended() -> bool:
        check(server)
        return server.saved() == SETTINGS

    eventually(mended)
    assert server.held() == SETTINGS


def test_the_agent_mends_it_without_being_asked(server: Server) -> None:
    assert ADMIN.act(server, "set-cpu-priority", {"share": 50}).status == 200
    older = server.instance()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    write_back(older, locked_reason="why")
    check(server)
    eventually(lambda: server.saved() == SETTINGS)
    assert server.held() == SETTINGS
    assert server.unrelated()["locked_reason"] == "why"


@pytest.mark.parametrize("saves", [
    lambda record: record.mend(),
    lambda record: record.forget(["cpu_priority"]),
    lambda record: record.save({
        "io_priority": Entry(300, stamp=record.server.stamps["io_priority"] + 1)}),
    lambda record: record.request_for_new({"io_priority": 300}),
], ids=["mend", "forget", "save", "request for new"])
def test_what_is_saved_while_the_agent_looks_at_a_server_is_not_lost(
    server: Server, saves: Callable[[Record], None]
) -> None:
    """Its look begins with a load, and what it saves in the end may be seconds later."""
    instance = server.instance()
    instance.system_metadata["qos:cpu"] = settings.MARK
    instance.save()
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 200
    record = Record(instance, journal.told(context.get_admin_context(), server.uuid))
    write_back(server.instance(), locked_reason="why")
    saves(record)
    assert server.unrelated()["locked_reason"] == "why"
    assert server.saved()["cpu_priority"] == 77
    assert record.server.own["cpu_priority"] == 77


def test_it_comes_back_after_a_restart_that_nobody_waited_for(server: Server) -> None:
    older = server.instance()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    write_back(older)
    server.restart()
    eventually(lambda: server.held() == SETTINGS)
    eventually(lambda: server.saved() == SETTINGS)


def test_an_unset_stays_one(server: Server) -> None:
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    older = server.instance()
    assert ADMIN.act(server, "set-qos", dict.fromkeys(SETTINGS)).status == 200
    write_back(older)
    assert server.saved() == SETTINGS
    answer = ADMIN.act(server, "get-qos").body
    assert {row["requested"] for row in answer.values()} == {None}
    assert server.saved() == {}


def test_a_later_set_puts_in_again_what_nova_has_overwritten(server: Server) -> None:
    older = server.instance()
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 200
    write_back(older)
    assert ADMIN.act(server, "set-io-priority", {"weight": 300}).status == 200
    assert server.saved() == {"cpu_priority": 77, "io_priority": 300}


def test_a_server_that_does_not_run(server: Server) -> None:
    del server.machine.domains[server.uuid]
    older = server.instance()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 202
    write_back(older, password_0="guest's")
    assert ADMIN.act(server, "get-qos").body["cpu_priority"]["requested"] == 77
    assert server.saved() == SETTINGS
    assert server.unrelated()["password_0"] == "guest's"


def test_the_list_of_a_host_mends_it(server: Server) -> None:
    older = server.instance()
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).status == 200
    write_back(older)
    listed = ADMIN.request("GET", "/os-qos?host=compute").body["servers"]
    row = next(each["qos"]["cpu_priority"] for each in listed if each["id"] == server.uuid)
    assert (row["requested"], row["state"]) == (77, "applied")


@pytest.mark.parametrize("host", ["compute", "halted"])
def test_sets_of_several_resources_from_several_sides(
    boot: Callable[..., Server], option: Callable[[str, object], None], host: str
) -> None:
    """Each names one resource; none takes back what another has saved."""
    option("rpc_timeout", 1 if host == "halted" else 30)
    server = boot(host)
    status = 202 if host == "halted" else 200
    asks = [{name: value} for name, value in SETTINGS.items()]
    for _ in range(3):
        server.reset()
        with ThreadPoolExecutor(len(asks)) as pool:
            answers = list(pool.map(lambda ask: ADMIN.act(server, "set-qos", ask), asks))
        assert {answer.status for answer in answers} == {status}
        assert server.saved() == SETTINGS


@pytest.mark.parametrize("seed", range(3))
def test_interleavings(server: Server, seed: int) -> None:
    """Sets, and write-backs of copies of any age, in any order."""
    dice = random.Random(seed)
    wanted: dict[str, int | None] = {}
    copies = [server.instance()]
    for number in range(ROUNDS):
        if dice.random() < 0.6:
            name = dice.choice(sorted(SETTINGS))
            value = None if dice.random() < 0.2 else SETTINGS[name] + number % 3
            assert ADMIN.act(server, "set-qos", {name: value}).status == 200
            wanted[name] = value
        if dice.random() < 0.5:
            write_back(dice.choice(copies[-4:]), **{f"novas_{number}": "own"})
        if dice.random() < 0.5:
            copies.append(server.instance())
    check(server)
    requested = {name: row["requested"] for name, row in ADMIN.act(server, "get-qos").body.items()}
    assert requested == {**dict.fromkeys(SETTINGS), **wanted}
    assert server.saved() == {name: value for name, value in wanted.items() if value is not None}
    eventually(lambda: set(states(server).values()) <= {"applied", "unset"})


def test_a_set_that_cannot_be_saved_is_taken_back(server: Server) -> None:
    """What the host had before comes back, also where nothing was asked for."""
    server.keep(io_priority=300)
    server.domain.weight = 300
    server.domain.before_write = lambda name, value: server.change(task_state="rebuilding")
    answer = ADMIN.act(server, "set-qos", SETTINGS)
    assert (answer.status, server.saved()) == (409, {"io_priority": 300})
    assert "rebuilding" in answer.message
    eventually(lambda: server.held() == UNSET | {"io_priority": 300})


def test_what_an_api_that_ended_never_saved_is_taken_back(
    cloud: Cloud, server: Server, option: Callable[[str, object], None]
) -> None:
    option("rpc_timeout", 1)
    AgentClient().set(context.get_admin_context(), "compute",
                      settings.saved_server(server.instance()), {"cpu_priority": 77}, False, [])
    assert server.domain.shares == 77
    check(server)
    assert server.domain.shares == 77

    def taken_back() -> bool:
        check(server)
        return server.domain.shares == 1024

    eventually(taken_back)
    assert server.saved() == {}
