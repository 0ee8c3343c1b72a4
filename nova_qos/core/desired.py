# SPDX-License-Identifier: Apache-2.0
"""The resolver: computes the target of every resource of a server from all sources. Pure; nothing
else computes targets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nova_qos.core import errors
from nova_qos.core.reading import Reading
from nova_qos.core.resource import Resource, Rows
from nova_qos.core.server import Flavor, SavedServer
from nova_qos.core.source import DEFAULT, HOOK, SERVER, Layer, Source


@dataclass(frozen=True)
class Target:
    """What a host is to hold for one resource of a server.

    ``requested`` is what its source asks for, None for the default; ``value`` is that, or the
    default, as far as the flavor allows, in the API's unit; ``host_value`` the same in the host's.
    ``bound`` names the resource that allows less than was requested, None where the flavor does,
    and ``bound_by`` whose wish that is. ``missing`` says why it is not known whether a policy asks
    for something: then the host keeps what it has.
    """

    requested: int | None
    value: int
    host_value: int
    source: Source = DEFAULT
    bound: str | None = None
    bound_by: Source | None = None
    missing: str | None = None

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


def resolve(table: Rows, server: SavedServer) -> dict[str, Target]:
    """The target of every resource of a server.

    For each resource the first source that names it decides: the server's own settings, its
    policies in their order, a post-create hook, the table's default. Where a policy is missing,
    own settings alone count.
    """
    resolved = {name: _resolved(row, server, _layers(server)) for name, row in table.items()}
    return {name: _bounded(table, table[name], each, resolved) for name, each in resolved.items()}


def _layers(server: SavedServer) -> tuple[Layer, ...]:
    hooked = Layer(HOOK, server.hooked)
    return (Layer(SERVER, server.own), *server.assigned.layers, hooked)


def _resolved(row: Resource, server: SavedServer, layers: Iterable[Layer]) -> Target:
    found = [each for each in layers if row.name in each.settings]
    missing = server.assigned.missing
    if not found or (missing and found[0].source == HOOK):
        return replace(target(row, server.flavor, None), missing=missing)
    value = found[0].settings[row.name]
    if len(found) == 1 and row.value.is_reset(value):
        # there is nothing that it would overrule
        return target(row, server.flavor, None)
    return target(row, server.flavor, value, found[0].source)


def _bounded(
    table: Rows, row: Resource, target: Target, resolved: Mapping[str, Target]
) -> Target:
    """A target that is no more than the one that bounds it, where both were requested."""
    if row.at_most is None or DEFAULT in (target.source, resolved[row.at_most].source):
        return target
    most = resolved[row.at_most].value
    if target.value <= most or table[row.at_most].value.is_reset(most):
        return target
    return replace(target, value=most, host_value=row.unit.to_host(most), bound=row.at_most,
                   bound_by=resolved[row.at_most].source)


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


def requested(table: Rows, server: SavedServer) -> dict[str, Target]:
    """The targets that a host is to hold for good: those that some source asks for, what is held
    with them, and the defaults that the agent keeps."""
    resolved = resolve(table, server)
    wanted = [name for name, each in resolved.items()
              if each.source != DEFAULT or keeps_default(table[name], server.flavor)]
    return {name: resolved[name] for name in held_together(table, wanted)
            if not resolved[name].missing}


def to_reset(table: Rows, server: SavedServer) -> dict[str, Target]:
    """The defaults that a host is to be brought back to once, where it may still hold a value of
    ours that nobody asks for any more, with those of what is held with them."""
    wanted = requested(table, server)
    resolved = resolve(table, server)
    marked = (name for name in resolved if name in server.marked and name not in wanted
              and not resolved[name].missing)
    return {name: resolved[name] for name in held_together(table, marked) if name not in wanted}


def to_mark(table: Rows, server: SavedServer) -> list[str]:
    """The resources that are to be reset when nobody asks for them any more, because a policy does
    or the agent keeps their default, and of which the server does not yet say so. Where a hook gave
    a value, that one is held then."""
    resolved = resolve(table, server)
    settled = {*server.marked, *server.hooked}
    return [name for name, each in resolved.items() if name not in settled and (
        each.source.kind == "policy" or (
            each.source == DEFAULT and not each.missing
            and keeps_default(table[name], server.flavor)))]


def names_of(server: SavedServer) -> set[str]:
    """The resources that some policy of the server names."""
    return {name for layer in server.assigned.layers for name in layer.settings}
