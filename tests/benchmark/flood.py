# SPDX-License-Identifier: Apache-2.0
"""What a flood of gets by one reader does to nova's API, beside the same flood of nova's own, while
the QEMU of the server hangs; on the demo's cloud.

Usage, as root on the machine of the demo's cloud, with the credentials of a reader in the
environment and the cloud's Python::

    python -m tests.benchmark.flood SERVER
"""

import argparse
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.benchmark.compare import Comparison, Goal, Step, report
from tests.cloud.api import Person

_CLIENTS = 16
_GETS = ("balloon-driver-enabled", "get-current-memory", "get-qos")


class Reader:
    """Somebody who may look at a server."""

    def __init__(self, name: str) -> None:
        self._person = Person(dict(os.environ))
        self.server = str(self._get(f"/servers?name=^{name}$").json()["servers"][0]["id"])

    def flavors(self) -> None:
        """What another user asks for meanwhile."""
        assert self._get("/flavors").status_code == 200

    def nova(self) -> None:
        """nova's own get of the server."""
        self._get(f"/servers/{self.server}")

    def get(self, action: str) -> Step:
        """One of our gets; with a guest that hangs, some are refused."""
        return lambda: self._person.act(self.server, action)

    def _get(self, path: str) -> Any:
        return self._person.request("GET", path)


def slowed_ms(name: str, flood: Callable[[Reader], Step], seconds: float) -> float:
    """The median time that a list of flavors takes during a flood of so many seconds."""
    end, times = threading.Event(), []

    def send() -> None:
        step = flood(Reader(name))
        while not end.is_set():
            step()

    user = Reader(name)
    with futures.ThreadPoolExecutor(_CLIENTS) as clients:
        sent = [clients.submit(send) for _ in range(_CLIENTS)]
        time.sleep(seconds / 4)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            start = time.perf_counter()
            user.flavors()
            times.append((time.perf_counter() - start) * 1000)
        end.set()
        for each in sent:
            each.result()
    return statistics.median(times)


def compared(name: str, seconds: float, runs: int) -> Iterator[Comparison]:
    """Each kind of get beside nova's own, in turns."""
    def nova(reader: Reader) -> Step:
        return reader.nova

    for action in _GETS:
        found = []

        def ours(reader: Reader, action: str = action) -> Step:
            return reader.get(action)

        for _ in range(runs):
            found.append(Comparison(
                f"flavors during {_CLIENTS} x {action} / x GET server",
                slowed_ms(name, ours, seconds), slowed_ms(name, nova, seconds), Goal(1.2)))
        yield sorted(found, key=lambda each: each.ratio)[len(found) // 2]


@contextmanager
def hung(server: str) -> Iterator[None]:
    """Its QEMU takes no step meanwhile."""
    pid = _qemu(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _qemu(server: str) -> int:
    for directory in Path("/proc").glob("[0-9]*"):
        # a process may end while one looks at it
        with suppress(OSError):
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if b"qemu" in words[0] and server.encode() in words:
                return int(directory.name)
    raise SystemExit(f"no QEMU of server {server} runs on this machine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("server", help="name of a running server")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with hung(Reader(arguments.server).server):
        sys.exit(report(compared(arguments.server, arguments.seconds, arguments.runs)))


if __name__ == "__main__":
    main()
