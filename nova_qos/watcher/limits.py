# SPDX-License-Identifier: Apache-2.0
"""What a plan of Watcher leaves alone: by the scope of its audit, and by what failed lately."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher import objects

_EXCLUDED = "the audit's scope excludes it"
_UNKNOWN = "Watcher does not know it yet, so that the audit's scope says nothing of it"


@dataclass(frozen=True)
class Scope:
    """``hosts``: those that an audit is about; None: all. ``servers``: those of them that it may
    move; None: all. ``excluded``: those that it leaves alone."""

    hosts: frozenset[str] | None = None
    servers: frozenset[str] | None = None
    excluded: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, model: Any) -> "Scope":
        """That of an audit, by Watcher's model of the cloud, from which all else was removed."""
        servers = model.get_all_instances()
        return cls(
            frozenset(each.hostname for each in model.get_all_compute_nodes().values()),
            frozenset(servers),
            frozenset(key for key, each in servers.items() if each.watcher_exclude))

    def has(self, host: str) -> bool:
        """Whether the audit is about a host."""
        return self.hosts is None or host in self.hosts

    def why_not(self, server: str) -> str | None:
        """Why a server is not to move; None: it may."""
        if server in self.excluded:
            return _EXCLUDED
        return None if self.servers is None or server in self.servers else _UNKNOWN


def failed(context: Any, within: timedelta) -> frozenset[tuple[str, str]]:
    """The servers and hosts of those migrations of Watcher that have failed lately. Nova does not
    tell Watcher why, but mostly refuses the same again."""
    since = datetime.now(UTC).replace(tzinfo=None) - within
    found = objects.Action.list(
        context, filters={"state": objects.action.State.FAILED, "updated_at__gte": since})
    return frozenset(pair for each in found if each.action_type == "migrate"
                     and (pair := _pair(each.input_parameters or {})))


def _pair(parameters: Mapping[str, str]) -> tuple[str, str] | None:
    server, host = (parameters.get(name) for name in ("resource_id", "destination_node"))
    return (server, host) if server and host else None
