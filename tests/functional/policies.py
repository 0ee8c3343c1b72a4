# SPDX-License-Identifier: Apache-2.0
"""Requests for named policies."""

import json
from typing import Any

from tests.functional.caller import ADMIN, Answer, Caller

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


def names(caller: Caller, query: str = "") -> list[str]:
    answer = send("GET", query, caller=caller)
    assert answer.status == 200, answer
    return [each["name"] for each in answer.body["policies"]]
