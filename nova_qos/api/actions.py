# SPDX-License-Identifier: Apache-2.0
"""The server actions, derived from the table: one controller a resource, one for all of them."""

from typing import Any

from nova import exception
from nova.api import validation
from nova.api.openstack import wsgi
from nova.compute import api as compute

from nova_qos import errors, schemas
from nova_qos.api.faults import CODES, translated
from nova_qos.api.server import Server
from nova_qos.model import Reading
from nova_qos.report import report
from nova_qos.resources import BALLOON, GET_ALL, MEMORY, SET_ALL, TABLE, Resource
from nova_qos.rpc import AgentClient

Body = dict[str, Any]
_MOST_WORDS = 400


def controllers() -> list[wsgi.Controller]:
    """Every controller to be mounted on nova's servers resource."""
    compute_api, agent = compute.API(), AgentClient()
    kinds = [_resource_controller(row) for row in TABLE.values()] + [AllResources, BalloonDriver]
    return [kind(compute_api, agent) for kind in kinds]


class QosController(wsgi.Controller):
    """What all of them need."""

    def __init__(self, compute_api: compute.API, agent: AgentClient) -> None:
        super().__init__()
        self._parts = (compute_api, agent)

    def server(self, req: Any, uuid: str, *rules: str) -> Server:
        """The server that the request names, if the caller may."""
        return Server(*self._parts, req, uuid, rules)


def _resource_controller(row: Resource) -> type[QosController]:
    # Built by a function because nova wants one decorated method an action; the decorators take
    # the names and schemas that the row holds.

    class ResourceController(QosController):
        @wsgi.expected_errors(CODES)
        @translated
        @wsgi.action(row.get_action)
        def get(self, req: Any, id: str, body: Body) -> Body:
            answer: Body = self._get(req, self.server(req, id, row.get_policy), body=body)
            return answer

        @validation.schema(schemas.get_body(row.get_action))
        def _get(self, req: Any, server: Server, body: Body) -> Body:
            return row.answer_get(_present(server.read([row.name])[row.name]))

        @wsgi.expected_errors(CODES)
        @translated
        @wsgi.action(row.set_action)
        def set(self, req: Any, id: str, body: Body) -> wsgi.ResponseObject:
            server = self.server(req, id, row.set_policy)
            try:
                return self._set(req, server, body=body)
            except exception.ValidationError as error:
                raise _invalid(error, row.describe(server.flavor)) from error

        @validation.schema(schemas.set_body(row))
        def _set(self, req: Any, server: Server, body: Body) -> wsgi.ResponseObject:
            values = body[row.set_action]
            settings, readings = server.set(
                row.set_action, {row.name: (row.key, values[row.key])}, values.get("force", False))
            reading = readings[row.name]
            if reading.waits:
                return wsgi.ResponseObject(
                    {"state": "pending", "requested": settings[row.name],
                     "reason": reading.reason}, code=202)
            return wsgi.ResponseObject(row.answer_set(reading))

    return ResourceController


class AllResources(QosController):
    """Every resource of a server at once."""

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(GET_ALL)
    def get_all(self, req: Any, id: str, body: Body) -> Body:
        server = self.server(req, id, *(row.get_policy for row in TABLE.values()))
        answer: Body = self._get_all(req, server, body=body)
        return answer

    @validation.schema(schemas.get_body(GET_ALL))
    def _get_all(self, req: Any, server: Server, body: Body) -> Body:
        return _report(server, server.requested, _read_or_pending(server))

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(SET_ALL)
    def set_all(self, req: Any, id: str, body: Body) -> wsgi.ResponseObject:
        named = body[SET_ALL] if isinstance(body[SET_ALL], dict) else {}
        rows = [row for name, row in TABLE.items() if name in named] or list(TABLE.values())
        server = self.server(req, id, *(row.set_policy for row in rows))
        try:
            return self._set_all(req, server, body=body)
        except exception.ValidationError as error:
            ranges = (row.describe(server.flavor, row.name) for row in rows)
            raise _invalid(error, *ranges) from error

    @validation.schema(schemas.set_all_body())
    def _set_all(self, req: Any, server: Server, body: Body) -> wsgi.ResponseObject:
        values = dict(body[SET_ALL])
        force = values.pop("force", False)
        settings, readings = server.set(
            SET_ALL, {name: (name, value) for name, value in values.items()}, force)
        requested: dict[str, int | None] = {**server.requested, **settings}
        others = _read_or_pending(server) if readings.keys() != TABLE.keys() else {}
        waits = any(readings[name].waits for name in settings)
        return wsgi.ResponseObject(
            _report(server, requested, others | readings), code=202 if waits else 200)


class BalloonDriver(QosController):
    """Whether a guest's memory can be changed at all."""

    @wsgi.expected_errors(CODES)
    @translated
    @wsgi.action(BALLOON)
    def balloon(self, req: Any, id: str, body: Body) -> Body:
        answer: Body = self._balloon(req, self.server(req, id, MEMORY.get_policy), body=body)
        return answer

    @validation.schema(schemas.get_body(BALLOON))
    def _balloon(self, req: Any, server: Server, body: Body) -> Body:
        alive, _reason = server.balloon()
        return {"ballooning_enabled": alive}


def _invalid(error: exception.ValidationError, *ranges: str) -> errors.InvalidSetting:
    # nova's words name the field and the value, however long; the ranges are ours to add
    words = error.format_message()
    words = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}..."
    return errors.InvalidSetting(" ".join([words, *ranges]))


def _present(reading: Reading) -> Reading:
    if reading.applied is None:
        cause = errors.HostCannot if reading.hindered == "unsupported" else errors.HostRefused
        raise cause(str(reading.reason))
    return reading


def _read_or_pending(server: Server) -> dict[str, Reading]:
    """What the host holds, or for each resource why nothing can be read: what was requested is
    known all the same."""
    try:
        return server.read(TABLE)
    except (errors.ServerNotRunning, errors.Unreachable) as error:
        return dict.fromkeys(
            TABLE, Reading(None, effective=False, reason=error.message, hindered="pending"))


def _report(server: Server, requested: Any, readings: dict[str, Reading]) -> Body:
    return {
        name: report(row, requested.get(name), server.flavor, readings[name])
        for name, row in TABLE.items()
    }
