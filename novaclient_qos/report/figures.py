# SPDX-License-Identifier: Apache-2.0
"""The figures of a host's report, computed from what the API and Prometheus answer. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nova_qos.client import HeldReport, Host, HostState, Listed
from nova_qos.core.resource import Division
from nova_qos.core.sharing import Claim
from nova_qos.resources import BY_FAMILY, TABLE
from novaclient_qos.report.history import History, Received

#: How each resource is divided that is divided at all.
DIVISIONS: Mapping[str, Division] = {
    name: row.division for name, row in TABLE.items() if row.division is not None}
#: Sources of a value that nobody asks for.
_NOBODY = (None, "none")
_DIGITS = 3


@dataclass(frozen=True)
class Setting:
    """One resource of a server: what the host promises of it, and what became of what was
    requested.

    ``promised_percent`` is the part of the host that the server gets while all servers are busy;
    None for a resource that is not divided, and for a server that takes no part. The other fields
    are those of ``client.Report``.
    """

    server_id: str
    server: str | None
    resource: str
    unit: str
    promised_percent: float | None
    requested: int | None
    applied: int | float | None
    effective: bool
    state: str
    source: str | None
    policy_revision: int | None
    since: str | None
    reason: str | None


@dataclass(frozen=True)
class Server:
    """A server of the host; ``promised_percent`` by each resource that is divided. Older clouds do
    not tell its project and nova's status of it."""

    id: str
    name: str | None
    project_id: str | None
    status: str | None
    vcpus: int | None
    memory_mib: int | None
    promised_percent: Mapping[str, float | None]

    @property
    def called(self) -> str:
        """Its name for people, or its id where nobody knows the name."""
        return self.name or self.id


@dataclass(frozen=True)
class Figures:
    """The whole report. ``settings`` has a row for each server and each resource that is set or has
    a source, or that the host holds without one. ``history`` is None where none was requested."""

    state: HostState
    servers: Sequence[Server]
    settings: Sequence[Setting]
    history: History | None = None

    def received(self, server: Server) -> Received | None:
        """What the server received; None where nobody can tell."""
        return None if self.history is None else self.history.received.get(server.id)

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        state, history = asdict(self.state), self.history
        capacity = state.pop("uses")
        del state["memory"]
        servers = [{**asdict(each), "cpu": received and asdict(received)}
                   for each in self.servers for received in (self.received(each),)]
        return {"host": state, "capacity": capacity, "servers": servers,
                "settings": [asdict(each) for each in self.settings],
                "history": history and history.document()}


def parts(host: Host) -> dict[str, list[float | None]]:
    """The percent of the host that each of its servers gets while all are busy, in the order of its
    servers, by each resource that is divided; None for a server that takes no part."""
    found = {}
    for name, division in DIVISIONS.items():
        claims = [Claim(server["qos"].get(name, {}).get("weight"), server["vcpus"] or 0)
                  for server in host.servers]
        found[name] = [None if each is None else round(each, _DIGITS)
                       for each in division.rule(claims, host.vcpus)]
    return found


def figures(state: HostState, host: Host, history: History | None = None) -> Figures:
    """The report of a host.

    Where there is a history, each server has its row of CPU priority, set or not: what it received
    stands beside that.
    """
    divided = parts(host)
    servers = [
        Server(each["id"], each["name"], each.get("project_id"), each.get("status"),
               each["vcpus"], each["memory_mib"],
               {name: percent[place] for name, percent in divided.items()})
        for place, each in enumerate(host.servers)]
    always = () if history is None else ("cpu_priority",)
    settings = [setting for server, listed in zip(servers, host.servers, strict=True)
                for setting in _settings(server, listed, always)]
    return Figures(state, servers, settings, history)


def _settings(server: Server, listed: Listed, always: Sequence[str]) -> Iterator[Setting]:
    reports: Mapping[str, HeldReport] = listed["qos"]
    for name in sorted(reports, key=_place):
        report = reports[name]
        if name in always or _is_told(name, report):
            yield Setting(
                server.id, server.name, name, report["unit"], server.promised_percent.get(name),
                report["requested"], report["applied"], report["effective"], report["state"],
                report.get("source"), report.get("policy_revision"), report["since"],
                report["reason"])


def _is_told(name: str, report: HeldReport) -> bool:
    """Whether somebody asks for a value, or may, or the host holds one that nobody asks for."""
    if report["requested"] is not None or report.get("source") not in _NOBODY:
        return True
    applied, row = report["applied"], TABLE.get(name)
    if applied is None:
        return False
    return not (applied == report["default"] if row is None
                else row.unit.holds(applied, report["default"]))


def _place(name: str) -> int:
    """Where people find a resource; what a newer cloud has comes last."""
    return BY_FAMILY.index(name) if name in BY_FAMILY else len(BY_FAMILY)
