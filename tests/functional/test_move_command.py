# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos move``: both servers are changed, or both stay as they were."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functional.caller import ADMIN
from tests.functional.cloud import Cloud, Server
from tests.functional.test_shells import alone as alone
from tests.functional.test_shells import keystone as keystone
from tests.functional.test_shells import openstack as openstack
from tests.functional.test_shells import rename
from tests.shells import OpenStack


@pytest.fixture(scope="module")
def both(cloud: Cloud) -> Iterator[tuple[Server, Server]]:
    """One that gives, and one that gets: to make them takes longer than most tests."""
    both = rename(cloud.boot(), "gives"), rename(cloud.boot(), "gets")
    yield both
    for server in both:
        cloud.delete(server)


@pytest.fixture
def pair(both: tuple[Server, Server]) -> tuple[Server, Server]:
    """Both have 300 MiB, and nothing else is set."""
    for each in both:
        each.reset()
        assert ADMIN.act(each, "set-qos", {"memory": 300}).status == 200
    return both


def memory(*servers: Server) -> list[tuple[int, int]]:
    """What is saved and what is held, in MiB."""
    return [(each.saved()["memory"], each.domain.held()["memory"]) for each in servers]


def test_memory(openstack: OpenStack, pair: tuple[Server, Server]) -> None:
    rows = openstack.good("move", "--memory", "160M", "gives", "gets").rows()
    assert rows[1:] == [["gives", "applied", "memory 140 MiB"], ["gets", "applied",
                                                                  "memory 460 MiB"]]
    assert memory(*pair) == [(140, 140), (460, 460)]


@pytest.mark.parametrize(("option", "name", "amount", "then"), [
    ("--cpu-priority", "cpu_priority", "500", (524, 1524)),
    ("--io-priority", "io_priority", "100", (200, 400))])
def test_parts(
    openstack: OpenStack, pair: tuple[Server, Server], option: str, name: str, amount: str,
    then: tuple[int, int],
) -> None:
    """What has not been set counts as the default."""
    if name == "io_priority":
        for each in pair:
            assert ADMIN.act(each, "set-qos", {name: 300}).status == 200
    openstack.good("move", option, amount, "gives", "gets")
    assert tuple(each.domain.held()[name] for each in pair) == then


def _used(gives: Server, _gets: Server) -> None:
    gives.domain.used_kib = 290 * 1024


def _refuses(_gives: Server, gets: Server) -> None:
    gets.domain.refuse = {"memory"}


def _no_driver(gives: Server, _gets: Server) -> None:
    gives.domain.driver = False


@pytest.mark.parametrize(("spoil", "amount", "words"), [
    (_used, "100", "lowest safe value"), (_refuses, "100", "refused"),
    (_no_driver, "100", "balloon driver"),
    (None, "250", "'550' is not accepted"), (None, "300", "'0' is not accepted")])
def test_refused_with_both_as_they_were(
    openstack: OpenStack, pair: tuple[Server, Server], spoil: Any, amount: str, words: str
) -> None:
    if spoil is not None:
        spoil(*pair)
    error = openstack.bad("move", "--memory", amount, "gives", "gets").error()
    assert "nothing was changed" in error
    assert words in error
    assert memory(*pair) == [(300, 300), (300, 300)]


def test_servers_that_cannot_be_changed_together(
    openstack: OpenStack, pair: tuple[Server, Server], boot: Callable[..., Server]
) -> None:
    gives, gets = pair
    elsewhere = boot("second")
    assert ADMIN.act(elsewhere, "set-qos", {"memory": 300}).status == 200
    told = openstack.bad("move", "--memory", "10", "gives", elsewhere.uuid).error()
    assert "are not on one host" in told
    told = openstack.bad("move", "--memory", "10", "gives", gives.uuid).error()
    assert told == "Give two servers: both names are of the same one."
    assert openstack.bad("move", "--memory", "10", "gives", "nobody").error() == (
        "No Server found for nobody")
    del gets.machine.domains[gets.uuid]
    assert "is not running" in openstack.bad("move", "--memory", "10", "gives", "gets").error()
    assert memory(gives) == [(300, 300)]
    assert gets.saved() == {"memory": 300}
