# SPDX-License-Identifier: Apache-2.0
"""Sessions of the test bed's daemons, weighed beside others by the kernel."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.bed.processes import Daemon

ROOT = Path(__file__).parents[2]
#: In a process that is nicer than this one.
_START = """
import sys
from pathlib import Path
from tools.bed.processes import Daemon
Daemon("idle", ["sleep", "60"], Path(sys.argv[1])).start()
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="the kernel does not schedule by sessions")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon("idle", ["sleep", "60"], tmp_path)
    yield daemon
    daemon.stop()


def niceness(daemon: Daemon) -> str:
    return Path(f"/proc/{daemon.pid()}/autogroup").read_text().split()[-1]


def test_a_daemon_is_as_nice_as_who_starts_it(daemon: Daemon) -> None:
    subprocess.run(["nice", "-n", "3", sys.executable, "-c", _START, daemon.state],
                   cwd=ROOT, check=True)
    assert int(niceness(daemon)) == min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)


def test_it_can_be_nicer_for_a_while(daemon: Daemon) -> None:
    daemon.start()
    before = niceness(daemon)
    daemon.weigh(7)
    assert niceness(daemon) == "7"
    daemon.weigh(int(before))
    assert niceness(daemon) == before


def test_one_that_has_ended_is_not_weighed(daemon: Daemon) -> None:
    before = Path("/proc/self/autogroup").read_text()
    daemon.weigh(7)
    assert Path("/proc/self/autogroup").read_text() == before
