# SPDX-License-Identifier: Apache-2.0
"""Hosts and servers as the tables show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from nova_qos.client import HeldReport, Host, HostState, Listed, is_by_policy
from nova_qos.client_hosts import Use
from nova_qos.core.policy import NONE_NAME
from nova_qos.core.sharing import Claim
from nova_qos.resources import BY_FAMILY, TABLE
from nova_qos.words import setting
from nova_qos_dashboard import words
from nova_qos_dashboard.terms import term

_DIVISIONS = {name: row.division for name, row in TABLE.items() if row.division}
#: What has columns of its own.
_SHOWN = {"memory", "memory_guarantee", *_DIVISIONS}
_RUNNING = "ACTIVE"


@dataclass(frozen=True)
class HostRow:
    """A compute host; ``servers_of`` has its servers once they are known."""

    state: HostState
    servers_of: Sequence[Listed] | None = None

    @property
    def id(self) -> str:
        return self.state.name

    name = id

    @property
    def agent(self) -> SafeString:
        return words.with_reason(term(self.state.agent), self.state.reason or "")

    @property
    def servers(self) -> int | None:
        return self.state.servers

    @property
    def memory(self) -> str:
        return _promised(self.state.memory)

    @property
    def cpu(self) -> str:
        return _promised(self.state.uses["cpu"])

    @property
    def network(self) -> str:
        return _promised(self.state.uses["net"])

    @property
    def condition(self) -> SafeString:
        return words.with_reason(
            term(self.state.state or words.NOTHING), "; ".join(self.state.reasons))

    @property
    def drifted(self) -> int | None:
        return self._count("drifted")

    @property
    def pending(self) -> int | None:
        return self._count("pending")

    @property
    def idle(self) -> int | None:
        return self._count("idle")

    @property
    def settled(self) -> bool | None:
        """None: its servers are not known yet."""
        return None if self.servers_of is None else self.state.agent == "up"

    def _count(self, state: str) -> int | None:
        """How many servers have a resource in this state."""
        if self.servers_of is None:
            return None
        return sum(
            any(words.state_of(report) == state for report in each["qos"].values())
            for each in self.servers_of)


def _promised(use: Use) -> str:
    return words.of((use.guaranteed, use.capacity))


@dataclass(frozen=True)
class ServerRow:
    """A server of a host; ``parts`` has the percent of the host that it gets of each divided
    resource while all servers are busy."""

    listed: Listed
    parts: Mapping[str, float | None]
    project: str

    @property
    def id(self) -> str:
        return self.listed["id"]

    @property
    def name(self) -> str:
        return self.listed["name"] or self.id

    @property
    def host(self) -> str:
        return self.listed["host"] or ""

    @property
    def qos(self) -> Mapping[str, HeldReport]:
        return self.listed["qos"]

    @property
    def vcpus(self) -> int | None:
        return self.listed["vcpus"]

    @property
    def status(self) -> str:
        return self.listed.get("status") or ""

    @property
    def flavor_mib(self) -> int | None:
        return self.listed["memory_mib"]

    @property
    def memory_requested(self) -> int | None:
        return self.qos["memory"]["requested"]

    @property
    def memory_applied(self) -> float | None:
        return self.qos["memory"]["applied"]

    @property
    def memory_guarantee(self) -> int | None:
        value = self.qos["memory_guarantee"]["requested"]
        return None if value is None or value < 0 else value

    @property
    def policies(self) -> str:
        """Those that decide something, as no further request needs to find out; a number stands
        for one that the server is set to, and that decides nothing."""
        own = self.listed.get("policy")
        if own == NONE_NAME:
            return NONE_NAME
        found = dict.fromkeys(each["source"].removeprefix("policy ")
                              for each in self.qos.values() if is_by_policy(each))
        return ", ".join(found) or (f"#{own}" if own else "")

    @property
    def cpu(self) -> str:
        return self._applied("cpu_priority")

    @property
    def cpu_part(self) -> float | None:
        return self.parts["cpu_priority"]

    @property
    def disk(self) -> str:
        return self._applied("io_priority")

    @property
    def disk_part(self) -> float | None:
        return self.parts["io_priority"]

    @property
    def net(self) -> str:
        return self._applied("net_priority")

    @property
    def net_part(self) -> float | None:
        return self.parts["net_priority"]

    @property
    def net_in(self) -> str:
        return self._applied("net_in_priority")

    @property
    def net_in_part(self) -> float | None:
        return self.parts["net_in_priority"]

    @property
    def limits(self) -> str:
        """Everything else that is set."""
        return ", ".join(
            setting(TABLE[name], value) for name in BY_FAMILY
            if name not in _SHOWN and name in self.qos
            and (value := self.qos[name]["requested"]) is not None)

    @property
    def state(self) -> SafeString:
        state, reason = words.worst(self.qos)
        return words.with_reason(words.STATES[state], reason)

    @property
    def settled(self) -> bool | None:
        """None: what is pending will soon be applied, so it is worth looking again."""
        state, _ = words.worst(self.qos)
        if state == "pending" and self.status == _RUNNING:
            return None
        return state in ("applied", "unset", "pending")

    def _applied(self, name: str) -> str:
        report = self.qos.get(name)
        return words.NOTHING if report is None else words.figure(name, report["applied"])


def servers(host: Host, projects: Mapping[str, str]) -> list[ServerRow]:
    """The servers of a host; ``projects`` has names by id."""
    parts = {name: division.rule(
        [Claim(each["qos"].get(name, {}).get("weight"), each["vcpus"] or 0)
         for each in host.servers], host.vcpus) for name, division in _DIVISIONS.items()}
    return [ServerRow(
        each, {name: parts[name][place] for name in parts},
        projects.get(each.get("project_id") or "", each.get("project_id") or ""))
        for place, each in enumerate(host.servers)]
