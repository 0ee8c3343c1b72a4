# SPDX-License-Identifier: Apache-2.0
"""The servers of one host as nova has them, with what is about to be saved of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nova_qos.agent.accepted import Accepted
from nova_qos.agent.owed import Owed
from nova_qos.agent.records import Record, Records
from nova_qos.core.server import Called, Entries, SavedServer


@dataclass
class Roster:
    """Which servers there are on a host, and what each is to have; used by many threads.

    ``accepted`` is what was carried out and may be saved in a moment, ``owed`` are the marks that
    are yet to be saved. ``assigned`` fills in what the policies of a server come to. ``called`` is
    what the servers of the last check are called.
    """

    host: str
    records: Records
    accepted: Accepted = field(default_factory=Accepted)
    owed: Owed = field(default_factory=Owed)
    assigned: Callable[[SavedServer], SavedServer] = lambda server: server
    called: Mapping[str, Called] = field(default_factory=dict)
    _listed: dict[str, SavedServer] | None = field(default=None, init=False)

    @property
    def is_known(self) -> bool:
        """Whether the servers were loaded from nova at least once."""
        return self._listed is not None

    def remember(self, records: Iterable[Record]) -> None:
        """Remember the servers of the host as they were loaded."""
        records = list(records)
        self.called = {record.server.uuid: record.called for record in records}
        self._listed = {record.server.uuid: record.server for record in records}

    def note(self, server: SavedServer) -> None:
        """Remember one server as it was loaded just now, whether it was known or not."""
        if self._listed is not None:
            self._listed[server.uuid] = server

    def update(self, server: SavedServer) -> None:
        """Remember one server as it was loaded just now, if it was known."""
        if self._listed is not None and server.uuid in self._listed:
            self._listed[server.uuid] = server

    def forget(self, server_uuid: str) -> None:
        """Nova has no such server any more: nothing is to be saved of it either."""
        if self._listed is not None:
            self._listed.pop(server_uuid, None)
        self.owed.settle(server_uuid, self.owed.of(server_uuid))

    def known(self, server_uuid: str) -> SavedServer | None:
        """A server with what it is to have, as far as that is known without nova; None = unknown.
        """
        known = (self._listed or {}).get(server_uuid)
        return None if known is None else self.assigned(self.newest(known))

    def servers(self) -> Sequence[SavedServer]:
        """The servers of the host, and those that come to it or leave it, with what each is to
        have; loaded from nova only where no check has done so yet."""
        if self._listed is None:
            self.remember(self.records.on_host(self.host))
        listed = dict(self._listed or {})
        return [self.assigned(self.newest(server)) for server in listed.values()]

    def accept(self, server_uuid: str, entries: Entries, for_s: float) -> None:
        """Remember what was carried out for a server and the API may have yet to save: see
        ``Accepted``. Whoever asks for the servers before the next check sees it, too."""
        self.accepted.add(server_uuid, entries, for_s)
        known = (self._listed or {}).get(server_uuid)
        if known is not None:
            self.update(known.updated(entries))

    def wanted(self, record: Record) -> SavedServer:
        """The server with what it is to have: what is saved, and what is about to be."""
        return self.assigned(self.newest(record.server))

    def newest(self, server: SavedServer) -> SavedServer:
        """A server that was loaded with what is about to be saved of it."""
        server, owed = self.accepted.newest(server), self.owed.of(server.uuid)
        return replace(server, marked=server.marked | owed) if owed else server
