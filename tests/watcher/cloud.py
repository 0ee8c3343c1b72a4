# SPDX-License-Identifier: Apache-2.0
"""A cloud as Watcher asks it over HTTP: keystone, and of nova what the strategy asks."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.unit.agent.web import Answer, Web
from tests.unit.clients import hosts

CAPACITY_MIB = 9000
SERVERS = [f"00000000-0000-0000-0000-{number:012}" for number in range(4)]


def server(number: int, need: int, **more: Any) -> dict[str, Any]:
    """A running server; to move it copies what it needs."""
    return hosts.placed(number, **{"need": need, "resident": need, "disk": 0, **more})


def host(name: str, *servers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A host that is short where its servers need more than it has, and has memory to spare else.
    """
    body = hosts.short(name)
    needs = sum(each["need"] for each in servers)
    body["memory"] |= {"capacity": CAPACITY_MIB, "needs": needs, "available": 9000}
    for family in ("cpu", "net", "net_in"):
        body[family]["guaranteed"] = 0
    return {**body, "placed": list(servers), **more}


@dataclass
class Nova:
    """``hosts`` as its API tells of them, or ``fault`` in place of that; ``disabled``: hosts that
    it places no servers on."""

    web: Web
    hosts: list[dict[str, Any]] = field(default_factory=list)
    fault: Answer | None = None
    disabled: set[str] = field(default_factory=set)

    def answer(self, path: str, _headers: dict[str, str]) -> Answer:
        """To a GET."""
        if "/os-qos/hosts" in path:
            return self.fault or _of({"hosts": self.hosts})
        if "/os-services" in path:
            return _of({"services": [
                {"host": each["name"], "state": "up",
                 "status": "disabled" if each["name"] in self.disabled else "enabled"}
                for each in self.hosts]})
        if path.rstrip("/").endswith("/v2.1"):
            return _of({"version": {
                "id": "v2.1", "status": "CURRENT", "version": "2.104", "min_version": "2.1",
                "links": [{"rel": "self", "href": f"{self.web.url}/v2.1/"}]}})
        return Answer.fault(404, "The resource could not be found.")


def _of(body: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(body).encode(), headers={"Content-Type": "application/json"})
