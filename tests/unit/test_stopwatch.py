# SPDX-License-Identifier: Apache-2.0
"""The clock of the tests themselves."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.pace import Stopwatch, eventually

#: Says what its clock shows when it is asked.
SCRIPT = """
from tests.pace import Stopwatch
with Stopwatch() as watch:
    print(flush=True)
    input()
print(watch.seconds)
"""


def test_it_shows_what_has_passed_and_never_more() -> None:
    began = time.monotonic()
    with Stopwatch() as watch:
        while watch.seconds < 0.2:
            time.sleep(0.01)
    passed_s, shown_s = time.monotonic() - began, watch.seconds
    assert 0.2 <= shown_s <= passed_s
    time.sleep(0.05)
    assert watch.seconds == shown_s


def test_it_stands_still_with_its_process() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, other.pid, os.WSTOPPED)
        time.sleep(1)
        other.send_signal(signal.SIGCONT)
        shown, _err = other.communicate("\n")
    assert float(shown) < 0.9


def test_its_thread_ends_with_the_block() -> None:
    with pytest.raises(ZeroDivisionError), Stopwatch():
        raise ZeroDivisionError
    assert "stopwatch" not in {each.name for each in threading.enumerate()}


def test_what_comes_to_hold_ends_the_wait() -> None:
    held = iter([False, False, True])
    eventually(lambda: next(held), each_s=0)
    assert list(held) == []


def test_what_never_holds_fails_after_its_time() -> None:
    began = time.monotonic()
    with pytest.raises(AssertionError, match="it did not come to hold"):
        eventually(lambda: False, within_s=0.1)
    assert time.monotonic() - began >= 0.1
