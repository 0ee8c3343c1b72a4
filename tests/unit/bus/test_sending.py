# SPDX-License-Identifier: Apache-2.0
"""Messages are sent for no longer than a caller can wait."""

import threading
import time

import pytest
from kombu.exceptions import OperationalError

from nova_qos.bus.sending import Sender, retries
from nova_qos.core import errors
from tests.pace import LONG_S, eventually


def test_an_answer_and_an_error_come_through() -> None:
    sender = Sender()
    assert sender.send("broker", lambda: 5, LONG_S) == 5

    def fail() -> None:
        raise errors.HostRefused("no")

    with pytest.raises(errors.HostRefused, match="no"):
        sender.send("broker", fail, LONG_S)


@pytest.mark.parametrize("error", [TimeoutError("of its own"), ValueError("bad")])
def test_any_error_of_the_work_is_raised(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        Sender().send("broker", fail, LONG_S)


def test_what_no_connection_can_be_made_for() -> None:
    def fail() -> None:
        raise OperationalError("refused")

    with pytest.raises(errors.AgentAway, match="does not answer: refused"):
        Sender().send("broker", fail, LONG_S)


def test_a_broker_holds_only_so_many_threads_and_no_other_brokers() -> None:
    sender, back = Sender(), threading.Event()
    for _ in range(16):
        began = time.monotonic()
        with pytest.raises(errors.AgentAway):
            sender.send("away", back.wait, -0.9)
        assert time.monotonic() - began >= 0.1
    # it is not even begun, or it would be answered
    with pytest.raises(errors.AgentAway):
        sender.send("away", lambda: 6, LONG_S)
    assert sender.send("there", lambda: 5, LONG_S) == 5
    back.set()
    eventually(lambda: not sender._held["away"])
    assert sender.send("away", lambda: 6, LONG_S) == 6


def test_so_many_retries_take_about_that_long() -> None:
    for within_s in (1, 2, 10, 30, 60, 300):
        count = retries(within_s)
        assert sum(2 + 2 * number for number in range(count)) <= 1.5 * within_s + 1
