# SPDX-License-Identifier: Apache-2.0
"""One agent a host, whatever process it is in."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from nova_qos.cmd.claim import Claimed, claim

HOLD = """\
import sys, time
from nova_qos.cmd.claim import claim
kept = claim(sys.argv[1])
print("claimed", flush=True)
time.sleep(600)
"""


@pytest.fixture
def host() -> str:
    """Of this test alone: the names are the machine's."""
    return f"compute-{uuid4()}"


@pytest.fixture
def other(host: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that is the agent of the host."""
    with subprocess.Popen([sys.executable, "-c", HOLD, host], stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        yield process
        process.kill()


def test_a_second_agent_is_told_which_process_is_the_first(
    host: str, other: subprocess.Popen[str]
) -> None:
    # more often than the socket's queue is long
    for _ in range(200):
        with pytest.raises(Claimed, match=rf"^process {other.pid} is the agent of host {host} "):
            claim(host)


def test_a_second_agent_waits_while_the_first_ones_queue_is_full(
    host: str, other: subprocess.Popen[str]
) -> None:
    other.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.pid, os.WSTOPPED)
    waiting = []
    for _ in range(1000):
        asking = socket.socket(socket.AF_UNIX)
        asking.setblocking(False)
        waiting.append(asking)
        if asking.connect_ex(f"\0nova-qos-agent/{host}".encode()) == errno.EAGAIN:
            break
    else:
        pytest.fail("the queue is never full")
    goes_on = threading.Timer(0.3, other.send_signal, [signal.SIGCONT])
    goes_on.start()
    with pytest.raises(Claimed, match=f"^process {other.pid} "):
        claim(host)
    goes_on.join()
    for asking in waiting:
        asking.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_claim_ends_with_its_process(
    host: str, other: subprocess.Popen[str], how: signal.Signals
) -> None:
    other.send_signal(how)
    other.wait()
    claim(host).close()


def test_other_hosts_have_agents_of_their_own(host: str, other: subprocess.Popen[str]) -> None:
    claim(host + "-2").close()


def test_names_of_any_length() -> None:
    long = "n" * 240 + uuid4().hex[:12]
    with claim(long), pytest.raises(Claimed, match=f"process {os.getpid()} "):
        claim(long)
    with claim(long + "1"), claim(long + "2"):
        pass
