# SPDX-License-Identifier: Apache-2.0
"""The settings of many servers, one request a page: a project's, or a compute host's."""

from collections.abc import Mapping
from typing import Any

from nova.api import validation
from nova.api.openstack import common, wsgi
from nova.api.validation import parameter_types
from nova.compute import api as compute

from nova_qos.api.assigning import Assigner
from nova_qos.api.faults import translated
from nova_qos.api.scope import require_project, require_user
from nova_qos.bus.client import AgentClient
from nova_qos.bus.wire import MOST_SERVERS
from nova_qos.core import desired, errors
from nova_qos.core.known import Copy
from nova_qos.core.policy import NONE_ID, NONE_NAME
from nova_qos.core.reading import Reading
from nova_qos.core.report import reports, saved
from nova_qos.core.server import POLICY
from nova_qos.instances import hosts, saving, settings
from nova_qos.instances.settings import Instance
from nova_qos.resources import LIST_HOST_RULE, LIST_PATH, LIST_RULE, TABLE

Body = dict[str, Any]
_QUERY = {
    "type": "object",
    "properties": {
        "host": parameter_types.single_param(parameter_types.fqdn),
        "limit": parameter_types.single_param(parameter_types.positive_integer),
        "marker": parameter_types.single_param({"type": "string", "format": "uuid"}),
    },
    "additionalProperties": False,
}


class ServerList(wsgi.Controller):
    """``GET /os-qos``: what is saved for the servers of the caller's project; with ``?host=``, what
    all servers of a compute host have."""

    _view_builder_class = common.ViewBuilder

    def __init__(self) -> None:
        super().__init__()
        self._compute_api, self._agent = compute.API(), AgentClient()

    @wsgi.expected_errors((400, 403, 404))
    @translated
    @validation.query_schema(_QUERY)
    def index(self, req: Any) -> Body:
        limit, marker = common.get_limit_and_marker(req)
        limit = min(limit, MOST_SERVERS)
        context, host = req.environ["nova.context"], req.GET.get("host")
        unknown: list[Instance] = []
        if host is None:
            answer, unknown = self._of_project(context, limit, marker)
        else:
            answer = self._of_host(context, host, limit, marker)
        if len(answer["servers"]) == limit:
            href = self._view_builder._get_next_link(
                req, answer["servers"][-1]["id"], LIST_PATH.strip("/"))
            answer["servers_links"] = [{"rel": "next", "href": href}]
        else:
            # in no order and never a marker, so all of them come after the last page's others
            answer["servers"] += [_unknown(each) for each in unknown]
        return answer

    def _of_project(
        self, context: Any, limit: int, marker: str | None
    ) -> tuple[Body, list[Instance]]:
        """A page of the project's servers, and those in a cell that is down; all of these where
        the page is the last."""
        require_project(context, LIST_RULE)
        for rule in (LIST_RULE, *(row.names.get_rule for row in TABLE.values())):
            context.can(rule)
        sees_hosts = context.can(LIST_HOST_RULE, target={}, fatal=False)
        instances, unknown = hosts.page_of_project(self._compute_api, context, limit, marker)
        assigner = Assigner()
        return {"servers": [
            _server(each, each.host if sees_hosts else None, _saved(each, assigner))
            for each in instances]}, unknown

    def _of_host(self, context: Any, host: str, limit: int, marker: str | None) -> Body:
        require_user(context, LIST_HOST_RULE)
        context.can(LIST_HOST_RULE, target={})
        with hosts.cell_of(context, host) as cell:
            node = hosts.node_of(cell, host)
            # the database may not tell small letters from capital ones, but the bus does
            host = node.host
            instances = hosts.page_of_host(cell, host, limit, marker)
            assigner = Assigner()
            asked = [*TABLE, POLICY] if assigner.has_policies else list(TABLE)
            readings = self._ask(cell, host, [each.uuid for each in instances], asked)
            return {
                "servers": [{**_server(each, host, _held(
                    cell, each, readings[each.uuid], assigner)), "policy": _policy(each),
                    "hook": _hook(each)} for each in instances],
                "host": {"name": host, "vcpus": node.vcpus, "memory_mib": node.memory_mb},
            }

    def _ask(
        self, cell: Any, host: str, server_uuids: list[str], names: list[str]
    ) -> Mapping[str, Mapping[str, Reading]]:
        if not server_uuids:
            return {}
        try:
            return self._agent.read_many(cell, host, server_uuids, names)
        except errors.Unreachable as error:
            return dict.fromkeys(server_uuids, dict.fromkeys(TABLE, Reading.unread(error)))


def _server(instance: Instance, host: str | None, qos: Body) -> Body:
    return {
        "id": instance.uuid, "name": instance.display_name, "host": host,
        "project_id": instance.project_id,
        "status": _status(instance),
        "vcpus": instance.flavor.vcpus, "memory_mib": instance.flavor.memory_mb, "qos": qos,
    }


def _status(instance: Instance) -> str:
    """As nova shows it."""
    # of a server that is still to be placed, nova may have noted none
    task = instance.task_state if "task_state" in instance else None
    return str(common.status_from_state(instance.vm_state, task or "default"))


def _policy(instance: Instance) -> str | None:
    """The id of the policy that the server is set to; "none" where none is to reach it."""
    number = settings.saved_server(instance).policy
    return NONE_NAME if number == NONE_ID else None if number is None else str(number)


def _hook(instance: Instance) -> Body:
    """What a post-create hook gave the server, also where something else decides."""
    return {name: TABLE[name].value.shown(value)
            for name, value in settings.saved_server(instance).hooked.items()}


def _unknown(instance: Instance) -> Body:
    """A server whose cell is down: of it, only the id is known."""
    nothing = {"requested": None, "range": None, "default": None}
    return {
        "id": instance.uuid, "name": None, "host": None, "project_id": None, "status": "UNKNOWN",
        "vcpus": None, "memory_mib": None,
        "qos": {name: {**nothing, "unit": row.unit.name} for name, row in TABLE.items()},
    }


def _saved(instance: Instance, assigner: Assigner) -> Body:
    server = assigner(settings.saved_server(instance))
    targets = desired.resolve(TABLE, server)
    return {name: saved(row, targets[name], server.flavor) for name, row in TABLE.items()}


def _copy(answer: Mapping[str, Reading], assigner: Assigner) -> Copy | None:
    """What the host's agent tells of its copy of the policies, if it has answered."""
    is_asked = assigner.has_policies and any(
        each.applied is not None for name, each in answer.items() if name in TABLE)
    return Copy.of(answer.get(POLICY)) if is_asked or POLICY in answer else None


def _held(
    cell: Any, instance: Instance, answer: Mapping[str, Reading], assigner: Assigner
) -> Body:
    readings = {name: each for name, each in answer.items() if name in TABLE}
    server = assigner(settings.saved_server(instance))
    targets = desired.at_host(TABLE, desired.resolve(TABLE, server), server.flavor, readings)
    if any(reading.applied is not None and not reading.holds(targets[name].host_value)
           for name, reading in readings.items()):
        server = assigner(saving.newest(cell, server))
        targets = desired.resolve(TABLE, server)
    shown = reports(TABLE, targets, server, readings, assigner.known(_copy(answer, assigner)))
    return {name: {**shown[name], "weight": row.weight_of(readings[name])}
            for name, row in TABLE.items()}
