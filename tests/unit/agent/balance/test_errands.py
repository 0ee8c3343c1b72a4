# SPDX-License-Identifier: Apache-2.0
"""What is done about single servers on threads."""

import logging
import threading
from collections.abc import Iterator

import pytest

from nova_qos.agent.balance.errands import Errands
from nova_qos.core.errors import HostRefused

_LONG_S = 30


@pytest.fixture
def errands() -> Iterator[Errands]:
    errands = Errands()
    yield errands
    errands.stop()


class Work:
    """Waits until it is let go, and counts how often it has begun."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Semaphore(0), threading.Event()
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        self.begun.release()
        assert self.may_end.wait(_LONG_S)


def done(errands: Errands, subject: str) -> None:
    """Return when what is under way for a subject is over: something new can begin."""
    ended = threading.Event()
    for _ in range(1000):
        errands.begin(subject, "end", ended.set)
        if ended.wait(0.03):
            return
    raise AssertionError(f"{subject} does not end")


def test_one_at_a_time_for_each_subject(errands: Errands) -> None:
    slow, other = Work(), Work()
    errands.begin("a", "work", slow)
    assert slow.begun.acquire(timeout=_LONG_S)
    errands.begin("a", "work", slow)
    # one that hangs does not hold up another
    errands.begin("b", "work", other)
    assert other.begun.acquire(timeout=_LONG_S)
    assert slow.count == 1
    slow.may_end.set()
    other.may_end.set()
    done(errands, "a")
    assert slow.count == 1


def fail(errands: Errands, error: Exception) -> None:
    """Return when something has failed for the subject a."""
    failed = threading.Event()

    def work() -> None:
        failed.set()
        raise error

    for _ in range(1000):
        errands.begin("a", "move it", work)
        if failed.wait(0.03):
            return
    raise AssertionError("it does not begin")


@pytest.mark.parametrize("error", [HostRefused("the guest does not answer"), KeyError("x")])
def test_a_failure_is_said_once_until_it_is_over(
    errands: Errands, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def said() -> int:
        return sum("Could not move it" in record.getMessage() for record in caplog.records)

    caplog.set_level(logging.WARNING)
    for _ in range(3):
        fail(errands, error)
    done(errands, "a")
    assert said() == 1
    fail(errands, error)
    done(errands, "a")
    assert said() == 2


def test_nothing_begins_after_the_end(errands: Errands) -> None:
    errands.stop()
    work = Work()
    errands.begin("a", "work", work)
    errands.begin("a", "work", work)
    assert not work.begun.acquire(timeout=0.1)
