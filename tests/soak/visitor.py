# SPDX-License-Identifier: Apache-2.0
"""Somebody in the world outside who asks a guest behind the router for data all the time."""

import contextlib
import threading
from types import TracebackType

from tests.cloud.api import wait_for
from tests.cloud.host import Observer
from tools.bed.errors import TestbedError
from tools.bed.stack import servers

_PAUSE_S = 0.2
_SAY = "head -c 50000 /dev/zero | tr '\\0' x; echo"
#: A guest that boots, and the longest time until the agent follows.
_BACK_S = 60
#: So that a guest that hung when it was asked is asked again before that.
_ANSWER_S = 20


class Visitor:
    """Visits the guest at a floating IP until it leaves the context; counts the answers."""

    def __init__(self, address: str) -> None:
        self.answers = 0
        self._address = address
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._visit)

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def wrong(self, host: Observer, server: str) -> list[str]:
        """What is not as it should be when all is quiet."""
        def answers() -> bool:
            with contextlib.suppress(TestbedError):
                return bool(servers.inside(
                    self._address, "echo here", retries=0, within_s=_ANSWER_S))
            return False

        wait_for(answers, _BACK_S, f"the guest at {self._address} answers")
        if not host.uplink.has_table():
            return []
        _tap, mac = host.interface(server)
        found = host.uplink.class_of_address(self._address), host.uplink.class_of(mac)
        return [] if found[0] == found[1] else [
            f"packets of {self._address} are in class {found[0]}, those of {mac} in {found[1]}"]

    def _visit(self) -> None:
        while not self._end.wait(_PAUSE_S):
            # the guest is off, or hangs, or boots
            with contextlib.suppress(TestbedError):
                servers.inside(self._address, _SAY, retries=0, within_s=_ANSWER_S)
                self.answers += 1
