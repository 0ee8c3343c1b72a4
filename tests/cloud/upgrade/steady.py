# SPDX-License-Identifier: Apache-2.0
"""A server that nobody changes: what the host holds for it is looked at all the time."""

import threading
import time

from tests.cloud.host import Observer
from tests.cloud.values import soon_held

_EACH_S = 0.5


class Steady(threading.Thread):
    """Notes when the host holds something else than in the beginning."""

    def __init__(self, host: Observer, server: str) -> None:
        super().__init__(daemon=True)
        self._host, self._server = host, server
        self._ended, self._looking = threading.Event(), threading.Lock()
        self._first = soon_held(host, server)
        self._looks_away = False
        self.looks = 0
        self.others: list[str] = []

    def __enter__(self) -> "Steady":
        assert self._first, "the server does not run"
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(_EACH_S):
            with self._looking:
                if self._looks_away:
                    continue
                found = self._seen()
                self.looks += 1
                if found != self._first:
                    self.others.append(f"{time.strftime('%H:%M:%S')}: {found}")

    def _seen(self) -> dict[str, int | str | None]:
        found = soon_held(self._host, self._server)
        if found and found["net_priority"] is None:
            # tc and nft are asked one after another, while the agent may change other servers
            found = soon_held(self._host, self._server)
        return found

    def look_away(self) -> None:
        """Nobody looks until ``may_look``."""
        with self._looking:
            self._looks_away = True

    def may_look(self) -> None:
        """Look again."""
        with self._looking:
            self._looks_away = False
