# SPDX-License-Identifier: Apache-2.0
"""Named policies: list, show, create, change, delete, and assign to projects.

Each request checks access (403), then the body (400), then asks the database (501, 503, 404, 409,
412). Agents are told of each change.
"""

import json
from dataclasses import dataclass
from typing import Any

import webob
from nova.api import validation
from nova.api.openstack import wsgi

from nova_qos.api import etags, policy_bodies, policy_use
from nova_qos.api.catalog import catalog, store
from nova_qos.api.faults import CODES, translated
from nova_qos.api.rules import AGENTS_RULE, GET_POLICIES_RULE, SET_POLICIES_RULE
from nova_qos.api.scope import require_user
from nova_qos.api.validated import require
from nova_qos.bus.hint import Hint
from nova_qos.core import errors
from nova_qos.core.policy import Catalog, Policy, check_name, folded
from nova_qos.instances import cells
from nova_qos.resources import ASSIGN_RULE, POLICIES_PATH

Body = dict[str, Any]


class Policies(wsgi.Controller):
    """``/os-qos-policies`` and what is below it."""

    def __init__(self) -> None:
        super().__init__()
        self._hint = Hint()
        self._for_agents: tuple[str, bytes] = ("", b"")

    @wsgi.expected_errors(CODES)
    @translated
    @validation.query_schema(policy_bodies.LIST_QUERY)
    def index(self, req: Any) -> wsgi.ResponseObject:
        viewer = _Viewer.of(req)
        known = catalog()
        tag = etags.of_catalog(known)
        if etags.is_known(req, tag):
            return etags.unchanged(tag)
        name = req.GET.get("name")
        found = [each for each in known.policies.values() if viewer.sees(known, each)
                 and (name is None or folded(each.name) == folded(name))]
        found.sort(key=lambda each: folded(each.name))
        return wsgi.ResponseObject(
            {"policies": [policy_bodies.shown(known, each, viewer.sees_all) for each in found]},
            headers=etags.headers(tag))

    @wsgi.expected_errors(CODES)
    @translated
    @validation.query_schema(policy_bodies.SHOW_QUERY)
    def show(self, req: Any, id: str) -> wsgi.ResponseObject:
        viewer = _Viewer.of(req)
        known = catalog()
        policy = _named(known, id)
        if not viewer.sees(known, policy):
            raise _no_such(id)
        tag, by_whom = etags.of_policy(known, policy), req.GET.get("in_use") == "true"
        # who uses a policy is no part of what its ETag stands for
        if etags.is_known(req, tag) and not by_whom:
            return etags.unchanged(tag)
        used = policy_use.shown(known, policy, by_whom) if viewer.sees_all else {}
        return wsgi.ResponseObject(
            {"policy": policy_bodies.shown(known, policy, viewer.sees_all), **used},
            headers=etags.headers(tag))

    @wsgi.expected_errors(CODES)
    @translated
    def for_agents(self, req: Any) -> webob.Response | wsgi.ResponseObject:
        _require(req, AGENTS_RULE)
        known = catalog()
        tag = etags.of_catalog(known)
        if etags.is_known(req, tag):
            return etags.unchanged(tag)
        made, text = self._for_agents
        if made != tag:
            # a thousand agents ask for it within seconds
            text = json.dumps(known.to_json()).encode()
            self._for_agents = (tag, text)
        return webob.Response(body=text, content_type="application/json", etag=tag)

    @wsgi.response(201)
    @wsgi.expected_errors(CODES)
    @translated
    def create(self, req: Any, body: Body) -> wsgi.ResponseObject:
        _require(req, SET_POLICIES_RULE)
        require(policy_bodies.CREATE, body, req)
        name = check_name(body["policy"]["name"])
        fields = policy_bodies.checked(body["policy"])
        made = store().create(name, fields.get("description", ""), fields["settings"],
                              fields.get("is_default", False))
        return self._changed(made, {"Location": f"{req.path_url}/{made.number}"})

    @wsgi.expected_errors(CODES)
    @translated
    def update(self, req: Any, id: str, body: Body) -> wsgi.ResponseObject:
        _require(req, SET_POLICIES_RULE)
        require(policy_bodies.UPDATE, body, req)
        changes, known = policy_bodies.checked(body["policy"]), catalog()
        policy = _named(known, id)
        seen = etags.seen_by(req, known, policy)
        made = store().update(policy.number, changes, seen)
        # agents do not have descriptions
        return self._changed(made, is_told=bool(changes.keys() - {"description"}))

    @wsgi.response(204)
    @wsgi.expected_errors(CODES)
    @translated
    def delete(self, req: Any, id: str) -> None:
        _require(req, SET_POLICIES_RULE)
        known = catalog()
        policy = _named(known, id)
        seen = etags.seen_by(req, known, policy)
        policy_use.require_none(known, policy)
        store().delete(policy.number, seen)
        try:
            policy_use.require_none_since(known, policy)
        except errors.PolicyConflict as used:
            _put_back(policy, used)
            raise
        finally:
            self._tell(catalog())

    @wsgi.response(204)
    @wsgi.expected_errors(CODES)
    @translated
    def assign(self, req: Any, id: str, project: str, body: Body | None) -> None:
        _require(req, ASSIGN_RULE)
        require(policy_bodies.NOTHING, body, req)
        project = policy_bodies.check_project(project)
        store().assign(_named(catalog(), id).number, project)
        self._tell(catalog())

    @wsgi.response(204)
    @wsgi.expected_errors(CODES)
    @translated
    def unassign(self, req: Any, id: str, project: str) -> None:
        _require(req, ASSIGN_RULE)
        project = policy_bodies.check_project(project)
        store().unassign(_named(catalog(), id).number, project)
        self._tell(catalog())

    def _changed(
        self, policy: Policy, headers: dict[str, str] | None = None, is_told: bool = True
    ) -> wsgi.ResponseObject:
        known = catalog()
        if is_told:
            self._tell(known)
        return wsgi.ResponseObject(
            {"policy": policy_bodies.shown(known, policy, with_projects=True)},
            headers={**etags.headers(etags.of_policy(known, policy)), **(headers or {})})

    def _tell(self, known: Catalog) -> None:
        self._hint.send(cells.with_hosts, known.revision)


#: Every route; the one of agents comes before those that take any id in its place.
ROUTES = (
    (POLICIES_PATH, "GET", "index"),
    (POLICIES_PATH, "POST", "create"),
    (f"{POLICIES_PATH}/for-agents", "GET", "for_agents"),
    (f"{POLICIES_PATH}/{{id}}", "GET", "show"),
    (f"{POLICIES_PATH}/{{id}}", "PUT", "update"),
    (f"{POLICIES_PATH}/{{id}}", "DELETE", "delete"),
    # not {project_id}: nova's mapper has that name in every path already
    (f"{POLICIES_PATH}/{{id}}/projects/{{project}}", "PUT", "assign"),
    (f"{POLICIES_PATH}/{{id}}/projects/{{project}}", "DELETE", "unassign"),
)


@dataclass(frozen=True)
class _Viewer:
    """Who sees policies: all of them whoever may change or assign one, the others what applies to
    their project."""

    project: str | None
    sees_all: bool

    @classmethod
    def of(cls, req: Any) -> "_Viewer":
        context = req.environ["nova.context"]
        require_user(context, GET_POLICIES_RULE)
        context.can(GET_POLICIES_RULE)
        return cls(context.project_id, any(
            context.can(rule, target={}, fatal=False)
            for rule in (SET_POLICIES_RULE, ASSIGN_RULE)))

    def sees(self, known: Catalog, policy: Policy) -> bool:
        return self.sees_all or policy.number in (
            known.default, known.projects.get(self.project or ""))


def _require(req: Any, rule: str) -> None:
    context = req.environ["nova.context"]
    require_user(context, rule)
    context.can(rule, target={})


def _named(known: Catalog, text: str) -> Policy:
    policy = known.policies.get(int(text)) if _is_number(text) else None
    if policy is None:
        raise _no_such(text)
    return policy


def _put_back(policy: Policy, used: errors.PolicyConflict) -> None:
    """Have a policy again that was deleted while somebody got it.

    :raises PolicyConflict, DatabaseAway, NoDatabase: it cannot be put back; says who got it
    """
    try:
        store().put_back(policy)
    except (errors.PolicyConflict, errors.DatabaseAway, errors.NoDatabase) as error:
        raise type(error)(
            f"policy {policy.name} was deleted and could not be put back ({error.message}), though "
            f"somebody has got it meanwhile: {used.message}. What hosts hold for these servers "
            "stays until they get another policy") from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _no_such(text: str) -> errors.NoSuchPolicy:
    return errors.NoSuchPolicy(
        f"there is no policy with the id {text[:40]!r}; GET {POLICIES_PATH} lists them")
