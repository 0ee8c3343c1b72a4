# SPDX-License-Identifier: Apache-2.0
"""The requests that nova answers of a host in memory, as its API does."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nova_qos.core import errors
from nova_qos.core.policy import NONE_ID, NONE_NAME
from nova_qos.core.server import FLAVOR_POLICY
from nova_qos.resources import TABLE
from tests.dashboard.host import DATABASE, NAME, Host, Server

#: Status, body, and headers beside the usual ones.
Answer = tuple[int, Any, dict[str, str]]
Query = dict[str, str]


def fault(code: int, message: str) -> Answer:
    """An error as nova words it."""
    return code, {"fault": {"code": code, "message": message}}, {}


class Api:
    """nova's API on a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", r"/os-qos/hosts", self._hosts), ("GET", r"/os-qos", self._list),
            ("POST", r"/os-qos", self._many), ("POST", r"/servers/([^/]+)/action", self._act),
            ("GET", r"/servers/detail", self._servers), ("GET", r"/servers/([^/]+)", self._server),
            ("GET", r"/os-qos-policies", self._policies),
            ("GET", r"/os-qos-policies/for-agents", self._catalog),
            ("POST", r"/os-qos-policies", self._create),
            ("GET", r"/os-qos-policies/(\d+)", self._policy),
            ("PUT", r"/os-qos-policies/(\d+)", self._change),
            ("DELETE", r"/os-qos-policies/(\d+)", self._delete),
            ("PUT", r"/os-qos-policies/(\d+)/projects/([^/]+)", self._assign),
            ("DELETE", r"/os-qos-policies/(\d+)/projects/([^/]+)", self._withdraw)]

    def answer(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """What nova answers."""
        for verb, pattern, respond in self._routes:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                try:
                    return respond(*found.groups(), query=query, body=body)
                except errors.QosError as error:
                    return fault(400, error.message)
                except KeyError as error:
                    return fault(404, f"{error} could not be found.")
        if path.startswith("/os-"):
            return 404, {"message": "The resource could not be found."}, {}
        return 200, {path.strip("/").split("/")[0]: []}, {}

    def _hosts(self, query: Query, body: Any) -> Answer:
        if query.get("host", NAME) != NAME:
            return fault(404, f"there is no compute host {query['host']}")
        return 200, {"hosts": [self.host.state()]}, {}

    def _list(self, query: Query, body: Any) -> Answer:
        servers = list(self.host.servers.values())
        ids, limit = [each.id for each in servers], int(query.get("limit", "100"))
        first = ids.index(query["marker"]) + 1 if "marker" in query else 0
        page = servers[first:first + limit]
        links = [{"rel": "next", "href": "x"}] if len(page) == limit else []
        return 200, {"servers": [self.host.listed(each) for each in page], "servers_links": links,
                     "host": {"name": NAME, "vcpus": 8, "memory_mib": 64_000}}, {}

    def _act(self, server_id: str, query: Query, body: Any) -> Answer:
        server, ((action, value),) = self.host.servers[server_id], body.items()
        if action == "set-qos":
            self._set(server, value)
        elif action != "get-qos":
            return fault(400, f"There is no such action: {action}")
        report = self.host.qos(server)
        return 200, {name: {field: value for field, value in each.items() if field != "weight"}
                     for name, each in report.items()}, {}

    def _set(self, server: Server, settings: dict[str, Any]) -> None:
        kept, policy = dict(server.own), server.policy
        for name, value in settings.items():
            if name == "policy":
                policy = self._number(value)
            elif name != "force" and TABLE[name].check(value, server.flavor, name) is None:
                kept.pop(name, None)
            elif name != "force":
                kept[name] = int(value)
        server.own, server.policy = kept, policy

    def _number(self, name: str | None) -> int | None:
        if name is None:
            return None
        found = self.host.catalog.named(name)
        if name != NONE_NAME and found is None:
            raise errors.NoSuchPolicy(f"policy: there is no policy {name!r}")
        return found.number if found else NONE_ID

    def _many(self, query: Query, body: Any) -> Answer:
        results = []
        for each in body["changes"]:
            server = self.host.servers[each["server"]]
            try:
                self._set(server, each["settings"])
            except errors.QosError as error:
                results.append({"server": server.id, "code": 400,
                                "error": {"message": error.message}})
            else:
                results.append({"server": server.id, "code": 200, "qos": self.host.qos(server)})
        return 207, {"results": results}, {}

    def _servers(self, query: Query, body: Any) -> Answer:
        return 200, {"servers": [
            _nova(each) for each in self.host.servers.values()
            if query.get("project_id", each.project) == each.project]}, {}

    def _server(self, server_id: str, query: Query, body: Any) -> Answer:
        return 200, {"server": _nova(self.host.servers[server_id])}, {}

    def _policies(self, query: Query, body: Any) -> Answer:
        found = [self._shown(each) for each in self.host.catalog.policies]
        wanted = query.get("name")
        return 200, {"policies": [each for each in found if wanted in (None, each["name"])]}, {}

    def _catalog(self, query: Query, body: Any) -> Answer:
        return 200, self.host.catalog.to_json(), {}

    def _create(self, query: Query, body: Any) -> Answer:
        policy = body["policy"]
        if self.host.catalog.named(policy["name"]):
            return fault(409, f"there is a policy {policy['name']!r} already")
        made = self.host.add_policy(policy["name"], policy["settings"],
                                    description=policy["description"])
        if policy["is_default"]:
            self.host.catalog = replace(self.host.catalog, default=made.number)
        return 201, {"policy": self._shown(made.number)}, {}

    def _policy(self, number: str, query: Query, body: Any) -> Answer:
        policy = self._shown(int(number))
        users = [{"id": each.id, "host": NAME} for each in self.host.servers.values()
                 if each.policy == int(number)]
        return 200, {
            "policy": policy, "used_by": {
                "servers": users, "flavors": [], "projects": policy["projects"]},
            "in_use": {"servers": len(users), "flavors": 0, "projects": 0, "incomplete": False},
        }, {"ETag": f'"{DATABASE}-{policy["revision"]}"'}

    def _change(self, number: str, query: Query, body: Any) -> Answer:
        policy = self.host.catalog.policies[int(number)]
        asked = {name: value for name, value in body["policy"].items() if name != "is_default"}
        self.host.keep(replace(policy, revision=policy.revision + 1, **asked))
        if "is_default" in body["policy"]:
            self.host.catalog = replace(
                self.host.catalog,
                default=int(number) if body["policy"]["is_default"] else None)
        return 200, {"policy": self._shown(int(number))}, {}

    def _delete(self, number: str, query: Query, body: Any) -> Answer:
        if any(each.policy == int(number) for each in self.host.servers.values()):
            return fault(409, "policy is used by 1 server; it is not deleted")
        left = {each: policy for each, policy in self.host.catalog.policies.items()
                if each != int(number)}
        self.host.catalog = replace(self.host.catalog, policies=left)
        return 204, None, {}

    def _assign(self, number: str, project: str, query: Query, body: Any) -> Answer:
        self.host.catalog = replace(
            self.host.catalog, projects={**self.host.catalog.projects, project: int(number)})
        return 204, None, {}

    def _withdraw(self, number: str, project: str, query: Query, body: Any) -> Answer:
        kept = {each: policy for each, policy in self.host.catalog.projects.items()
                if each != project}
        self.host.catalog = replace(self.host.catalog, projects=kept)
        return 204, None, {}

    def _shown(self, number: int) -> dict[str, Any]:
        catalog = self.host.catalog
        policy = catalog.policies[number]
        return {"id": str(number), "name": policy.name, "description": policy.description,
                "settings": dict(policy.settings), "revision": policy.revision,
                "is_default": catalog.default == number,
                "projects": [each for each, given in catalog.projects.items() if given == number]}


def _nova(server: Server) -> dict[str, Any]:
    """The server as nova shows it."""
    return {
        "id": server.id, "name": server.name, "status": server.status, "tenant_id": server.project,
        "user_id": "u", "metadata": {}, "created": "2026-11-30T00:00:00Z", "addresses": {},
        "image": "", "key_name": None, "security_groups": [], "locked": False,
        "OS-EXT-SRV-ATTR:host": NAME, "OS-EXT-STS:power_state": 1, "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active", "OS-EXT-AZ:availability_zone": "nova",
        "OS-DCF:diskConfig": "AUTO", "links": [],
        "flavor": {"original_name": "m512", "ram": server.flavor.memory_mib, "disk": 0,
                   "ephemeral": 0, "swap": 0, "vcpus": server.flavor.vcpus,
                   "extra_specs": {FLAVOR_POLICY: server.flavor.policy}
                   if server.flavor.policy else {}}}
