# SPDX-License-Identifier: Apache-2.0
"""A host whose own scale is coarser than the API's, as that of cgroup v2 is for CPU shares."""

import time

import pytest

from nova_qos.core.reading import Reading
from tests.fakehost import FakeDomain
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server, eventually
from tests.functional.test_keeping import Option, check, shown
from tests.functional.values import FLAVOR_MIB


class CoarseDomain(FakeDomain):
    """Keeps a CPU weight, of which several shares are the same."""

    @property
    def cpu_weight(self) -> int:
        return round(self.shares * 100 / 1024)

    def _read_shares(self) -> Reading:
        same = [shares for shares in range(max(2, self.shares - 20), self.shares + 20)
                if round(shares * 100 / 1024) == self.cpu_weight]
        return Reading((same[0] + same[-1]) // 2, span=(same[0], same[-1]))


def start(server: Server) -> CoarseDomain:
    """The server starts on such a host."""
    domain = CoarseDomain(FLAVOR_MIB * 1024, server.machine.domains)
    server.machine.domains[server.uuid] = domain
    server.machine.happened(server.uuid, "started")
    return domain


@pytest.fixture
def coarse(server: Server) -> CoarseDomain:
    return start(server)


def test_a_share_that_reads_back_as_its_neighbour_is_applied(
    server: Server, coarse: CoarseDomain
) -> None:
    answer = ADMIN.act(server, "set-cpu-priority", {"share": 1500})
    assert (answer.status, answer.body) == (200, {"share": 1495})
    cpu = shown(server, "cpu_priority")
    assert (cpu["requested"], cpu["applied"], cpu["state"]) == (1500, 1495, "applied")
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": 1490})
    assert (answer.status, answer.body["cpu_priority"]["state"]) == (200, "applied")


def test_it_is_neither_drift_nor_written_again(server: Server, coarse: CoarseDomain) -> None:
    ADMIN.act(server, "set-cpu-priority", {"share": 1500})
    check(server)
    server.machine.happened(server.uuid, "changed")
    time.sleep(1)
    assert coarse.writes == [("cpu_priority", 1500)]
    assert shown(server, "cpu_priority")["state"] == "applied"
    domain = start(server)
    eventually(lambda: domain.writes == [("cpu_priority", 1500)])
    eventually(lambda: shown(server, "cpu_priority")["state"] == "applied")


def test_what_is_beyond_its_neighbours_is_drift(
    server: Server, coarse: CoarseDomain, option: Option
) -> None:
    option("drift", "report")
    ADMIN.act(server, "set-cpu-priority", {"share": 1500})
    coarse.shares = 1501
    check(server)
    eventually(lambda: "report" in str(shown(server, "cpu_priority")["reason"]))
    assert shown(server, "cpu_priority")["state"] == "drifted"
    coarse.shares = 1493
    assert shown(server, "cpu_priority")["state"] == "applied"
    option("drift", "correct")
    coarse.shares = 1501
    check(server)
    eventually(lambda: coarse.shares == 1500)


def test_an_unset_ends(server: Server, coarse: CoarseDomain) -> None:
    ADMIN.act(server, "set-cpu-priority", {"share": 1500})
    assert ADMIN.act(server, "set-qos", {"cpu_priority": None}).status == 200
    assert (server.saved(), server.lifted(), coarse.cpu_weight) == ({}, set(), 100)
    assert shown(server, "cpu_priority")["state"] == "unset"
