# SPDX-License-Identifier: Apache-2.0
"""Marks that are yet to be saved, noted in a file before anything is written."""

import json
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from oslo_log import log

from nova_qos.core import errors

LOG = log.getLogger(__name__)
_FILE = "marks.json"
#: How long (s) after they were noted the looks that save them may take.
_PATIENCE_S = 60.0


class Owed:
    """By server, the resources that the host may hold a value of ours for, and of which nova's
    record of the server does not yet say so; used by many threads.

    A look saves a mark before it writes. An edit of policies is written to all servers of a host
    before their marks are saved, one by one, which takes longer than all else; so first this file
    is written. As long as a server stands here, it counts as marked: what no policy asks for any
    more is reset. Where the agent ends before the marks are saved, the next one reads the file and
    saves them, also of servers that nova has moved to another host meanwhile, whose agent then
    knows of them. A mark too many costs one look.
    """

    def __init__(self, directory: str | None = None) -> None:
        """:param directory: where the file lies; None: nothing can be noted"""
        self._path = None if directory is None else Path(directory, _FILE)
        self._lock = threading.Lock()
        #: With when they are overdue (monotonic).
        self._all: dict[str, tuple[float, frozenset[str]]] = {
            uuid: (0.0, names) for uuid, names in self._read().items()}

    def note(self, servers: Mapping[str, Collection[str]]) -> None:
        """Note resources of servers, by uuid, before anything is written.

        :raises HostCannot: the agent may not write there
        """
        due = time.monotonic() + _PATIENCE_S
        with self._lock:
            noted = {uuid: (due, self._names(uuid) | set(names))
                     for uuid, names in servers.items() if names}
            if noted:
                self._write({**self._all, **noted})
                self._all.update(noted)

    def of(self, server_uuid: str) -> frozenset[str]:
        """The resources of a server."""
        with self._lock:
            return self._names(server_uuid)

    def settle(self, server_uuid: str, names: Collection[str]) -> None:
        """Forget these of a server: they are marked, or the server is gone."""
        with self._lock:
            due, known = self._all.get(server_uuid, (0.0, frozenset()))
            left = known - set(names)
            if left:
                self._all[server_uuid] = due, left
            elif self._all.pop(server_uuid, None) and not self._all:
                self._forget()

    def overdue(self) -> list[str]:
        """The servers whose marks should have been saved by now."""
        now = time.monotonic()
        with self._lock:
            return [uuid for uuid, (due, _names) in self._all.items() if due <= now]

    def _names(self, server_uuid: str) -> frozenset[str]:
        return self._all.get(server_uuid, (0.0, frozenset[str]()))[1]

    def _read(self) -> dict[str, frozenset[str]]:
        try:
            found = json.loads(self._path.read_text()) if self._path else {}
            return {str(uuid): frozenset(map(str, names)) for uuid, names in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            LOG.warning("Could not read which marks are yet to be saved, %s: %s", self._path, error)
            return {}

    def _write(self, servers: Mapping[str, tuple[float, frozenset[str]]]) -> None:
        if self._path is None:
            raise errors.HostCannot("the agent has no directory of its own")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(
                {uuid: sorted(names) for uuid, (_due, names) in servers.items()}))
            new.replace(self._path)
        except OSError as error:
            raise errors.HostCannot(
                f"the agent cannot note what it begins: {error}; give it a directory of its own "
                "as [nova_qos] state_directory") from error

    def _forget(self) -> None:
        try:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            LOG.warning("Could not remove %s: %s", self._path, error)
