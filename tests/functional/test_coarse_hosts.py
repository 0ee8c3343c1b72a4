# SPDX-License-Identifier: Apache-2.0
"""A host whose own scale is coarser than the API's, as that of cgroup v2 is for CPU shares."""

import time
from collections.abc import Callable, Iterator

import pytest

from nova_qos.core import scales
from nova_qos.core.reading import Reading
from tests.fakehost import FakeDomain
from tests.functional.caller import ADMIN
from tests.functional.cloud import Server, eventually
from tests.functional.test_fairness import change_flavor
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


@pytest.fixture
def unified(server: Server) -> Iterator[Callable[[str, int], FakeDomain]]:
    """The server on a host with cgroup v2, with a flavor's quota:cpu_shares, which libvirt has
    written as a weight."""
    def of_flavor(shares: str, weight: int) -> FakeDomain:
        change_flavor(server, 1, **{"quota:cpu_shares": shares})
        server.domain.unified, server.domain.shares = True, scales.cpu_shares(weight)
        return server.domain

    yield of_flavor
    change_flavor(server, 1)


@pytest.mark.parametrize(("shares", "weight"), [
    ("200", 200), ("50", 50), ("1", 1), ("2048", 2048), ("10000", 10000)])
def test_an_unset_gives_back_what_nova_gave(
    server: Server, unified: Callable[[str, int], FakeDomain], shares: str, weight: int
) -> None:
    domain, default = unified(shares, weight), scales.cpu_shares(weight)
    before = shown(server, "cpu_priority")
    assert (before["default"], before["applied"], before["state"]) == (default, default, "unset")
    assert ADMIN.act(server, "set-cpu-priority", {"share": 1024}).status == 200
    answer = ADMIN.act(server, "set-qos", {"cpu_priority": None})
    assert (answer.status, scales.cpu_weight(domain.shares)) == (200, weight)
    assert answer.body["cpu_priority"]["default"] == answer.body["cpu_priority"]["applied"]
    assert (server.saved(), server.lifted()) == ({}, set())
    (listed,) = (each for each in ADMIN.request("GET", "/os-qos?host=compute").body["servers"]
                 if each["id"] == server.uuid)
    assert listed["qos"]["cpu_priority"]["default"] == default


def test_so_does_an_unset_that_had_to_wait(
    server: Server, unified: Callable[[str, int], FakeDomain]
) -> None:
    domain = unified("200", 200)
    assert ADMIN.act(server, "set-cpu-priority", {"share": 1024}).status == 200
    server.machine.away = True
    assert ADMIN.act(server, "set-qos", {"cpu_priority": None}).status == 202
    assert server.lifted() == {"cpu_priority"}
    server.machine.away = False
    server.machine.happened(server.uuid, "changed")
    eventually(lambda: server.lifted() == set())
    assert (domain.shares, shown(server, "cpu_priority")["default"]) == (2048, 2048)


@pytest.mark.parametrize(("shares", "held"), [("200", 200), ("1", 2)])
def test_on_cgroup_v1_a_flavors_shares_are_shares(
    server: Server, unified: Callable[[str, int], FakeDomain], shares: str, held: int
) -> None:
    domain = unified(shares, 100)
    domain.unified, domain.shares = False, held
    assert shown(server, "cpu_priority")["default"] == held
    assert ADMIN.act(server, "set-cpu-priority", {"share": 1024}).status == 200
    assert ADMIN.act(server, "set-qos", {"cpu_priority": None}).status == 200
    assert domain.shares == held
