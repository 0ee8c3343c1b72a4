# SPDX-License-Identifier: Apache-2.0
"""Questions that are answered, and questions that are not."""

import threading
import time

import pytest

from nova_qos.policies.waiting import Late, Waits
from tests.pace import LONG_S


def soon(seconds: float = 0.05) -> float:
    """A time to wait until."""
    return time.monotonic() + seconds


def test_an_answer_and_an_error() -> None:
    waits = Waits(1)
    assert waits.answer(lambda: 5, soon(LONG_S)) == 5
    with pytest.raises(ZeroDivisionError):
        waits.answer(lambda: 1 // 0, soon(LONG_S))
    with pytest.raises(TimeoutError, match="my own"):
        waits.answer(_out_of_time, soon(LONG_S))


def _out_of_time() -> None:
    raise TimeoutError("my own")


def test_what_takes_longer_is_left_to_itself() -> None:
    """Too many that are left are no more than so many threads; each that ends makes room."""
    waits, end = Waits(2), threading.Event()
    for _ in range(2):
        with pytest.raises(Late, match="in time"):
            waits.answer(end.wait, soon())
    with pytest.raises(Late, match="2 questions have no answer yet"):
        # refused at once: it would be answered in time
        waits.answer(lambda: 5, soon(LONG_S))
    end.set()
    for thread in threading.enumerate():
        if thread.name == "qos-database":
            thread.join()
    assert waits.answer(lambda: 5, soon(LONG_S)) == 5
