# SPDX-License-Identifier: Apache-2.0
"""nova's REST API with nothing in between that would cost time."""

import http.client
import json
from collections.abc import Sequence
from typing import Any

from tools.bed.stack import tenants
from tools.bed.stack.layout import PORTS

_TIMEOUT_S = 60
#: Of a request for several servers that has a result for each.
_RESULTS = (200, 202, 207)


class Rest:
    """An administrator with a token. Safe for several threads."""

    def __init__(self) -> None:
        self._headers = {
            "X-Auth-Token": tenants.connect().session.get_token(),
            "OpenStack-API-Version": "compute 2.96", "Content-Type": "application/json"}

    def show(self, server: str) -> int:
        """Show a server; the status."""
        return self.request("GET", f"/servers/{server}")[0]

    def act(self, server: str, action: str, value: object = None) -> int:
        """Send an action; the status."""
        return self.request("POST", f"/servers/{server}/action", {action: value})[0]

    def set_many(self, servers: Sequence[str], settings: dict[str, object]) -> int:
        """Give several servers the same by one request; the largest code of their results."""
        status, answer = self.request("POST", "/os-qos", {
            "changes": [{"server": server, "settings": settings} for server in servers]})
        return max([each["code"] for each in answer["results"]] if status in _RESULTS else [status])

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and body, None for none."""
        connection = http.client.HTTPConnection("127.0.0.1", PORTS["nova"], timeout=_TIMEOUT_S)
        try:
            connection.request(method, f"/v2.1{path}", None if body is None else json.dumps(body),
                               self._headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, _decoded(content)
        finally:
            connection.close()


def _decoded(content: bytes) -> Any:
    """None for what is no JSON, such as the answer of a server in between."""
    try:
        return json.loads(content)
    except ValueError:
        return None
