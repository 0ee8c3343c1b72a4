# SPDX-License-Identifier: Apache-2.0
"""Somebody who calls the API over HTTP."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests
from nova.tests.fixtures.nova import PROJECT_ID
from oslo_utils.fixture import uuidsentinel

#: Where nova's OSAPIFixture intercepts requests.
ENDPOINT = f"http://{uuidsentinel.osapi_host}:80"


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the body, parsed, and the headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def message(self) -> str:
        """The sentence of an error."""
        (fault,) = self.body.values()
        assert fault["code"] == self.status
        return str(fault["message"])


@dataclass(frozen=True)
class Caller:
    """A user with roles in a project, and the way the user writes URLs and versions."""

    user: str
    roles: tuple[str, ...]
    project: str = PROJECT_ID
    prefix: str = "/v2.1"
    microversion: str | None = None

    def using(self, **changes: Any) -> "Caller":
        """The same caller with another project, prefix or microversion."""
        return replace(self, **changes)

    def act(self, server: Any, action: str, value: Any = None) -> Answer:
        """A server action; value is what stands beside the action's name."""
        return self.send(server, json.dumps({action: value}))

    def send(self, server: Any, text: str | None) -> Answer:
        """A server action with any text as its body."""
        return self.request("POST", f"/servers/{server.uuid}/action", text)

    def request(
        self, method: str, path: str, text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request."""
        response = requests.request(
            method, ENDPOINT + self.prefix + path, data=text,
            headers={**self._headers(), **(headers or {})}, timeout=60)
        return Answer(response.status_code, response.json() if response.content else None,
                      response.headers)

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Auth-User": self.user,
            "X-User-Id": self.user,
            "X-Auth-Project-Id": self.project,
            "X-Roles": ",".join(self.roles),
        }
        if self.microversion:
            headers["OpenStack-API-Version"] = f"compute {self.microversion}"
        return headers


# nova's fixture makes the user called "admin" an administrator
ADMIN = Caller("admin", ("reader", "member", "admin"))
MEMBER = Caller("member", ("reader", "member"))
READER = Caller("reader", ("reader",))
#: As agents log in.
SERVICE = Caller("nova", ("service",), project="00000000000000000000000000000001")
STRANGER = Caller("stranger", ("reader", "member"), project="0123456789abcdef0123456789abcdef")
