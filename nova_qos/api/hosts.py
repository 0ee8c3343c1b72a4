# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as a whole: what they have, what their servers are guaranteed and need."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from nova.api import validation
from nova.api.openstack import wsgi
from nova.api.validation import parameter_types

from nova_qos.api.faults import translated
from nova_qos.api.scope import require_user
from nova_qos.bus.asking import UnknownVersion
from nova_qos.bus.hosts import Answer, HostClient
from nova_qos.core import errors
from nova_qos.core.host_report import HostReport, merged
from nova_qos.instances import nodes
from nova_qos.instances.nodes import Node
from nova_qos.resources import HOSTS_RULE

Body = dict[str, Any]
#: How long to wait for cells, in seconds.
_CELLS_S = 5.0
_NO_CELL = "the host's cell does not answer"
_QUERY = {
    "type": "object",
    "properties": {
        "host": parameter_types.single_param(parameter_types.fqdn),
        "servers": parameter_types.single_param({"type": "string", "enum": ["true", "false"]})},
    "additionalProperties": False,
}


class HostList(wsgi.Controller):
    """``GET /os-qos/hosts``: all compute hosts, or with ``?host=`` one, each as its agent tells of
    it now, or told last; with ``?servers=true`` each with its servers, of hosts that answer now."""

    def __init__(self) -> None:
        super().__init__()
        self._agents, self._last = HostClient(), Last()

    @wsgi.expected_errors((400, 403, 404))
    @translated
    @validation.query_schema(_QUERY)
    def index(self, req: Any) -> Body:
        context = req.environ["nova.context"]
        require_user(context, HOSTS_RULE)
        context.can(HOSTS_RULE, target={})
        host, servers = req.GET.get("host"), req.GET.get("servers") == "true"
        found = nodes.find(context, host, _CELLS_S)
        answers = self._agents.reports(
            ((node.host, node.cell) for node in found if node.cell is not None), servers)
        if host is None:
            self._last.retain(node.host for node in found)
        return {"hosts": [self._shown(node, answers.get(node.host)) for node in found]}

    def _shown(self, node: Node, answer: Answer | None) -> Body:
        placed = None
        if isinstance(answer, dict):
            # old ones would be of no use to who moves servers, and take memory
            placed = answer.pop("placed", None)
            self._last.keep(node.host, answer)
        report, age_s = self._last.of(node.host)
        shown = merged(report)
        shown["memory"]["allocation_ratio"] = node.ram_allocation_ratio
        return {"name": node.host, **_agent(answer), "age_s": age_s, **shown,
                **({} if placed is None else {"placed": placed}),
                **({"status": "UNKNOWN"} if node.cell is None else {})}


def _agent(answer: Answer | None) -> Body:
    """Whether the host's agent answers, and why its answer is missing."""
    match answer:
        case None:
            return {"agent": "unknown", "reason": _NO_CELL}
        case UnknownVersion():
            return {"agent": "older", "reason": f"agent is older: {answer.message}"}
        case errors.AgentAway():
            return {"agent": "down", "reason": answer.message}
        case errors.QosError():
            return {"agent": "up", "reason": answer.message}
    return {"agent": "up", "reason": None}


class Last:
    """The last answer of each agent, for as long as the process lives; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, tuple[float, HostReport]] = {}

    def keep(self, host: str, report: HostReport) -> None:
        """Remember an answer that has just come."""
        with self._lock:
            self._all[host] = time.monotonic(), report

    def of(self, host: str) -> tuple[Mapping[str, Any], int | None]:
        """The last answer, and its age in seconds; None: there was none."""
        with self._lock:
            kept = self._all.get(host)
        return ({}, None) if kept is None else (kept[1], int(time.monotonic() - kept[0]))

    def retain(self, hosts: Iterable[str]) -> None:
        """Forget all other hosts."""
        with self._lock:
            self._all = {host: self._all[host] for host in hosts if host in self._all}
