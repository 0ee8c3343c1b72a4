# SPDX-License-Identifier: Apache-2.0
"""An agent's looker on a host and records in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from oslo_config import cfg

from nova_qos import conf
from nova_qos.agent.history import History
from nova_qos.agent.hooks import Hooks
from nova_qos.agent.look import Looker
from nova_qos.agent.roster import Roster
from tests.fakehost import FakeDomain, FakeHost
from tools.bed.memory_records import HOST, MemoryRecord, MemoryRecords


@dataclass
class Site:
    """What a looker works with."""

    looker: Looker
    machine: FakeHost
    records: MemoryRecords
    options: cfg.ConfigOpts

    def add(self, uuid: str, **own: int) -> tuple[MemoryRecord, FakeDomain]:
        """A running server with settings of its own, of which its host holds none."""
        return self.records.add(uuid, **own), self.machine.add(uuid)

    def check(self, uuid: str) -> bool:
        """Whether the periodic check leaves a server alone."""
        return self.looker.check(self.records.load(uuid), self.machine.snapshot([]))


@pytest.fixture
def site() -> Iterator[Site]:
    options = cfg.ConfigOpts()
    options([])
    conf.register(options)
    machine, records = FakeHost(), MemoryRecords()
    looker = Looker(
        Roster(HOST, records), machine, options, Hooks({}, options), History(), 0.0)
    yield Site(looker, machine, records, options)
    # the group is one object for all configurations of a process
    for name in ("drift", "check_interval"):
        options.clear_override(name, "nova_qos")
