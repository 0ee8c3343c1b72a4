# SPDX-License-Identifier: Apache-2.0
"""The nova of the functional tier with a second cell, whose database can hang."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fixtures
import sqlalchemy as sa
from nova import context
from nova.tests import fixtures as nova_fixtures

from nova_qos.bus import wire
from nova_qos.instances import hosts, settings
from nova_qos.instances.records import Record, Records
from tests.functional.cloud import MACHINES, Cloud, FakeAgent, Machine, Server

#: The host in the second cell, and the cells' names.
FAR, FIRST, SECOND = "far", "cell1", "cell2"
#: Nova's fixture has all threads take turns with the cells: one that hangs would stop the others.
_target_cell = context.target_cell


class FarAgent(FakeAgent):
    """The agent of the host in the second cell; nova's service makes it by name."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.looker.roster.records = _Records(TwoCells.mapping)


class _Records(Records):
    """The servers of a cell: in a cloud, its conductor knows no other database."""

    def __init__(self, mapping: Any) -> None:
        self._mapping = mapping

    def load(self, server_uuid: str, context: Any = None) -> Record:
        return super().load(server_uuid, in_cell(self._mapping))

    def on_host(self, host: str) -> list[Record]:
        return [Record(each) for each in hosts.on_host(in_cell(self._mapping), host)]

    def busy(self, host: str) -> frozenset[str]:
        return hosts.busy(in_cell(self._mapping), host)


class FarServer(Server):
    """A server in the second cell."""

    def instance(self) -> Any:
        return settings.load(in_cell(TwoCells.mapping), self.uuid)


class TwoCells(Cloud):
    """Hosts as before in the first cell, and "far" in the second."""

    __test__ = False
    NUMBER_OF_CELLS = 2
    #: The second one.
    mapping: Any = None

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch("nova.context.target_cell", _target_cell))
        self.start_agent(FAR)

    def _setup_compute_service(self) -> Any:
        found = super()._setup_compute_service()
        TwoCells.mapping = self.cell_mappings[SECOND]
        MACHINES[FAR] = Machine()
        self.computes[FAR] = self._start_compute(FAR, cell_name=SECOND)
        return found

    def start_agent(self, host: str) -> Any:
        if host != FAR:
            return super().start_agent(host)
        service = self.useFixture(nova_fixtures.ServiceFixture(
            "qos-agent", host, cell=self.cell_mappings[SECOND], topic=wire.TOPIC,
            manager=f"{FarAgent.__module__}.{FarAgent.__name__}")).service
        self.agents[host] = service
        return service

    def boot_far(self) -> FarServer:
        """A server in the second cell."""
        return FarServer(self.boot(FAR).uuid, FAR)


def in_cell(mapping: Any) -> Any:
    """A context with all rights in a cell."""
    admin = context.get_admin_context()
    context.set_target_cell(admin, mapping)
    return admin


@contextmanager
def hanging(mapping: Any) -> Iterator[None]:
    """The database of a cell takes every question, and answers none until the end."""
    engine, ended = in_cell(mapping).db_connection.writer.get_engine(), threading.Event()

    def wait(*_statement: object) -> None:
        ended.wait()

    sa.event.listen(engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        ended.set()
        sa.event.remove(engine, "before_cursor_execute", wait)
