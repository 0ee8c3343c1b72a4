# SPDX-License-Identifier: Apache-2.0
"""What nova keeps of a server and nobody can read spoils no other server, and no other resource."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN, READER
from tests.functional.cloud import Server, eventually
from tests.functional.test_fairness import change_flavor
from tests.functional.test_keeping import check
from tests.functional.test_listing import servers
from tests.functional.values import SETTINGS

Boot = Callable[..., Server]
every_spec = pytest.mark.parametrize("shares", ["high", "1024.0", "1e3", "-", "9" * 50 + "x"])


@pytest.fixture
def odd(server: Server, fresh: Server) -> Iterator[Callable[[str], Server]]:
    """Gives the flavor of a new server, of which no agent remembers anything, this
    quota:cpu_shares; the other server of its host is as at first."""
    def with_shares(shares: str) -> Server:
        change_flavor(fresh, 1, **{"quota:cpu_shares": shares})
        return fresh

    yield with_shares
    change_flavor(fresh, 1)


def spoil(server: Server, **kept: str) -> None:
    """Save this as settings, which no code of ours ever did."""
    def is_saved() -> bool:
        instance = server.instance()
        keys = {TABLE[name].names.stored_as: value for name, value in kept.items()}
        is_there = keys.items() <= instance.system_metadata.items()
        instance.system_metadata.update(keys)
        instance.save()
        return bool(is_there)

    eventually(is_saved)


def get_qos(server: Server) -> Any:
    answer = ADMIN.act(server, "get-qos")
    assert answer.status == 200, answer
    return answer.body


@every_spec
def test_a_flavor_with_nonsense(odd: Callable[[str], Server], boot: Boot, shares: str) -> None:
    server, other = odd(shares), boot()
    for caller, query in ((READER, ""), (ADMIN, "?host=compute")):
        assert {server.uuid, other.uuid} <= servers(caller, query).keys()
    shown = get_qos(server)
    reason = shown.pop("cpu_priority")["reason"]
    assert reason == f"the flavor's quota:cpu_shares is {shares[:40]!r}, which is no whole number"
    assert {shown[name]["reason"] for name in shown if TABLE[name].unused is None} == {None}
    listed = servers(ADMIN, "?host=compute")[server.uuid]["qos"]["cpu_priority"]
    assert (listed["reason"], listed["applied"]) == (reason, 1024)
    for row in TABLE.values():
        assert ADMIN.act(server, row.names.get_action).status == 200
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    assert server.held() == SETTINGS
    assert reason in get_qos(server)["cpu_priority"]["reason"]
    assert ADMIN.act(server, "set-qos", {"cpu_priority": None}).status == 200
    assert server.held()["cpu_priority"] == 1024


def test_the_check_goes_on_with_the_others(odd: Callable[[str], Server], boot: Boot) -> None:
    server, other = odd("high"), boot()
    server.keep(io_priority=200)
    other.keep(io_priority=300)
    check(server)
    eventually(lambda: server.held()["io_priority"] == 200)
    eventually(lambda: other.held()["io_priority"] == 300)


def test_a_saved_setting_that_is_none(boot: Boot) -> None:
    # new ones: no action of theirs tells what was saved before
    server, other = boot(), boot()
    server.keep(io_priority=200)
    spoil(server, cpu_priority="high", memory="1e3")
    for caller, query in ((READER, ""), (ADMIN, "?host=compute")):
        assert {server.uuid, other.uuid} <= servers(caller, query).keys()
    shown = get_qos(server)
    assert shown["cpu_priority"]["reason"] == (
        "the saved setting qos:cpu is 'high', which is no number")
    assert "qos:mem" in shown["memory"]["reason"]
    assert (shown["cpu_priority"]["requested"], shown["cpu_priority"]["state"]) == (None, "unset")
    assert shown["io_priority"]["requested"] == 200
    check(server)
    eventually(lambda: server.held()["io_priority"] == 200)
    assert server.held()["memory"] == 512
    assert ADMIN.act(server, "set-qos", {"cpu_priority": 77, "memory": None}).status == 200
    assert {get_qos(server)[name]["reason"] for name in ("cpu_priority", "memory")} == {None}
    assert server.saved() == {"cpu_priority": 77, "io_priority": 200}


def test_what_the_servers_actions_tell_replaces_it(server: Server) -> None:
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 200
    spoil(server, cpu_priority="high")
    shown = get_qos(server)["cpu_priority"]
    assert (shown["requested"], shown["reason"]) == (SETTINGS["cpu_priority"], None)
    assert server.saved() == SETTINGS
