# SPDX-License-Identifier: Apache-2.0
"""An edit of policies on its way to many servers: what it changes is written first, from the
records that the check has loaded; looks follow, one by one.

A look loads its server and fifty of its actions through nova-conductor: for a thousand servers that
takes longer than an edit may take. What a look makes sure of is made sure of in another way here:

* *nova has overwritten settings* (the actions tell): only servers are taken of which nothing but
  the policies differs from when the host last held all that they were to have. A server that had
  lost a setting then already gets it back by the look that follows.
* *another request sets something*: the server's lock, and no server of which a set was carried out
  lately, or which was looked at since it was loaded: a look saves and removes marks.
* *nova is at work on it, or it moves*: it was not when it was loaded, seconds ago; it is not by
  what nova says a moment before the write; and nothing happened to its domain meanwhile.
* *a crash*: what is to be marked is noted in a file before, see ``owed``.

Whatever is in doubt is left to a look, at once.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from oslo_log import log

from nova_qos.agent.locks import locked
from nova_qos.agent.look import Looker
from nova_qos.agent.records import Record
from nova_qos.core import desired, errors
from nova_qos.core.server import SavedServer
from nova_qos.resources import TABLE

LOG = log.getLogger(__name__)
#: For how long (s) a record counts after it was loaded, and nova's word on what it is at work on.
_FRESH_S, _BUSY_S = 10.0, 0.25


@dataclass(frozen=True)
class _Taken:
    record: Record
    loaded_at: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.loaded_at <= _FRESH_S


class Edits:
    """The servers of one host that an edit is on its way to; used by many threads."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._lock = threading.Lock()
        self._taken: dict[str, _Taken] = {}
        self._asking = threading.Lock()
        self._busy: frozenset[str] = frozenset()
        self._busy_at: float | None = None

    def take(self, records: Iterable[Record], loaded_at: float) -> list[str]:
        """Take those servers that wait for nothing but new policies; ``follow`` writes them.

        :param loaded_at: when the records were loaded (monotonic)
        """
        taken, marks = dict[str, _Taken](), dict[str, list[str]]()
        for record in records:
            uuid, each = record.server.uuid, _Taken(record, loaded_at)
            server = self._looker.roster.wanted(record)
            if self._is_fit(each, server):
                taken[uuid], marks[uuid] = each, desired.to_mark(TABLE, server)
        try:
            self._looker.roster.owed.note(marks)
        except errors.HostCannot as error:
            LOG.warning("Servers are looked at one by one: %s", error.message)
            taken = {uuid: each for uuid, each in taken.items() if not marks[uuid]}
        with self._lock:
            self._taken.update(taken)
        return list(taken)

    def drop(self, server_uuid: str) -> None:
        """Something has happened to a server: its record is old."""
        with self._lock:
            self._taken.pop(server_uuid, None)

    def follow(self, server_uuid: str) -> bool:
        """Make the host hold what the edit changes of a server, if that was taken.

        :returns: whether it holds that now; else a look is due at once
        """
        with self._lock:
            taken = self._taken.pop(server_uuid, None)
        if taken is None or not taken.is_fresh or server_uuid in self._at_work():
            return False
        try:
            with locked(server_uuid, time.monotonic()):
                return self._follow(taken)
        except (errors.AgentAway, errors.ServerNotRunning, errors.HostAway):
            return False

    def _follow(self, taken: _Taken) -> bool:
        looker = self._looker
        # again: there may be newer policies by now, and somebody may have been here in between
        server = looker.roster.wanted(taken.record)
        before = looker.settled.get(server.uuid)
        if before is None or not taken.is_fresh or not self._is_fit(taken, server):
            return False
        due = desired.due(TABLE, server)
        # newer policies may name what is not noted
        if due.to_mark or not looker.follow(server, _changed(before, due)):
            return False
        looker.settled[server.uuid] = server
        return True

    def _is_fit(self, taken: _Taken, server: SavedServer) -> bool:
        """Whether policies are all that differs from when the host held what the server was to
        have, and there is nothing else to be done about it."""
        looker, before = self._looker, self._looker.settled.get(server.uuid)
        return (before is not None and server.task is None and server.host == looker.roster.host
                and replace(before, assigned=server.assigned, marked=server.marked,
                            balanced=server.balanced) == server
                and not looker.is_new(taken.record)
                and not looker.roster.accepted.knows(server.uuid)
                and looker.looked.get(server.uuid, 0.0) < taken.loaded_at
                and bool(_changed(before, desired.due(TABLE, server))))

    def _at_work(self) -> frozenset[str]:
        """The servers that nova is at work on, as it said a moment ago."""
        with self._asking:
            if self._busy_at is None or time.monotonic() - self._busy_at > _BUSY_S:
                self._busy = self._looker.roster.records.busy(self._looker.roster.host)
                self._busy_at = time.monotonic()
            return self._busy


def _changed(before: SavedServer, due: desired.Due) -> dict[str, desired.Target]:
    """The targets that are others than before, with those that are written together with them."""
    known = desired.due(TABLE, before).targets
    names = [name for name, each in due.targets.items()
             if name not in known or known[name].host_value != each.host_value]
    return {name: due.targets[name] for name in desired.held_together(TABLE, names)
            if name in due.targets}
