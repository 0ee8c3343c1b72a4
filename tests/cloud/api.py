# SPDX-License-Identifier: Apache-2.0
"""nova's REST API as one person of the demo's cloud sees it."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from keystoneauth1 import session
from keystoneauth1.identity import v3

#: The oldest and a recent microversion.
OLDEST, RECENT = "2.1", "2.96"


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What ``condition`` answers as soon as that is something.

    :raises AssertionError: it was nothing for so many seconds
    """
    give_up = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return answer


class Person:
    """A user of the cloud with a token."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        auth = v3.Password(
            auth_url=environment["OS_AUTH_URL"],
            username=environment["OS_USERNAME"],
            password=environment["OS_PASSWORD"],
            project_name=environment["OS_PROJECT_NAME"],
            user_domain_name=environment.get("OS_USER_DOMAIN_NAME", "Default"),
            project_domain_name=environment.get("OS_PROJECT_DOMAIN_NAME", "Default"))
        self.session = session.Session(auth=auth)

    def request(
        self, method: str, path: str, service: str = "compute", version: str = RECENT, **body: Any
    ) -> Any:
        """The raw response, whatever its status."""
        headers = {"OpenStack-API-Version": f"compute {version}"} if service == "compute" else {}
        return self.session.request(
            path, method, endpoint_filter={"service_type": service}, raise_exc=False,
            headers=headers, **body)

    def act(
        self, server: str, action: str, value: object = None, version: str = RECENT
    ) -> tuple[int, Any]:
        """Status and body of one server action."""
        response = self.request(
            "POST", f"/servers/{server}/action", version=version, json={action: value})
        return response.status_code, response.json() if response.content else None

    def show(self, server: str) -> dict[str, Any]:
        """The server as nova shows it."""
        found: dict[str, Any] = self.request("GET", f"/servers/{server}").json()["server"]
        return found

    def wait_for_status(self, server: str, status: str, seconds: float = 120) -> None:
        """Wait until nova has brought the server there and has no task left on it."""
        def there() -> bool:
            seen = self.show(server)
            assert status == "ERROR" or seen["status"] != "ERROR", seen.get("fault")
            return seen["status"] == status and not seen.get("OS-EXT-STS:task_state")

        wait_for(there, seconds, f"server {server} becomes {status}")

    def delete(self, server: str) -> None:
        """Delete the server and wait until it is gone."""
        self.request("DELETE", f"/servers/{server}")
        wait_for(lambda: self.request("GET", f"/servers/{server}").status_code == 404, 60,
                 f"server {server} is gone")
