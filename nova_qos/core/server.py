# SPDX-License-Identifier: Apache-2.0
"""A server as nova keeps it, without nova's objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flavor:
    """The part of the flavor that settings depend on: memory in MiB, and CPU shares where the
    flavor sets them.

    ``fair_cpu_shares`` is the operator's default by vCPUs where the flavor sets none.
    """

    memory_mib: int
    cpu_shares: int | None = None
    fair_cpu_shares: int | None = None


@dataclass(frozen=True)
class NewServer:
    """A server that has just been created, as post-create hooks see it."""

    uuid: str
    name: str
    project_id: str
    flavor: Flavor
    extra_specs: Mapping[str, str]


@dataclass(frozen=True)
class SavedServer:
    """A server with its desired state.

    ``host`` is the compute host that nova has it on, None for none; ``task`` what nova does with
    it at the moment, None for nothing. ``own`` are its own settings by resource, in the API's
    units. ``marked`` names the resources that have no setting, but of which the host holds, or may
    hold, a value of ours that is to be reset.
    """

    uuid: str
    host: str | None
    task: str | None
    flavor: Flavor
    own: Mapping[str, int] = field(default_factory=dict)
    marked: frozenset[str] = frozenset()
