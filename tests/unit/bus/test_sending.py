# SPDX-License-Identifier: Apache-2.0
"""Messages are sent for no longer than a caller can wait."""

import threading
import time

import pytest
from kombu.exceptions import OperationalError

from nova_qos.bus.sending import Sender, retries
from nova_qos.core import errors


def test_an_answer_and_an_error_come_through() -> None:
    sender = Sender()
    assert sender.send("broker", lambda: 5, 1) == 5

    def fail() -> None:
        raise errors.HostRefused("no")

    with pytest.raises(errors.HostRefused, match="no"):
        sender.send("broker", fail, 1)


@pytest.mark.parametrize("error", [TimeoutError("of its own"), ValueError("bad")])
def test_any_error_of_the_work_is_raised(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        Sender().send("broker", fail, 1)


def test_what_no_connection_can_be_made_for() -> None:
    def fail() -> None:
        raise OperationalError("refused")

    with pytest.raises(errors.AgentAway, match="does not answer: refused"):
        Sender().send("broker", fail, 1)


def test_a_broker_holds_only_so_many_threads_and_no_other_brokers() -> None:
    sender, back = Sender(), threading.Event()
    for number in range(17):
        began = time.monotonic()
        with pytest.raises(errors.AgentAway):
            sender.send("away", back.wait, -0.9)
        assert (number == 16) == (time.monotonic() - began < 0.05)
    assert sender.send("there", lambda: 5, 1) == 5
    back.set()
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        try:
            assert sender.send("away", lambda: 6, 1) == 6
            break
        except errors.AgentAway:
            time.sleep(0.01)
    assert sender.send("away", lambda: 6, 1) == 6


def test_so_many_retries_take_about_that_long() -> None:
    for within_s in (1, 2, 10, 30, 60, 300):
        count = retries(within_s)
        assert sum(2 + 2 * number for number in range(count)) <= 1.5 * within_s + 1
