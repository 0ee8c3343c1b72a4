# SPDX-License-Identifier: Apache-2.0
"""Who gets how many CPU shares for a guarantee, on groups in memory of the test's own."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.core.plan import Asked, Capacity, Granted
from nova_qos.virt.groups import Group
from nova_qos.virt.promises import Promises

ONE_CPU = Capacity(cpu_percent=100, memory_mib=1000, most_shares=262144)


class Host:
    """Groups that have nothing but shares."""

    def __init__(self, **shares: int) -> None:
        self.shares = shares
        self.fails: set[str] = set()
        self.given: list[str] = []
        self.promises = Promises(ONE_CPU, self.present, self.read, self.give)

    def present(self) -> Mapping[str, Group]:
        return {name: Group(Path(name)) for name in self.shares}

    def read(self, group: Group) -> int:
        return self.shares[group.name]

    def give(self, group: Group, before: Granted, now: Granted) -> None:
        if group.name in self.fails:
            raise errors.HostRefused("no")
        self.given.append(group.name)
        self.shares[group.name] = now.shares

    def ask(self, name: str, shares: int | None = None, percent: int | None = None) -> None:
        """As a server's knob does it; the uuid is the name in capital letters."""
        self.shares[name] = self.promises.ask(name.upper(), name, shares, percent).shares


@pytest.fixture
def host() -> Host:
    return Host(a=1024, b=1024, c=1024, d=1024)


def test_shares_are_raised_and_come_back(host: Host) -> None:
    host.ask("a", percent=50)
    assert host.shares["a"] == 3072
    assert host.promises.of("A") is not None
    host.ask("a", shares=2048)
    assert host.shares["a"] == 3072
    host.ask("a", percent=0)
    assert (host.shares["a"], host.promises.of("A")) == (2048, None)


def test_a_start_and_an_end_change_them(host: Host) -> None:
    host.ask("a", percent=50)
    host.shares["e"] = 1024
    host.promises.settle()
    assert host.shares["a"] == 4096
    del host.shares["e"], host.shares["d"]
    host.promises.settle()
    assert host.shares["a"] == 2048


def test_what_another_server_asks_for_changes_them(host: Host) -> None:
    host.ask("a", percent=50)
    host.ask("b", shares=2048)
    assert (host.shares["a"], host.shares["b"]) == (4096, 2048)
    host.ask("b", percent=50)
    # half each: the others would get nothing, which no weight can do
    assert host.shares["a"] == host.shares["b"] == 262144


def test_drift_is_not_corrected_here(host: Host) -> None:
    host.ask("a", percent=50)
    host.shares["a"] = 5
    host.promises.settle()
    assert (host.shares["a"], host.given) == (5, [])


def test_another_start_of_the_same_server_is_promised_nothing(host: Host) -> None:
    host.ask("a", percent=50)
    del host.shares["a"]
    host.shares["a2"] = 1024
    host.promises.settle()
    assert (host.promises.of("A"), host.shares["a2"]) == (None, 1024)
    host.ask("b", percent=20)
    host.promises.forget("B")
    assert host.promises.of("B") is None


def test_a_server_that_restarts_asks_anew(host: Host) -> None:
    host.ask("a", shares=2048, percent=50)
    del host.shares["a"]
    host.shares["a2"] = 1024
    assert host.promises.ask("A", "a2", cpu_percent=20) == Granted(1024, 20)


def test_a_group_that_takes_nothing_is_tried_again(host: Host) -> None:
    host.ask("a", percent=50)
    host.fails = {"a"}
    host.ask("b", shares=2048)
    assert host.shares["a"] == 3072
    host.fails = set()
    host.promises.settle()
    assert host.shares["a"] == 4096


def test_a_group_that_ends_meanwhile_is_left_out(host: Host) -> None:
    def gone(group: Group) -> int:
        raise FileNotFoundError(group.name)

    host.promises._read_shares = gone
    assert host.promises.ask("A", "a", 1024, 50) == Granted(1024, 50)


def test_the_sum_is_refused_with_the_numbers(host: Host) -> None:
    host.ask("a", percent=60)
    host.promises.require_room("B", "b", cpu_percent=40 - 5)
    with pytest.raises(errors.HostRefused, match="promised 60 to others, so 40 are left"):
        host.promises.require_room("B", "b", cpu_percent=41)
    # its own promise is no other's
    host.promises.require_room("A", "a", cpu_percent=90)
    # what arrives is taken
    host.ask("b", percent=60)
    granted = [promise.granted for uuid in "AB" if (promise := host.promises.of(uuid))]
    # the two without a guarantee have the rest
    assert granted == [Granted(262144, 49), Granted(262144, 49)]
    assert host.promises.all_asked() == [Asked(1024, 60), Asked(1024, 60)]


def test_without_promises_nothing_is_looked_at(host: Host) -> None:
    host.promises._present = lambda: pytest.fail("asked")  # type: ignore[assignment]
    assert host.promises.ask("A", "a", shares=77) == Granted(77)
    host.promises.settle()
