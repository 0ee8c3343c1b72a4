# SPDX-License-Identifier: Apache-2.0
"""The server actions, derived from the table: one controller a resource, one for all of them."""

from collections.abc import Iterable
from typing import Any

from nova.api.openstack import wsgi
from nova.compute import api as compute

from nova_qos.api import schemas
from nova_qos.api.faults import CODES, translated
from nova_qos.api.server import Server
from nova_qos.api.validated import require
from nova_qos.bus.client import AgentClient
from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.resource import Resource
from nova_qos.resources import BALLOON, GET_ALL, MEMORY, SET_ALL, TABLE

Body = dict[str, Any]
_GET_ALL_BODY, _SET_ALL_BODY = schemas.get_body(GET_ALL), schemas.set_all_body()
_BALLOON_BODY = schemas.get_body(BALLOON)


def controllers() -> list[wsgi.Controller]:
    """Every controller to be mounted on nova's servers resource."""
    compute_api, agent = compute.API(), AgentClient()
    kinds = [_resource_controller(row) for row in TABLE.values()] + [AllResources, BalloonDriver]
    return [kind(compute_api, agent) for kind in kinds]


class QosController(wsgi.Controller):
    """What all of them need. Each action loads (404), authorises (403), checks the body (400) and
    then the server's state (409)."""

    def __init__(self, compute_api: compute.API, agent: AgentClient) -> None:
        super().__init__()
        self._parts = (compute_api, agent)

    def server(self, req: Any, uuid: str, *rules: str) -> Server:
        """The server that the request names, if the caller may."""
        return Server.load(*self._parts, req, uuid, rules)

    def server_to_read(
        self, req: Any, uuid: str, *rules: str, attributes: Iterable[str] = ()
    ) -> Server:
        """As ``server``, where little is needed of it but its host."""
        return Server.load(*self._parts, req, uuid, rules, attributes)


def _resource_controller(row: Resource) -> type[QosController]:
    # Built by a function because nova wants one decorated method an action, and the decorators
    # take the names that the row holds.
    names = row.names
    get_body, set_body = schemas.get_body(names.get_action), schemas.set_body(row)

    class ResourceController(QosController):
        @wsgi.expected_errors(CODES)
        @translated
        @wsgi.action(names.get_action)
        def get(self, req: Any, id: str, body: Body) -> Body:
            server = self.server_to_read(req, id, names.get_rule)
            require(get_body, body, req)
            return row.answer_get(_present(server.read([row.name])[row.name]))

        @wsgi.expected_errors(CODES)
        @translated
        @wsgi.action(names.set_action)
        def set(self, req: Any, id: str, body: Body) -> wsgi.ResponseObject:
            server = self.server(req, id, names.set_rule)
            require(set_body, body, req, [row.describe(server.flavor)])
            values = body[names.set_action]
            changes = server.check({row.name: (names.key, values[names.key])})
            reading = server.set(
                names.set_action, changes, values.get("force", False), [row.name])[row.name]
            if reading.waits:
                return wsgi.ResponseObject(
                    {"state": "pending", "requested": row.value.shown(changes[row.name]),
                     "reason": reading.reason}, code=202)
            return wsgi.ResponseObject(row.answer_set(reading))

    return ResourceController


class AllResources(QosController):
    """Every resource of a server in one request."""

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(GET_ALL)
    def get_all(self, req: Any, id: str, body: Body) -> Body:
        server = self.server_to_read(
            req, id, *(row.names.get_rule for row in TABLE.values()), attributes=("flavor",))
        require(_GET_ALL_BODY, body, req)
        return server.held()

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(SET_ALL)
    def set_all(self, req: Any, id: str, body: Body) -> wsgi.ResponseObject:
        named = body[SET_ALL] if isinstance(body[SET_ALL], dict) else {}
        rules = schemas.rules_of(named) or schemas.rules_of(TABLE)
        rows = [row for name, row in TABLE.items() if name in named] or list(TABLE.values())
        server = self.server(req, id, *rules)
        require(_SET_ALL_BODY, body, req,
                (row.describe(server.flavor, row.name) for row in rows))
        values = {name: value for name, value in body[SET_ALL].items() if name != "force"}
        changes = server.check({name: (name, value) for name, value in values.items()})
        readings = server.set(SET_ALL, changes, body[SET_ALL].get("force", False), TABLE)
        waits = server.waits(changes, readings)
        return wsgi.ResponseObject(server.reports(readings), code=202 if waits else 200)


class BalloonDriver(QosController):
    """Whether a guest's memory can be changed at all."""

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(BALLOON)
    def balloon(self, req: Any, id: str, body: Body) -> Body:
        server = self.server_to_read(req, id, MEMORY.names.get_rule)
        require(_BALLOON_BODY, body, req)
        return {"ballooning_enabled": server.has_balloon()}


def _present(reading: Reading) -> Reading:
    if reading.applied is None:
        cause = errors.HostCannot if reading.unmet == "unsupported" else errors.HostRefused
        raise cause(str(reading.reason))
    return reading
