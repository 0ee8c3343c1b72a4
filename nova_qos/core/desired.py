# SPDX-License-Identifier: Apache-2.0
"""The resolver: computes the target of every resource of a server from all sources. Pure; nothing
else computes targets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.resource import Resource, Rows
from nova_qos.core.server import Flavor, SavedServer


@dataclass(frozen=True)
class Source:
    """Whose wish a value is: the server's own setting, or the table's default."""

    kind: Literal["server", "default"]


SERVER, DEFAULT = Source("server"), Source("default")


@dataclass(frozen=True)
class Layer:
    """The settings of one source by resource, in the API's units."""

    source: Source
    settings: Mapping[str, int]


@dataclass(frozen=True)
class Target:
    """What a host is to hold for one resource of a server.

    ``requested`` is what its source asks for, None for the default; ``value`` is that, or the
    default, as far as the flavor allows, in the API's unit; ``host_value`` the same in the host's.
    ``bound`` names the resource that allows less than was requested, None where the flavor does.
    """

    requested: int | None
    value: int
    host_value: int
    source: Source = DEFAULT
    bound: str | None = None

    @property
    def is_reduced(self) -> bool:
        """Whether the flavor, or another resource, allows less than was requested."""
        return self.requested is not None and self.requested != self.value


def target(
    row: Resource, flavor: Flavor, requested: int | None, source: Source = SERVER
) -> Target:
    """The target for one requested value (None: the default) of a server with this flavor."""
    if requested is None:
        value, source = row.default.of(flavor), DEFAULT
    else:
        value = row.within(requested, flavor)
    return Target(requested, value, row.unit.to_host(value), source)


def resolve(
    table: Rows, server: SavedServer, layers: Sequence[Layer] = ()
) -> dict[str, Target]:
    """The target of every resource of a server.

    For each resource the first source that names it decides: the server's own settings, then the
    layers in their order, then the table's default.
    """
    ordered = (Layer(SERVER, server.own), *layers)
    resolved = {}
    for name, row in table.items():
        layer = next((each for each in ordered if name in each.settings), None)
        resolved[name] = target(
            row, server.flavor, layer.settings[name] if layer else None,
            layer.source if layer else DEFAULT)
    return {name: _bounded(table[name], each, resolved) for name, each in resolved.items()}


def _bounded(row: Resource, target: Target, resolved: Mapping[str, Target]) -> Target:
    """A target that is no more than the one that bounds it, where both were requested."""
    if row.at_most is None or DEFAULT in (target.source, resolved[row.at_most].source):
        return target
    most = resolved[row.at_most].value
    if target.value <= most:
        return target
    return replace(target, value=most, host_value=row.unit.to_host(most), bound=row.at_most)


def require_order(table: Rows, settings: Mapping[str, int]) -> None:
    """Refuse settings of one source that contradict each other.

    :raises InvalidSetting: one is above the setting that bounds it; names both
    """
    for name, row in table.items():
        bound = row.at_most
        if (bound is not None and bound in settings and name in settings
                and settings[name] > settings[bound]):
            raise errors.InvalidSetting(
                f"{name} {settings[name]} {row.unit.name} is more than {bound} {settings[bound]} "
                f"{table[bound].unit.name}; ask for a {name} of {settings[bound]} at most, or for "
                f"another {bound}")


def held_together(table: Rows, names: Iterable[str]) -> list[str]:
    """These resources, and those that are written together with them, in the table's order."""
    wanted = set(names)
    wanted |= {other for name in wanted if (other := table[name].held_with) is not None}
    return [name for name in table if name in wanted]


def at_host(
    table: Rows, targets: Mapping[str, Target], flavor: Flavor, readings: Mapping[str, Reading]
) -> dict[str, Target]:
    """The targets as they are on the host that was read: defaults may differ there."""
    return {name: _at_host(table[name], each, flavor, readings[name]) if name in readings else each
            for name, each in targets.items()}


def _at_host(row: Resource, target: Target, flavor: Flavor, reading: Reading) -> Target:
    if target.source != DEFAULT:
        return target
    value = row.default.on(flavor, reading)
    return replace(target, value=value, host_value=row.unit.to_host(value))


def keeps_default(row: Resource, flavor: Flavor) -> bool:
    """Whether the agent holds servers of this flavor to the resource's default."""
    return row.default.kept_for(flavor)


def requested(
    table: Rows, server: SavedServer, layers: Sequence[Layer] = ()
) -> dict[str, Target]:
    """The targets that a host is to hold for good: those that some source asks for, what is held
    with them, and the defaults that the agent keeps."""
    resolved = resolve(table, server, layers)
    wanted = [name for name, each in resolved.items()
              if each.source != DEFAULT or keeps_default(table[name], server.flavor)]
    return {name: resolved[name] for name in held_together(table, wanted)}


def to_reset(table: Rows, server: SavedServer, layers: Sequence[Layer] = ()) -> dict[str, Target]:
    """The defaults that a host is to be brought back to once, where it may still hold a value of
    ours that nobody asks for any more, with those of what is held with them."""
    wanted = requested(table, server, layers)
    resolved = resolve(table, server, layers)
    marked = (name for name in resolved if name in server.marked and name not in wanted)
    return {name: resolved[name] for name in held_together(table, marked) if name not in wanted}
