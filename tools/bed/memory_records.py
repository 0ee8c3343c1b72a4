# SPDX-License-Identifier: Apache-2.0
"""Servers with their desired state in memory, for the agent's unit tests: no nova is needed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nova_qos.core import errors
from nova_qos.core.server import Called, Entries, Entry, Flavor, NewServer, SavedServer

HOST = "compute"
FLAVOR = Flavor(memory_mib=512)


class MemoryRecord:
    """One server; ``refuses`` is what every save raises."""

    def __init__(self, uuid: str, flavor: Flavor = FLAVOR, **own: int) -> None:
        self.now = SavedServer(uuid, HOST, None, flavor, own)
        self.refuses: errors.QosError | None = None
        self.new, self.is_first_launch = False, True
        self.mended = 0
        self.floating: list[str] = []

    @property
    def server(self) -> SavedServer:
        return self.now

    @property
    def called(self) -> Called:
        return Called(f"name of {self.now.uuid}", "project", "flavor", "instance-1")

    @property
    def floating_ips(self) -> frozenset[str]:
        return frozenset(self.floating)

    def save(self, entries: Entries) -> None:
        if self.refuses:
            raise self.refuses
        self.now = self.now.having({**self.now.entries, **entries})

    def mend(self) -> None:
        self.mended += 1

    def unset(self, name: str) -> None:
        """As a user does it while no agent can reset the host."""
        self.save({name: Entry(marked=True)})

    def forget(self, names: Iterable[str]) -> None:
        self.save({name: Entry() for name in names})

    def mark(self, names: Iterable[str]) -> None:
        self.now = replace(self.now, marked=self.now.marked | set(names))

    def is_new(self, host: str, since: float) -> bool:
        return self.new

    def new_server(self) -> NewServer:
        return NewServer(self.now.uuid, "name", "project", self.now.flavor, {})

    def request_for_new(self, changes: Mapping[str, int | None]) -> None:
        self.new = False
        self.save({name: Entry(value, by_hook=True)
                   for name, value in changes.items() if value is not None})


class MemoryRecords:
    """All servers by uuid."""

    def __init__(self) -> None:
        self.all: dict[str, MemoryRecord] = {}

    def add(self, uuid: str, **own: int) -> MemoryRecord:
        self.all[uuid] = MemoryRecord(uuid, FLAVOR, **own)
        return self.all[uuid]

    def load(self, server_uuid: str, context: Any = None) -> MemoryRecord:
        if server_uuid not in self.all:
            raise errors.ServerGone(f"there is no server {server_uuid}")
        return self.all[server_uuid]

    def on_host(self, host: str) -> Sequence[MemoryRecord]:
        return [record for record in self.all.values() if record.server.host == host]

    def busy(self, host: str) -> frozenset[str]:
        return frozenset(record.server.uuid for record in self.on_host(host)
                         if record.server.task is not None)
