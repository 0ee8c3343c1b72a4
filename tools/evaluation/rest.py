# SPDX-License-Identifier: Apache-2.0
"""nova's REST API with nothing in between that would cost time."""

import http.client
import json

from tools.bed.stack import tenants
from tools.bed.stack.layout import PORTS

_TIMEOUT_S = 60


class Rest:
    """An administrator with a token. Safe for several threads."""

    def __init__(self) -> None:
        self._headers = {
            "X-Auth-Token": tenants.connect().session.get_token(),
            "OpenStack-API-Version": "compute 2.96", "Content-Type": "application/json"}

    def show(self, server: str) -> int:
        """Show a server; the status."""
        return self._send("GET", f"/v2.1/servers/{server}", None)

    def act(self, server: str, action: str, value: object = None) -> int:
        """Send an action; the status."""
        return self._send("POST", f"/v2.1/servers/{server}/action", json.dumps({action: value}))

    def _send(self, method: str, path: str, body: str | None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", PORTS["nova"], timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
