# SPDX-License-Identifier: Apache-2.0
"""How soon values are there after libvirt has started a domain, as ``virsh event`` tells."""

import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import IO

_POLL_S = 0.02


class Starts:
    """When the last start of each domain was, in s since 1970; a context that listens."""

    def __init__(self, uri: str) -> None:
        self._command = [
            "virsh", "--connect", uri, "event", "--event", "lifecycle", "--loop", "--timestamp"]
        self._last: dict[str, float] = {}

    def __enter__(self) -> "Starts":
        # it prints a line at once only to a terminal
        self._virsh = subprocess.Popen(
            ["stdbuf", "-oL", *self._command], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, args=(self._virsh.stdout,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._virsh.terminate()
        self._virsh.wait(10)

    def of(self, domain: str) -> float:
        """When the domain was started last; 0 when that was not while we listened."""
        return self._last.get(domain, 0.0)

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            # 2026-01-31 12:00:00.000+0000: event 'lifecycle' for domain 'NAME': Started Booted
            stamp, _, rest = line.partition(": event ")
            if ": Started " in rest:
                when = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f%z").timestamp()
                self._last[rest.split("'")[3]] = when


class Recorder(threading.Thread):
    """Looks all the time whether a condition holds, and remembers when it began to."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._holds = holds
        self._ended = threading.Event()
        self._since: list[float] = []

    def run(self) -> None:
        held = False
        while not self._ended.is_set():
            holds = self._holds()
            if holds and not held:
                self._since.append(time.time())
            held = holds
            time.sleep(_POLL_S)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()

    def first_after(self, moment: float) -> float | None:
        """When it began to hold for the first time after that; s since 1970."""
        return next((since for since in self._since if since >= moment), None)
