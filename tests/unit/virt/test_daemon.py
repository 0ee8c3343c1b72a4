# SPDX-License-Identifier: Apache-2.0
"""A libvirtd that accepts connections and does not answer; a real one is in the host tier."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.calls import Calls
from nova_qos.virt.daemon import Daemon
from tests.pace import Stopwatch, eventually
from tests.silent import SilentSocket

LIMIT_S = 0.5


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[SilentSocket]:
    silent = SilentSocket(tmp_path / "sock")
    yield silent
    silent.close()


def fails(daemon: Daemon) -> None:
    with pytest.raises(errors.HostAway, match=r"has not accepted a connection for 0\.5 s"):
        daemon.open()


def test_opening_has_a_limit_and_others_fail_at_once(silent: SilentSocket) -> None:
    daemon, began = Daemon(silent.uri, LIMIT_S), time.monotonic()
    with Stopwatch() as first:
        fails(daemon)
    assert time.monotonic() - began >= LIMIT_S
    assert first.seconds < LIMIT_S + 1
    with Stopwatch() as others:
        for _ in range(5):
            fails(daemon)
    assert others.seconds < LIMIT_S
    openers = [each for each in threading.enumerate() if each.name == "libvirt-open"]
    assert len(openers) == 1


def test_who_comes_while_another_waits_waits_no_longer(silent: SilentSocket) -> None:
    daemon = Daemon(silent.uri, LIMIT_S)
    with Stopwatch() as watch, futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: fails(daemon), range(8))) == [None] * 8
    assert watch.seconds < LIMIT_S + 1


def test_it_logs_once_and_when_it_answers_again(
    silent: SilentSocket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nova_qos.virt")
    daemon = Daemon(silent.uri, LIMIT_S)
    for _ in range(3):
        fails(daemon)
    (line,) = caplog.messages
    assert line.startswith(f"libvirt does not answer at {silent.uri}, since ")
    caplog.clear()
    silent.close()
    # libvirt's own driver for tests, within this process
    daemon.uri = "test:///default"

    def answers() -> bool:
        with contextlib.suppress(errors.HostAway):
            daemon.open().close()
        return bool(caplog.messages)

    eventually(answers)
    (line,) = caplog.messages
    assert line.startswith("libvirt answers again at ")


def test_many_callers_of_a_daemon_that_hangs(silent: SilentSocket) -> None:
    """They wait for the limit at most, and those after them for nothing."""
    calls, limit_s = Calls(silent.uri), 2.0
    calls.daemon._limit_s = limit_s

    def call(number: int) -> None:
        with pytest.raises(errors.HostAway):
            calls.call(str(number), lambda connection: connection.getLibVersion(), limit_s)

    for at_most_s in (limit_s + 1.5, 1.5):
        with Stopwatch() as watch, futures.ThreadPoolExecutor(30) as threads:
            assert list(threads.map(call, range(30))) == [None] * 30
        assert watch.seconds < at_most_s
