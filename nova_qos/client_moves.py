# SPDX-License-Identifier: Apache-2.0
"""Nova's own requests that move and pause servers, for administrators.

Nova answers 202 to a migration before it has checked anything: only its record of the migration
says what became of it, and only the server's list of actions why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nova_qos.core.errors import ApiRefused
from nova_qos.response import message_of, parsed, refusal

#: Microversions: migrations with their users and without a way to force one past the scheduler
#: (2.68, 2.80), and events of actions that say why they failed (2.84). Every nova that nova-qos
#: runs in has them.
_VERSION, _REASONS_VERSION = "2.80", "2.84"
#: The events by which nova judges a host before anything moves.
_JUDGING = ("conductor_", "cold_migrate", "compute_check_can_live_migrate")
_NOT_UNDER_WAY = (400, 404, 409)


class Adapter(Protocol):
    """The part of keystoneauth1's Adapter that is used."""

    def get(self, url: str, **kwargs: Any) -> Any:
        """Send a GET."""

    def post(self, url: str, **kwargs: Any) -> Any:
        """Send a POST."""

    def delete(self, url: str, **kwargs: Any) -> Any:
        """Send a DELETE."""


@dataclass(frozen=True)
class ServerNow:
    """A server as nova has it: ``status`` is nova's, such as ACTIVE; ``task``: what nova does with
    it at the moment, None for nothing. ``locked``: nova moves it nevertheless for administrators,
    so who asks is to look."""

    id: str
    name: str
    host: str | None
    status: str
    task: str | None
    locked: bool
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Migration:
    """Nova's record of a migration."""

    id: int
    status: str
    source: str | None
    target: str | None


@dataclass(frozen=True)
class Progress:
    """How far a live migration is, in MiB; what is not known yet is 0."""

    memory_mib: int
    memory_left_mib: int
    disk_mib: int
    disk_left_mib: int


@dataclass(frozen=True)
class Reason:
    """Why an action failed; ``is_refusal``: before anything was moved."""

    message: str
    is_refusal: bool


class Moves:
    """Moves and pauses servers. Everything raises ``ApiRefused`` where nova answers with an
    error."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def usable_hosts(self) -> frozenset[str]:
        """The compute hosts that nova places servers on: enabled, and alive."""
        services = self._get("/os-services", {"binary": "nova-compute"})["services"]
        return frozenset(each["host"] for each in services
                         if each["status"] == "enabled" and each["state"] == "up")

    def server(self, server_id: str) -> ServerNow:
        """A server as it is now."""
        return _server(self._get(f"/servers/{server_id}")["server"])

    def paused(self) -> list[ServerNow]:
        """The paused servers of all projects."""
        found: list[ServerNow] = []
        query = {"all_tenants": "true", "status": "PAUSED"}
        while True:
            page = self._get("/servers/detail", query)
            found += [_server(each) for each in page["servers"]]
            if not (page.get("servers_links") and page["servers"]):
                return found
            query = {**query, "marker": found[-1].id}

    def migrations(self, server_id: str) -> list[Migration]:
        """All migrations of a server, the newest first."""
        rows = self._get("/os-migrations", {"instance_uuid": server_id})["migrations"]
        found = [Migration(each["id"], each["status"], each.get("source_compute"),
                           each.get("dest_compute")) for each in rows]
        return sorted(found, key=lambda each: -each.id)

    def progress(self, server_id: str, migration: Migration) -> Progress | None:
        """How far a live migration is; None: it does not run any more, or not yet."""
        try:
            row = self._get(f"/servers/{server_id}/migrations/{migration.id}")["migration"]
        except ApiRefused as error:
            if error.status in _NOT_UNDER_WAY:
                return None
            raise
        return Progress(*((row.get(name) or 0) >> 20 for name in (
            "memory_total_bytes", "memory_remaining_bytes", "disk_total_bytes",
            "disk_remaining_bytes")))

    def begin(self, server_id: str, host: str, cold: bool = False) -> None:
        """Ask for a migration to a host.

        :param cold: stop the guest for it; when nova has it there, ``confirm`` ends the migration
        """
        action: dict[str, Any] = {"migrate": {"host": host}} if cold else {
            "os-migrateLive": {"host": host, "block_migration": "auto"}}
        self._act(server_id, action)

    def confirm(self, server_id: str) -> None:
        """Keep a server that was moved cold where it is."""
        self._act(server_id, {"confirmResize": None})

    def abort(self, server_id: str, migration: Migration) -> bool:
        """Ask for the end of a live migration; False: nova cannot end it any more."""
        response = self._adapter.delete(
            f"/servers/{server_id}/migrations/{migration.id}", raise_exc=False,
            microversion=_VERSION)
        if response.status_code in _NOT_UNDER_WAY:
            return False
        self._answer(response, "the end of a migration")
        return True

    def actions(self, server_id: str) -> frozenset[str]:
        """The ids of the requests that have acted on a server."""
        found = self._get(f"/servers/{server_id}/os-instance-actions")["instanceActions"]
        return frozenset(each["request_id"] for each in found)

    def reason(self, server_id: str, request_id: str) -> Reason | None:
        """Why a request failed; None: nova tells of no failure, or not yet."""
        action = self._get(f"/servers/{server_id}/os-instance-actions/{request_id}",
                           version=_REASONS_VERSION)["instanceAction"]
        failed = [each for each in action.get("events") or () if each.get("result") == "Error"]
        if not failed:
            return None
        # the last one to begin is where it began to fail
        first = max(failed, key=lambda each: each.get("start_time") or "")
        said = first.get("details") or action.get("message") or "nova does not say why"
        return Reason(" ".join(said.split()),
                      any(each["event"].startswith(_JUDGING) for each in failed))

    def pause(self, server_id: str) -> None:
        """Stop the guest's processors; it keeps its memory."""
        self._act(server_id, {"pause": None})

    def unpause(self, server_id: str) -> None:
        """Let a paused guest run on."""
        self._act(server_id, {"unpause": None})

    def note(self, server_id: str, key: str, value: str) -> None:
        """Keep something with a server, where its owner sees it, too."""
        self._answer(self._adapter.post(
            f"/servers/{server_id}/metadata", json={"metadata": {key: value}}, raise_exc=False,
            microversion=_VERSION), "metadata")

    def forget(self, server_id: str, key: str) -> None:
        """Remove what ``note`` has kept; what is gone already is no error."""
        response = self._adapter.delete(
            f"/servers/{server_id}/metadata/{key}", raise_exc=False, microversion=_VERSION)
        if response.status_code != 404:
            self._answer(response, "metadata")

    def _act(self, server_id: str, action: Mapping[str, Any]) -> None:
        response = self._adapter.post(
            f"/servers/{server_id}/action", json=action, raise_exc=False, microversion=_VERSION)
        self._answer(response, next(iter(action)))

    def _get(
        self, path: str, query: Mapping[str, str] | None = None, version: str = _VERSION
    ) -> dict[str, Any]:
        return self._answer(self._adapter.get(
            path, params=query or {}, raise_exc=False, microversion=version), path)

    def _answer(self, response: Any, asked: str) -> dict[str, Any]:
        body = parsed(response)
        if response.status_code < 400:
            return body
        raise refusal(response, message_of(body)[0], asked)


def _server(body: Mapping[str, Any]) -> ServerNow:
    return ServerNow(
        body["id"], body["name"], body.get("OS-EXT-SRV-ATTR:host"), body["status"],
        body.get("OS-EXT-STS:task_state"), bool(body.get("locked")), body.get("metadata") or {})
