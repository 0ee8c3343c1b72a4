# SPDX-License-Identifier: Apache-2.0
"""The requests of nova-qos as Tempest sends them; a refusal raises Tempest's own error for it."""

import json
from typing import Any
from urllib.parse import urlencode

from tempest.lib.common import rest_client
from tempest.lib.services.compute import base_compute_client

from nova_qos.resources import GET_ALL, HOSTS_PATH, POLICIES_PATH, SET_ALL

_OK, _CREATED, _ACCEPTED, _NO_CONTENT = 200, 201, 202, 204
# Tempest puts the endpoint and a slash before a path
_HOSTS, _POLICIES = HOSTS_PATH.lstrip("/"), POLICIES_PATH.lstrip("/")


class QosClient(base_compute_client.BaseComputeClient):
    """Settings of servers, hosts and named policies."""

    def act(self, server_id: str, action: str, value: object = None) -> Any:
        """Any server action of nova-qos; ``response.status`` of the answer is 200 or 202."""
        response, body = self.post(
            f"servers/{server_id}/action", json.dumps({action: value}))
        return self._answer((_OK, _ACCEPTED), response, body)

    def show_qos(self, server_id: str) -> Any:
        """All resources of a server by name."""
        return self.act(server_id, GET_ALL)

    def set_qos(self, server_id: str, **settings: object) -> Any:
        """Set resources by name; None unsets."""
        return self.act(server_id, SET_ALL, settings)

    def list_hosts(self, **query: str) -> Any:
        """The compute hosts, below ``hosts``."""
        response, body = self.get(_with_query(_HOSTS, query))
        return self._answer((_OK,), response, body)

    def list_policies(self, **query: str) -> Any:
        """The named policies, below ``policies``."""
        response, body = self.get(_with_query(_POLICIES, query))
        return self._answer((_OK,), response, body)

    def show_policy(self, policy_id: str) -> Any:
        """One policy, below ``policy``."""
        response, body = self.get(f"{_POLICIES}/{policy_id}")
        return self._answer((_OK,), response, body)

    def create_policy(self, **policy: object) -> Any:
        """Create a policy; it is below ``policy``."""
        response, body = self.post(_POLICIES, json.dumps({"policy": policy}))
        return self._answer((_CREATED,), response, body)

    def update_policy(self, policy_id: str, **changes: object) -> Any:
        """Change a policy; it is below ``policy``."""
        response, body = self.put(f"{_POLICIES}/{policy_id}", json.dumps({"policy": changes}))
        return self._answer((_OK,), response, body)

    def delete_policy(self, policy_id: str) -> Any:
        """Delete a policy that is not in use."""
        response, body = self.delete(f"{_POLICIES}/{policy_id}")
        return self._answer((_NO_CONTENT,), response, body)

    def _answer(self, expected: tuple[int, ...], response: Any, body: Any) -> Any:
        self.expected_success(list(expected), response.status)
        return rest_client.ResponseBody(response, json.loads(body) if body else {})


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
