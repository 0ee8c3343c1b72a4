# SPDX-License-Identifier: Apache-2.0
"""The settings of many servers, one request a page: a project's, or a compute host's."""

from collections.abc import Mapping
from typing import Any

from nova.api import validation
from nova.api.openstack import common, wsgi
from nova.api.validation import parameter_types
from nova.compute import api as compute

from nova_qos import errors, store
from nova_qos.api.faults import translated
from nova_qos.model import Reading
from nova_qos.report import report, saved
from nova_qos.resources import LIST_HOST_POLICY, LIST_PATH, LIST_POLICY, TABLE
from nova_qos.rpc import MOST_SERVERS, AgentClient

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
        if host is None:
            answer = self._of_project(context, limit, marker)
        else:
            answer = self._of_host(context, host, limit, marker)
        if len(answer["servers"]) == limit:
            href = self._view_builder._get_next_link(
                req, answer["servers"][-1]["id"], LIST_PATH.strip("/"))
            answer["servers_links"] = [{"rel": "next", "href": href}]
        return answer

    def _of_project(self, context: Any, limit: int, marker: str | None) -> Body:
        for rule in (LIST_POLICY, *(row.get_policy for row in TABLE.values())):
            context.can(rule)
        sees_hosts = context.can(LIST_HOST_POLICY, target={}, fatal=False)
        instances = self._compute_api.get_all(
            context, {"project_id": context.project_id, "deleted": False}, limit, marker,
            expected_attrs=list(store.ATTRIBUTES), **store.SORTING)
        return {"servers": [
            _server(each, each.host if sees_hosts else None, _saved(each)) for each in instances]}

    def _of_host(self, context: Any, host: str, limit: int, marker: str | None) -> Body:
        context.can(LIST_HOST_POLICY, target={})
        with store.cell_of(context, host) as cell:
            node = store.node_of(cell, host)
            # the database may not tell small letters from capital ones, but the bus does
            host = node.host
            instances = store.page_of_host(cell, host, limit, marker)
            readings = self._ask(cell, host, [each.uuid for each in instances])
            return {
                "servers": [_server(each, host, _read(each, readings[each.uuid]))
                            for each in instances],
                "host": {"name": host, "vcpus": node.vcpus, "memory_mib": node.memory_mb},
            }

    def _ask(
        self, cell: Any, host: str, server_uuids: list[str]
    ) -> Mapping[str, Mapping[str, Reading]]:
        if not server_uuids:
            return {}
        try:
            return self._agent.read_many(cell, host, server_uuids, list(TABLE))
        except errors.Unreachable as error:
            pending = Reading(None, effective=False, reason=error.message, hindered="pending")
            return dict.fromkeys(server_uuids, dict.fromkeys(TABLE, pending))


def _server(instance: store.Instance, host: str | None, qos: Body) -> Body:
    return {
        "id": instance.uuid, "name": instance.display_name, "host": host,
        "vcpus": instance.flavor.vcpus, "memory_mib": instance.flavor.memory_mb, "qos": qos,
    }


def _saved(instance: store.Instance) -> Body:
    requested, flavor = store.requested(instance), store.flavor_of(instance)
    return {name: saved(row, requested.get(name), flavor) for name, row in TABLE.items()}


def _read(instance: store.Instance, readings: Mapping[str, Reading]) -> Body:
    requested, flavor = store.requested(instance), store.flavor_of(instance)
    return {
        name: {**report(row, requested.get(name), flavor, readings[name]),
               "weight": row.weight_of(readings[name])}
        for name, row in TABLE.items()
    }
