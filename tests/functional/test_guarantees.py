# SPDX-License-Identifier: Apache-2.0
"""Guarantees beside limits, beside priorities, and beside those of other servers of the host."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.fakehost import CAPACITY, FakeDomain
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server, eventually
from tests.functional.test_keeping import shown

ALL_PERCENT = CAPACITY.cpu_percent
#: Of a server's reading while others want much.
RAISED = "raised by cpu_guarantee"


@pytest.fixture
def neighbour(server: Server) -> Iterator[FakeDomain]:
    """A domain of the same host that nova knows nothing of."""
    yield server.machine.add("neighbour")
    server.machine.domains.pop("neighbour", None)


@pytest.mark.parametrize(("mine", "both"), [
    ({"cpu_guarantee": 60, "cpu_limit": 50},
     "cpu_guarantee 60 percent of one CPU is more than cpu_limit 50 percent of one CPU"),
    ({"memory_guarantee": 300, "memory": 200},
     "memory_guarantee 300 MiB is more than memory 200 MiB"),
    ({"net_guarantee": 6000, "net_limit": 5000},
     "net_guarantee 6000 kbit/s is more than net_limit 5000 kbit/s"),
    ({"net_in_guarantee": 6000, "net_in_limit": 5000},
     "net_in_guarantee 6000 kbit/s is more than net_in_limit 5000 kbit/s"),
])
def test_a_guarantee_above_the_limit_is_refused(
    server: Server, mine: dict[str, int], both: str
) -> None:
    for first in (mine, dict(reversed(mine.items()))):
        answer = ADMIN.act(server, "set-qos", first)
        assert (answer.status, server.saved(), server.domain.writes) == (400, {}, [])
        assert both in answer.message
    for name, value in mine.items():
        assert ADMIN.act(server, "set-qos", {name: value}).status == 200
        for other in mine.keys() - {name}:
            answer = ADMIN.act(server, "set-qos", {other: mine[other]})
            assert answer.status == 400
            assert both in answer.message
            # what is unset in the same request is in nobody's way
            both_at_once = {name: None, other: mine[other]}
            assert ADMIN.act(server, "set-qos", both_at_once).status == 200
        server.reset()


def test_memory_is_not_taken_below_the_guarantee(server: Server) -> None:
    assert ADMIN.act(server, "set-memory-guarantee", {"memory_guarantee": 300}).status == 200
    answer = ADMIN.act(server, "set-current-memory", {"memory": 299, "force": True})
    assert answer.status == 400
    assert "memory_guarantee 300 MiB is more than memory 299 MiB" in answer.message
    assert ADMIN.act(server, "set-current-memory", {"memory": 300}).body == {"success": 1}
    told = shown(server, "memory_guarantee")
    assert (told["state"], told["applied"], told["effective"]) == ("applied", 300, True)
    assert told["reason"] == "cgroup v1: for the balloon alone"
    server.domain.unified = True
    assert shown(server, "memory_guarantee")["reason"] is None


def test_a_contradiction_that_both_got_in_is_resolved(server: Server) -> None:
    server.keep(cpu_guarantee=60, cpu_limit=50)
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.held()["cpu_guarantee"] == 50)
    told = shown(server, "cpu_guarantee")
    assert (told["requested"], told["applied"], told["state"]) == (60, 50, "applied")
    assert told["reason"] == "reduced to 50 percent of one CPU, the server's cpu_limit"


def test_a_raised_weight_is_no_drift(server: Server, neighbour: FakeDomain) -> None:
    neighbour.shares = 200_000
    assert ADMIN.act(server, "set-cpu-guarantee", {"percent": 100}).body == {"percent": 100}
    raised = server.domain.shares
    assert raised > 3000
    assert ADMIN.act(server, "set-cpu-priority", {"share": 77}).body == {"share": 77}
    assert server.domain.shares == raised
    told = shown(server, "cpu_priority")
    assert (told["requested"], told["applied"], told["state"], told["effective"]) == (
        77, raised, "applied", True)
    assert told["reason"] == RAISED
    assert ADMIN.act(server, "get-cpu-priority").body == {"share": raised}
    listed = ADMIN.request("GET", "/os-qos?host=compute").body["servers"]
    (mine,) = [each["qos"] for each in listed if each["id"] == server.uuid]
    assert (mine["cpu_priority"]["state"], mine["cpu_priority"]["weight"]) == ("applied", raised)
    assert ADMIN.act(server, "set-cpu-guarantee", {"percent": -1}).status == 200
    assert server.domain.shares == 77


def test_what_another_program_wrote_is_drift(
    server: Server, neighbour: FakeDomain, option: Callable[[str, object], None]
) -> None:
    neighbour.shares = 200_000
    assert ADMIN.act(server, "set-qos", {"cpu_guarantee": 100}).status == 200
    # or the agent would put it right at any moment
    option("drift", "report")
    raised, server.domain.shares = server.domain.shares, 1024
    told = shown(server, "cpu_guarantee")
    assert (told["state"], told["requested"]) == ("drifted", 100)
    assert told["applied"] == 100 * 1024 // raised
    option("drift", "correct")
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.domain.shares == raised)
    eventually(lambda: shown(server, "cpu_guarantee")["state"] == "applied")
    assert shown(server, "cpu_priority")["reason"] == RAISED


def test_a_start_and_an_end_beside_it_count_within_a_second(server: Server) -> None:
    assert ADMIN.act(server, "set-qos", {"cpu_guarantee": 100}).status == 200
    before = server.domain.shares
    began = time.monotonic()
    server.machine.add("neighbour").shares = 250_000
    server.machine.happened("neighbour", "started")
    eventually(lambda: server.domain.shares > before, 1.0)
    print(f"adapted after {1000 * (time.monotonic() - began):.0f} ms")
    del server.machine.domains["neighbour"]
    server.machine.happened("neighbour", "ended")
    eventually(lambda: server.domain.shares == before, 1.0)


def test_more_than_the_host_has_is_refused_with_the_numbers(
    server: Server, neighbour: FakeDomain
) -> None:
    neighbour.cpu_guarantee = ALL_PERCENT - 60
    answer = ADMIN.act(server, "set-cpu-guarantee", {"percent": 61})
    assert (answer.status, server.saved(), server.domain.writes) == (409, {}, [])
    assert (f"can guarantee {ALL_PERCENT} percent of one CPU to its servers and has promised "
            f"{ALL_PERCENT - 60} to others, so 60 are left, less than 61") in answer.message
    neighbour.memory_guarantee = CAPACITY.memory_mib - 100
    answer = ADMIN.act(server, "set-qos", {"memory_guarantee": 101, "cpu_priority": 77})
    assert (answer.status, server.saved(), server.domain.writes) == (409, {}, [])
    assert "so 100 are left, less than 101" in answer.message
    assert ADMIN.act(server, "set-memory-guarantee", {"memory_guarantee": 100}).status == 200


def test_what_arrives_is_taken_and_reduced(boot: Callable[..., Server]) -> None:
    server = boot()
    assert ADMIN.act(server, "set-qos", {"cpu_guarantee": 100}).status == 200
    neighbour = server.machine.add("neighbour")
    neighbour.cpu_guarantee = ALL_PERCENT
    try:
        server.restart()
        eventually(lambda: server.held()["cpu_guarantee"] == 100)
        told = shown(server, "cpu_guarantee")
        assert (told["requested"], told["state"], told["effective"]) == (100, "applied", False)
        assert 90 < int(str(told["applied"])) < 100
        assert f"guaranteed {ALL_PERCENT + 100} percent of one CPU together" in str(told["reason"])
    finally:
        del server.machine.domains["neighbour"]


def test_dedicated_cpus_need_no_guarantee(server: Server) -> None:
    server.domain.dedicated_cpus = True
    assert ADMIN.act(server, "set-cpu-guarantee", {"percent": 50}).status == 501
    assert server.saved() == {}


def test_a_limit_below_what_the_flavor_gives_a_vcpu(server: Server) -> None:
    server.domain.vcpu_percent = 50
    answer = ADMIN.act(server, "set-cpu-limit", {"percent": 49})
    assert (answer.status, server.saved()) == (409, {})
    assert ADMIN.act(server, "set-cpu-limit", {"percent": 50}).status == 200


def test_memory_priority_is_saved_and_has_no_effect_yet(server: Server) -> None:
    assert ADMIN.act(server, "set-memory-priority", {"weight": 500}).body == {"weight": 500}
    told = shown(server, "memory_priority")
    assert (told["requested"], told["applied"], told["state"], told["effective"]) == (
        500, 500, "applied", False)
    assert "balancing" in str(told["reason"])
    assert ADMIN.act(server, "get-memory-priority").body == {"weight": 500}


def test_a_memory_priority_of_a_stopped_server_waits_for_nothing_later(server: Server) -> None:
    domain = server.machine.domains.pop(server.uuid)
    assert ADMIN.act(server, "set-memory-priority", {"weight": 500}).status == 202
    server.machine.domains[server.uuid] = domain
    told = shown(server, "memory_priority")
    assert (told["requested"], told["applied"], told["state"]) == (500, 500, "applied")


@pytest.mark.parametrize(("action", "body"), [
    ("set-io-limit", {"iops": 500}), ("set-qos", {"io_rate_limit": 8192, "cpu_priority": 77})])
def test_a_limit_of_disks_that_others_limit_is_refused_and_not_saved(
    server: Server, action: str, body: dict[str, int]
) -> None:
    server.domain.foreign_disks = "disk vda has limits of the flavor"
    answer = ADMIN.act(server, action, body)
    assert answer.status == 409
    assert "no disk can be limited: disk vda has limits of the flavor" in answer.message
    assert (server.saved(), server.domain.writes) == ({}, [])
    unset = dict.fromkeys(body) if action == "set-qos" else {"iops": -1}
    assert ADMIN.act(server, action, unset).status == 200
