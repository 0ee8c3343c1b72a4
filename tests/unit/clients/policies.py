# SPDX-License-Identifier: Apache-2.0
"""A recorded cloud with named policies, kept in memory as the API shows them."""

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.unit.clients.answers import applied, reports
from tests.unit.clients.recorded import NO_ROUTE, Answer, RecordedCloud, fault

DATABASE = "0f1d6c3a-92b4-4c55-8e11-1234567890ab"
PROJECT = "5ac0ffee5ac0ffee5ac0ffee5ac0ffee"


def by(source: str, value: int, revision: int | None = 3, **more: object) -> dict[str, object]:
    """The part of a resource that has its value of this source."""
    return {**applied(value), "source": source, "policy_revision": revision, **more}


def qos(**changed: dict[str, object]) -> dict[str, Any]:
    """A report of an API with policies."""
    return {name: {"source": "none", "policy_revision": None, **each}
            for name, each in reports(**changed).items()}


class PolicyCloud(RecordedCloud):
    """``policies`` by id; ``users`` maps ids to names of servers that use one, ``projects`` names
    of servers to their project. ``has_policies``: whether this nova-qos knows any. ``changed``
    lists the bodies of PUT with their If-Match, ``meanwhile`` is called before each. ``stopped``:
    servers that do not run; ``hosts``: the host of each server; ``flavors``: the policy that the
    flavor of a server names. ``assigned``: the policy that a server is set to, by its id.
    ``configured``: whether policies have a database."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.policies: dict[str, dict[str, Any]] = {}
        self.users: dict[str, list[str]] = {}
        self.projects = dict.fromkeys(names, PROJECT)
        self.hosts: dict[str, str | None] = dict.fromkeys(names, "compute")
        self.flavors: dict[str, str] = {}
        self.assigned: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.has_policies, self.is_admin, self.incomplete = True, True, False
        self.configured = True
        self.changed: list[tuple[Any, str | None]] = []
        self.requests: list[str] = []
        self.etag = '"{0}-{1}"'
        self.meanwhile: Callable[[], object] = dict

    def policy(self, name: str, policy_id: str = "7", **more: Any) -> dict[str, Any]:
        """A policy that there is."""
        made = {"id": policy_id, "name": name, "description": "", "settings": {}, "revision": 3,
                "is_default": False, "projects": [], **more}
        self.policies[policy_id] = made
        return made

    def answer(self, method: str, path: str, body: Any) -> Answer | None:
        address = urlsplit(path)
        what = [unquote(each) for each in address.path.removeprefix("/v2.1").strip("/").split("/")]
        query = parse_qs(address.query)
        if what[0] == "os-qos-policies":
            self.requests.append(f"{method} {path.removeprefix('/v2.1')}")
            return self._policies(method, what[1:], query, body) if self.has_policies else NO_ROUTE
        if what[:2] == ["v3", "projects"]:
            return self._project(what[2:], query)
        if what == ["servers", "detail"] and "all_tenants" in query:
            return 200, {"servers": [self._server(name) for name in self._selected(query)]}
        return super().answer(method, path, body)

    def _keystone(self, method: str) -> Answer:
        code, body = super()._keystone(method)[:2]
        if method == "POST":
            endpoint = {"id": "i", "interface": "public", "region": "one", "region_id": "one",
                        "url": f"{self.url}/v3"}
            body["token"]["catalog"].append(  # type: ignore[index]
                {"id": "k", "type": "identity", "name": "keystone", "endpoints": [endpoint]})
        return code, body

    def _policies(
        self, method: str, what: list[str], query: dict[str, list[str]], body: Any
    ) -> Answer:
        if not self.configured:
            return fault(501, "no database is configured for policies")
        if what == ["for-agents"]:
            return self._for_agents()
        if not what:
            return self._list_or_create(method, query, body)
        found = self.policies.get(what[0])
        if found is None:
            return fault(404, f"policy {what[0]} could not be found")
        if len(what) > 1:
            return self._assign(method, found, what[2])
        if method == "DELETE":
            return self._delete(found)
        if method == "PUT":
            self.meanwhile()
            if self._condition() != self._etag(found):
                return fault(412, "policy gold has revision 4 by now; read it again")
            self.changed.append((body["policy"], self._condition()))
            found |= {**body["policy"], "revision": found["revision"] + 1}
            return 200, {"policy": found}
        return self._get(found, "in_use" in query)

    def _list_or_create(
        self, method: str, query: dict[str, list[str]], body: Any
    ) -> Answer:
        if method == "POST":
            return 201, {"policy": self.policy(**body["policy"], policy_id="99", revision=1)}
        wanted = query.get("name", [None])[0]
        return 200, {"policies": [each for each in self.policies.values() if wanted is None
                                  or each["name"].casefold() == wanted.casefold()]}

    def _for_agents(self) -> Answer:
        projects = {project: int(each["id"]) for each in self.policies.values()
                    for project in each["projects"]}
        default = next((int(each["id"]) for each in self.policies.values() if each["is_default"]),
                       None)
        return 200, {
            "database": DATABASE, "revision": 9, "projects": projects, "default": default,
            "policies": [{**each, "id": int(each["id"])} for each in self.policies.values()]}

    def _get(self, found: dict[str, Any], by_whom: bool) -> Answer:
        users = self.users.get(found["id"], [])
        body: dict[str, Any] = {"policy": found}
        if self.is_admin:
            body["in_use"] = {"servers": len(users), "flavors": 1, "projects":
                              len(found["projects"]), "incomplete": self.incomplete}
            if by_whom:
                body["used_by"] = {
                    "servers": [{"id": self.servers[name], "host": self.hosts[name]}
                                for name in users],
                    "flavors": ["m1.gold"], "projects": found["projects"]}
        return 200, body, {"ETag": self.etag.format(DATABASE, found["revision"])}

    def _delete(self, found: dict[str, Any]) -> Answer:
        if self.users.get(found["id"]):
            return fault(409, f"policy {found['name']} is used by 1 server")
        del self.policies[found["id"]]
        return 204, None

    def _assign(self, method: str, found: dict[str, Any], project: str) -> Answer:
        if method == "PUT":
            found["projects"].append(project)
        elif project in found["projects"]:
            found["projects"].remove(project)
        else:
            return fault(404, f"project {project} has another policy, or none")
        return 204, None

    def _project(self, what: list[str], query: dict[str, list[str]]) -> Answer:
        known = {"id": PROJECT, "name": "demo", "domain_id": "default", "links": {}}
        if not self.is_admin:
            return 403, {"error": {"code": 403, "message": "You may not", "title": "Forbidden"}}
        if what:
            return (200, {"project": known}) if what == [PROJECT] else (404, {"error": {
                "code": 404, "message": "none", "title": "Not Found"}})
        return 200, {"projects": [known] if query.get("name") == ["demo"] else [], "links": {}}

    def _condition(self) -> str | None:
        return self.headers.get("If-Match")

    def _etag(self, found: dict[str, Any]) -> str:
        return f'"{DATABASE}-{found["revision"]}"'

    def _selected(self, query: dict[str, list[str]]) -> list[str]:
        if "marker" in query:
            return []
        return [name for name in self.servers
                if query.get("host", [self.hosts[name]]) == [self.hosts[name]]
                and query.get("project_id", [self.projects[name]]) == [self.projects[name]]]

    def _server(self, name: str) -> dict[str, Any]:
        specs = {"qos:policy": self.flavors[name]} if name in self.flavors else {}
        return {"id": self.servers[name], "name": name,
                "status": "SHUTOFF" if name in self.stopped else "ACTIVE",
                "OS-EXT-SRV-ATTR:host": self.hosts[name], "tenant_id": self.projects[name],
                "flavor": {"vcpus": 1, "ram": 512, "extra_specs": specs}}

    def page_of_host(self, host: str, **qos: Any) -> None:
        """Have the list of hosts show these servers, by name; not by host."""
        self.page, self.host = 100, {"name": host, "vcpus": 4, "memory_mib": 4096}
        self.listed = [{"id": self.servers.get(name, str(uuid.uuid4())), "name": name,
                        "host": host, "vcpus": 1, "memory_mib": 512, "qos": reports,
                        "policy": self.assigned.get(name)} for name, reports in qos.items()]
