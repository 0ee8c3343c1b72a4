# SPDX-License-Identifier: Apache-2.0
"""Whose wish a value is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Source:
    """The server's own setting, a policy, a post-create hook, or the table's default.

    Of a policy: its ``name`` and ``revision``, and whether it applies because it ``is_default``.
    """

    kind: Literal["server", "policy", "hook", "default"]
    name: str | None = None
    revision: int | None = None
    is_default: bool = False

    @property
    def words(self) -> str:
        """As get-qos and lists say it."""
        if self.kind == "policy":
            return f"{'default ' if self.is_default else ''}policy {self.name}"
        return "none" if self.kind == "default" else self.kind


SERVER, HOOK, DEFAULT = Source("server"), Source("hook"), Source("default")


@dataclass(frozen=True)
class Layer:
    """The settings of one source by resource, in the API's units."""

    source: Source
    settings: Mapping[str, int]


@dataclass(frozen=True)
class Assigned:
    """The policies of a server, as layers in their order.

    ``missing`` says, as a sentence, which of them is not known here; then what the others say does
    not count either, and what the host holds stays. ``notice`` says, as a sentence, which policy
    was passed over, since there is none of its name.
    """

    layers: tuple[Layer, ...] = field(default=())
    missing: str | None = None
    notice: str | None = None
    #: What the resolver has made of it, by flavor: servers that share the one share the other.
    resolved: dict[object, Any] = field(
        default_factory=dict, init=False, compare=False, repr=False)
