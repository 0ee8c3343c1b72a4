# SPDX-License-Identifier: Apache-2.0
"""What a dry run asks of a cloud."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nova_qos.client import Client
from nova_qos.client_policies import Policies


@dataclass(frozen=True)
class Place:
    """Where a server is; ``host``: None for none. ``flavor_policy`` is the policy that its flavor
    names."""

    server_id: str
    name: str
    host: str | None
    is_running: bool
    flavor_policy: str | None = None


@dataclass(frozen=True)
class Facts:
    """What decides beside a server's own settings which policies it has: the id of its project, and
    the policy that its flavor names."""

    project: str
    policy: str | None


class Cloud(Protocol):
    """A cloud as one of its administrators sees it."""

    @property
    def qos(self) -> Client:
        """The settings of its servers."""

    @property
    def policies(self) -> Policies:
        """Its named policies."""

    @property
    def has_policies(self) -> bool:
        """Whether it keeps policies, though their database may not answer now."""

    def places(self, **query: Any) -> Iterator[Place]:
        """Where the servers of all projects are, or those that a query of nova's list selects."""

    def facts(self, host: str) -> Mapping[str, Facts]:
        """Of the servers of a compute host by id, what nova knows of them."""
