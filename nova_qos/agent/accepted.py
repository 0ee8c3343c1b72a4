# SPDX-License-Identifier: Apache-2.0
"""Sets that the agent has carried out and the API may have yet to save."""

import threading
import time

from nova_qos.core.server import Entries, SavedServer, newer


class Accepted:
    """By server, for some seconds each; used by many threads.

    The agent decides the order of one server's sets, the API saves them. Until then what is loaded
    from nova is older than what the host holds, and must not be applied again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, tuple[float, Entries]] = {}

    def add(self, server_uuid: str, entries: Entries, for_s: float) -> None:
        """Remember these; after so many seconds, what is saved counts."""
        with self._lock:
            _until, known = self._all.get(server_uuid, (0.0, {}))
            self._all[server_uuid] = (
                time.monotonic() + for_s, {**known, **newer(entries, known)})

    def drop(self, server_uuid: str, entries: Entries) -> None:
        """Forget these: they will not be saved."""
        with self._lock:
            until, known = self._all.get(server_uuid, (0.0, {}))
            self._all[server_uuid] = (until, newer(known, entries))

    def newest(self, server: SavedServer) -> SavedServer:
        """The server with what has been accepted since it was saved."""
        with self._lock:
            until, entries = self._all.get(server.uuid, (0.0, {}))
        return server.updated(entries) if time.monotonic() < until else server

    def knows(self, server_uuid: str) -> bool:
        """Whether a set of it may be under way, or was lately: what is loaded may be older."""
        with self._lock:
            return server_uuid in self._all

    def overdue(self) -> dict[str, Entries]:
        """By server, what should have been saved by now; each is told once."""
        with self._lock:
            now = time.monotonic()
            old = {uuid: entries for uuid, (until, entries) in self._all.items() if until <= now}
            for uuid in old:
                del self._all[uuid]
        return old
