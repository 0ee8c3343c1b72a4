# SPDX-License-Identifier: Apache-2.0
"""Calls about one server have their turns; those about others pass by."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import pytest

from nova_qos.virt import pool as pools
from nova_qos.virt.daemon import Daemon
from nova_qos.virt.pool import Overdue, Pool
from tests.pace import LONG_S


class FreeConnection:
    """Calls without a libvirt."""

    def __init__(self, daemon: Daemon) -> None: ...

    def call(self, work: Callable[[Any], object]) -> object:
        return work(None)

    def close(self) -> None: ...


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setattr(pools, "Connection", FreeConnection)
    pool = Pool(Daemon("test:///default"), 2)
    yield pool
    pool.close()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_callers_about_one_server_have_their_turns_in_order(
    pool: Pool, released: threading.Event
) -> None:
    order: list[int] = []
    pool.begin("a", lambda _: released.wait(), LONG_S)

    def queue_up(number: int) -> None:
        pool.call("a", lambda _: order.append(number), LONG_S)

    with futures.ThreadPoolExecutor(6) as threads:
        for number in range(6):
            threads.submit(queue_up, number)
            while len(pool._turns) <= number:
                time.sleep(0.001)
        released.set()
    assert order == list(range(6))


def test_one_that_hangs_costs_others_nothing(pool: Pool, released: threading.Event) -> None:
    pool.begin("a", lambda _: released.wait(), 0.05)
    for _ in range(3):
        with pytest.raises(Overdue) as late:
            pool.call("a", lambda _: None, 0.05)
        assert (late.value.for_s or 0) >= 0.05
        assert pool.call("b", lambda _: 7, LONG_S) == 7
    assert not pool._turns


def test_a_wait_for_ones_turn_has_its_end_and_says_how_long_it_was(
    pool: Pool, released: threading.Event
) -> None:
    pool.begin("a", lambda _: released.wait(), 60)
    with pytest.raises(Overdue) as late:
        pool.call("a", lambda _: None, 0.1)
    assert (late.value.for_s or 0) >= 0.1


def test_without_a_free_thread_nothing_is_said_about_the_server(
    pool: Pool, released: threading.Event
) -> None:
    for subject in "ab":
        pool.begin(subject, lambda _: released.wait(), 0.05)
    with pytest.raises(Overdue) as late:
        pool.call("c", lambda _: None, 0.05)
    assert late.value.for_s is None
