# SPDX-License-Identifier: Apache-2.0
"""A compute host in memory: servers with settings, policies, and what they come to, as our own core
has it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nova_qos.core import assignment, desired, host_report
from nova_qos.core.contention import Placed, judge, summary
from nova_qos.core.policy import NONE_ID, NONE_NAME, Catalog, Policy
from nova_qos.core.reading import Reading
from nova_qos.core.report import reports
from nova_qos.core.room import Room
from nova_qos.core.server import POLICY, Flavor, SavedServer
from nova_qos.resources import TABLE

NAME, PROJECT = "compute", "5ac0ffee5ac0ffee5ac0ffee5ac0ffee"
DATABASE = "0f1d6c3a-92b4-4c55-8e11-1234567890ab"
CPUS, MEMORY_MIB = 8, 64_000
_ROOM = Room(MEMORY_MIB, 30_000, CPUS,
             {"memory": 60_000, "cpu": 100 * CPUS, "net": 80_000, "net_in": None})


@dataclass
class Server:
    """A server; ``late`` names the resources whose settings its host has yet to apply."""

    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    own: dict[str, int] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    policy: int | None = None
    status: str = "ACTIVE"
    flavor: Flavor = field(default_factory=lambda: Flavor(512, vcpus=1))
    project: str = PROJECT
    idle: dict[str, str] = field(default_factory=dict)


class Host:
    """The host with its servers and the policies of its cloud."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.catalog = Catalog(DATABASE, 1)
        self.descriptions: dict[int, str] = {}
        self.agent, self.reason = "up", None

    def add(self, name: str, **more: Any) -> Server:
        """A server more."""
        made = Server(name, **more)
        self.servers[made.id] = made
        return made

    def add_policy(self, name: str, settings: Mapping[str, Any], **more: Any) -> Policy:
        """A policy more."""
        number = 1 + max(self.catalog.policies, default=6)
        made = Policy(number, name, dict(settings), **more)
        self.keep(made)
        return made

    def keep(self, policy: Policy) -> None:
        """The policies with this one."""
        self.catalog = replace(self.catalog, revision=self.catalog.revision + 1,
                               policies={**self.catalog.policies, policy.number: policy})

    def qos(self, server: Server) -> dict[str, Any]:
        """What get-qos shows, with weights."""
        saved = self._saved(server)
        targets = desired.resolve(TABLE, saved)
        readings = {name: self._reading(server, name, targets[name].host_value) for name in TABLE}
        shown = reports(TABLE, targets, saved, readings)
        return {name: {**shown[name], "weight": TABLE[name].weight_of(readings[name])}
                for name in TABLE}

    def listed(self, server: Server) -> dict[str, Any]:
        """As GET /os-qos?host= lists it."""
        policy = server.policy
        return {
            "id": server.id, "name": server.name, "host": NAME, "project_id": server.project,
            "status": server.status, "vcpus": server.flavor.vcpus,
            "memory_mib": server.flavor.memory_mib, "qos": self.qos(server),
            "policy": NONE_NAME if policy == NONE_ID else None if policy is None else str(policy)}

    def state(self) -> dict[str, Any]:
        """As GET /os-qos/hosts shows it."""
        together = summary([self._placed(each) for each in self.servers.values()], _ROOM, 512)
        judged = judge(together, _ROOM)
        shown = host_report.shown(
            together, _ROOM, judged, dict.fromkeys(judged.conditions, 1790000000.0))
        shown["memory"]["allocation_ratio"] = 1.5
        return {"name": NAME, "agent": self.agent, "reason": self.reason, "age_s": 0, **shown}

    def _saved(self, server: Server) -> SavedServer:
        own = dict(server.own) | ({} if server.policy is None else {POLICY: server.policy})
        saved = SavedServer(server.id, NAME, None, server.flavor, own=own, project=server.project)
        return replace(saved, assigned=assignment.assigned(self.catalog, TABLE, saved))

    def _reading(self, server: Server, name: str, value: int) -> Reading:
        if self.reason:
            return Reading(None, effective=False, reason=self.reason, unmet="pending")
        if name in server.late:
            default = TABLE[name].unit.to_host(TABLE[name].default.of(server.flavor))
            return Reading(default, unmet="pending", reason=server.late[name])
        # while nobody has a priority, the network is not divided
        divides = any("net_priority" in each.own for each in self.servers.values())
        weight = {"weight": 50 if value < 0 else 99 - value} if (
            name == "net_priority" and divides) else {}
        return Reading(value, effective=name not in server.idle, reason=server.idle.get(name),
                       details=weight)

    def _placed(self, server: Server) -> Placed:
        qos = self.qos(server)
        guaranteed = {family: qos[name]["requested"] or 0 for family, name in (
            ("memory", "memory_guarantee"), ("cpu", "cpu_guarantee"), ("net", "net_guarantee"))}
        return Placed(
            server.flavor, runs=server.status == "ACTIVE", guaranteed=guaranteed,
            requested={"memory": qos["memory"]["requested"] or 512, "cpu": 100, "net": -1,
                       "net_in": -1},
            applied={"memory": 512, "cpu": 100, "net": -1, "net_in": -1})
