# SPDX-License-Identifier: Apache-2.0
"""What the host will not do: the answer tells why, and all is as it was before."""

from collections.abc import Callable

import pytest

from nova_qos.core.resource import Resource
from nova_qos.resources import TABLE
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server, eventually
from tests.functional.values import EARLIER, SETTINGS, UNSET

#: Those that an object of the host holds; another one refuses nothing.
HELD = {name: row for name, row in TABLE.items() if row.knob is not None}
each_row = pytest.mark.parametrize("row", HELD.values(), ids=HELD.keys())


def held_with(row: Resource) -> set[str]:
    """The resources that the same object of the host holds."""
    return {name for name, other in HELD.items() if other.knob == row.knob}


@pytest.fixture
def changed(server: Server) -> Server:
    """A server with settings that have been applied."""
    assert ADMIN.act(server, "set-qos", EARLIER).status == 200
    assert server.saved() == EARLIER
    return server


@each_row
@pytest.mark.parametrize("at_once", [False, True])
def test_a_refused_write(changed: Server, row: Resource, at_once: bool) -> None:
    changed.domain.refuse = {row.name}
    if at_once:
        answer = ADMIN.act(changed, "set-qos", SETTINGS)
    else:
        answer = ADMIN.act(changed, row.names.set_action, {row.names.key: SETTINGS[row.name]})
    assert answer.status == 409
    assert f"{row.name}: the host refused" in answer.message
    assert changed.saved() == EARLIER
    assert changed.held() == EARLIER


@each_row
def test_a_refused_first_setting_leaves_none(server: Server, row: Resource) -> None:
    server.domain.refuse = {row.name}
    unrelated = server.unrelated()
    assert ADMIN.act(server, "set-qos", SETTINGS).status == 409
    assert (server.saved(), server.unrelated()) == ({}, unrelated)
    assert server.domain.shares == 1024


@each_row
def test_an_unset_that_the_host_refuses_is_made_up_for(changed: Server, row: Resource) -> None:
    changed.domain.refuse = {row.name}
    answer = ADMIN.act(changed, "set-qos", dict.fromkeys(EARLIER))
    assert answer.status == 202
    assert "the host refused" in answer.body[row.name]["reason"]
    same = held_with(row)
    assert (changed.saved(), changed.lifted()) == ({}, same)
    assert changed.held() == UNSET | {name: EARLIER[name] for name in same}
    changed.domain.refuse = set()
    changed.machine.happened(changed.uuid, "changed")
    eventually(lambda: changed.held() == UNSET)
    eventually(lambda: changed.lifted() == set())


def test_a_write_that_was_taken_but_holds_something_else(changed: Server) -> None:
    changed.domain._write_shares = lambda shares: None  # type: ignore[method-assign]
    answer = ADMIN.act(changed, "set-cpu-priority", {"share": 77})
    assert answer.status == 409
    assert "77" in answer.message
    assert "50" in answer.message
    assert changed.saved() == EARLIER


@each_row
def test_what_the_host_cannot(changed: Server, row: Resource) -> None:
    changed.domain.cannot = {row.name}
    for action, value in (
        (row.names.get_action, None), (row.names.set_action, {row.names.key: SETTINGS[row.name]}),
        ("set-qos", SETTINGS),
    ):
        answer = ADMIN.act(changed, action, value)
        assert answer.status == 501
        assert "does not offer it" in answer.message
    assert changed.saved() == EARLIER
    assert changed.held() == EARLIER
    shown = ADMIN.act(changed, "get-qos")
    assert shown.status == 200
    assert shown.body[row.name]["state"] == "unsupported"
    assert "does not offer it" in shown.body[row.name]["reason"]
    assert {each["state"] for name, each in shown.body.items() if name not in held_with(row)} == {
        "applied"}


def test_an_ineffective_setting_says_so(server: Server) -> None:
    server.domain.io_reason = "the disk's scheduler is mq-deadline"
    assert ADMIN.act(server, "set-io-priority", {"weight": 500}).body == {"weight": 500}
    shown = ADMIN.act(server, "get-qos").body["io_priority"]
    assert (shown["state"], shown["effective"]) == ("applied", False)
    assert shown["reason"] == "the disk's scheduler is mq-deadline"


def test_a_value_that_somebody_else_changed(changed: Server) -> None:
    changed.domain.shares = 3000
    shown = ADMIN.act(changed, "get-qos").body["cpu_priority"]
    assert (shown["state"], shown["requested"], shown["applied"]) == ("drifted", 50, 3000)


@pytest.mark.parametrize("silent", ["driver", "reports"])
def test_memory_of_a_guest_that_reports_nothing(server: Server, silent: str) -> None:
    setattr(server.domain, silent, False)
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300})
    assert answer.status == 409
    assert "balloon" in answer.message
    assert "force" in answer.message
    answer = ADMIN.act(server, "set-qos", {"memory": 300, "cpu_priority": 77})
    assert answer.status == 409
    assert (server.saved(), server.domain.writes) == ({}, [])


def test_forced_memory_of_a_guest_that_moves_and_reports_nothing(server: Server) -> None:
    server.domain.reports, server.domain.balloon_step_kib = False, 50 * 1024
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300, "force": True})
    assert (answer.status, answer.body) == (200, {"success": 1})
    shown = ADMIN.act(server, "get-qos").body["memory"]
    assert (shown["state"], shown["applied"], shown["effective"]) == ("applied", 300, True)
    assert ADMIN.act(server, "set-qos", {"memory": None}).body["memory"]["requested"] is None
    eventually(lambda: server.held()["memory"] == 512)
    eventually(lambda: (server.saved(), server.lifted()) == ({}, set()))


def test_forced_memory_of_a_guest_without_balloon_driver_does_not_arrive(
    server: Server, option: Callable[[str, object], None]
) -> None:
    option("balloon_timeout", 0.3)
    server.domain.driver = False
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300, "force": True})
    assert (answer.status, answer.body["success"]) == (200, 0)
    assert "reported nothing" in answer.body["reason"]
    assert (server.saved(), server.held()["memory"]) == ({"memory": 300}, 512)
    shown = ADMIN.act(server, "get-qos").body["memory"]
    assert (shown["state"], shown["effective"]) == ("pending", False)
    server.domain.driver = True
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.held()["memory"] == 300)


def test_memory_that_the_guest_cannot_spare(
    server: Server, option: Callable[[str, object], None]
) -> None:
    server.domain.used_kib = 200 * 1024
    option("memory_reserve_mib", 10)
    answer = ADMIN.act(server, "set-current-memory", {"memory": 209})
    assert answer.status == 409
    assert "210 MiB" in answer.message
    assert "force" in answer.message
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": 77, "memory": 209})
    assert answer.status == 409
    assert (server.saved(), server.domain.writes) == ({}, [])
    assert ADMIN.act(server, "set-current-memory", {"memory": 210}).body == {"success": 1}
    taken = ADMIN.act(server, "set-current-memory", {"memory": 209, "force": True})
    assert (taken.status, taken.body) == (200, {"success": 1})
    assert ADMIN.act(server, "set-qos", {"memory": 208, "force": True}).status == 200
    assert server.saved() == {"memory": 208}


def test_a_balloon_that_does_not_arrive(
    server: Server, option: Callable[[str, object], None]
) -> None:
    option("balloon_timeout", 0.3)
    server.domain.unmovable_kib = 350 * 1024
    answer = ADMIN.act(server, "set-current-memory", {"memory": 300})
    assert answer.status == 200
    assert set(answer.body) == {"success", "actual", "reason"}
    assert (answer.body["success"], answer.body["actual"]) == (0, 350 * 1024)
    assert "350 of 300 MiB" in answer.body["reason"]
    assert server.saved() == {"memory": 300}
    answer = ADMIN.act(server, "set-qos", {"memory": 300, "cpu_priority": 77})
    assert answer.status == 200
    assert answer.body["memory"]["state"] == "pending"
    assert answer.body["cpu_priority"]["state"] == "applied"


def test_a_slow_balloon_that_arrives(server: Server) -> None:
    server.domain.balloon_step_kib = 50 * 1024
    assert ADMIN.act(server, "set-current-memory", {"memory": 312}).body == {"success": 1}
    assert server.domain.actual_kib == 312 * 1024


def test_what_nobody_thought_of_changes_nothing_either(changed: Server) -> None:
    def surprise(name: str, value: int) -> None:
        if (name, value) == ("cpu_priority", 77):
            raise ZeroDivisionError("surprise")

    changed.domain.before_write = surprise
    answer = ADMIN.act(changed, "set-qos", SETTINGS)
    assert answer.status == 500
    assert "surprise" not in answer.message
    assert changed.saved() == EARLIER
    assert changed.held() == EARLIER


@each_row
def test_what_the_host_cannot_may_be_unset_all_the_same(server: Server, row: Resource) -> None:
    server.keep(**{row.name: 300})
    server.domain.cannot = {row.name}
    answer = ADMIN.act(server, "set-qos", {row.name: None})
    assert (answer.status, answer.body[row.name]["state"]) == (200, "unsupported")
    assert server.saved() == {}
