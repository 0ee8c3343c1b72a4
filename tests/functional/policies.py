# SPDX-License-Identifier: Apache-2.0
"""Requests for named policies."""

import json
from typing import Any

from tests.functional.caller import ADMIN, Answer, Caller
from tests.functional.cloud import Server

PATH = "/os-qos-policies"
GOLD: dict[str, Any] = {
    "name": "Gold", "description": "for those who pay",
    "settings": {"memory": "75%", "cpu_priority": "512/vcpu", "cpu_limit": "80%/vcpu",
                 "io_priority": 300, "net_limit": -1}}


def send(
    method: str, path: str = "", body: object = None, caller: Caller = ADMIN, **headers: str
) -> Answer:
    text = None if body is None else json.dumps(body)
    return caller.request(method, f"{PATH}{path}", text, {
        name.replace("_", "-"): value for name, value in headers.items()})


def create(name: str = "Gold", **fields: Any) -> str:
    """The id of a new policy."""
    answer = send("POST", body={"policy": {"settings": {}, **fields, "name": name}})
    assert answer.status == 201, answer
    return str(answer.body["policy"]["id"])


def shown(policy: str, caller: Caller = ADMIN) -> dict[str, Any]:
    answer = send("GET", f"/{policy}", caller=caller)
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.body["policy"]
    return found


def edit(policy: str, **fields: Any) -> None:
    answer = send("PUT", f"/{policy}", {"policy": fields})
    assert answer.status == 200, answer


def assign(server: Server, policy: str | None, **settings: Any) -> Answer:
    """Set a server to a policy, by its name or id."""
    return ADMIN.act(server, "set-qos", {"policy": policy, **settings})


def held(server: Server) -> dict[str, Any]:
    """What get-qos answers."""
    answer = ADMIN.act(server, "get-qos")
    assert answer.status == 200, answer
    return dict(answer.body)


def names(caller: Caller, query: str = "") -> list[str]:
    answer = send("GET", query, caller=caller)
    assert answer.status == 200, answer
    return [each["name"] for each in answer.body["policies"]]
