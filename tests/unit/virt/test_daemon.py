# SPDX-License-Identifier: Apache-2.0
"""A libvirtd that accepts connections and does not answer; a real one is in the host tier."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_qos.core import errors
from nova_qos.virt.calls import Calls
from nova_qos.virt.daemon import Daemon
from tests.silent import SilentSocket

LIMIT_S = 0.5


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[SilentSocket]:
    silent = SilentSocket(tmp_path / "sock")
    yield silent
    silent.close()


def fails_after_s(daemon: Daemon) -> float:
    began = time.monotonic()
    with pytest.raises(errors.HostAway, match=r"has not accepted a connection for 0\.5 s"):
        daemon.open()
    return time.monotonic() - began


def test_opening_has_a_limit_and_others_fail_at_once(silent: SilentSocket) -> None:
    daemon = Daemon(silent.uri, LIMIT_S)
    assert LIMIT_S <= fails_after_s(daemon) < LIMIT_S + 1
    for _ in range(5):
        assert fails_after_s(daemon) < LIMIT_S / 2
    openers = [each for each in threading.enumerate() if each.name == "libvirt-open"]
    assert len(openers) == 1


def test_who_comes_while_another_waits_waits_no_longer(silent: SilentSocket) -> None:
    daemon, took_s = Daemon(silent.uri, LIMIT_S), list[float]()
    threads = [threading.Thread(target=lambda: took_s.append(fails_after_s(daemon)))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(took_s) == 8
    assert max(took_s) < LIMIT_S + 1


def test_it_logs_once_and_when_it_answers_again(
    silent: SilentSocket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nova_qos.virt")
    daemon = Daemon(silent.uri, LIMIT_S)
    for _ in range(3):
        fails_after_s(daemon)
    (line,) = caplog.messages
    assert line.startswith(f"libvirt does not answer at {silent.uri}, since ")
    caplog.clear()
    silent.close()
    give_up = time.monotonic() + 10
    # libvirt's own driver for tests, within this process
    daemon.uri = "test:///default"
    while not caplog.messages and time.monotonic() < give_up:
        try:
            daemon.open().close()
        except errors.HostAway:
            time.sleep(0.05)
    (line,) = caplog.messages
    assert line.startswith("libvirt answers again at ")


def test_many_callers_of_a_daemon_that_hangs(silent: SilentSocket) -> None:
    """They wait for the limit at most, and those after them for nothing."""
    calls, limit_s, took_s = Calls(silent.uri), 2.0, list[float]()
    calls.daemon._limit_s = limit_s

    def call(number: int) -> None:
        began = time.monotonic()
        with pytest.raises(errors.HostAway):
            calls.call(str(number), lambda connection: connection.getLibVersion(), limit_s)
        took_s.append(time.monotonic() - began)

    for _ in range(2):
        threads = [threading.Thread(target=call, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(took_s) == 60
    assert max(took_s[:30]) < limit_s + 1.5
    assert max(took_s[30:]) < 1.5
