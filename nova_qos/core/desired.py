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

#: Of how many flavors is kept what some policies come to.
_MOST_KEPT = 1024


@dataclass(frozen=True)
class Target:
    """What a host is to hold for one resource of a server.

    ``requested`` is what its source asks for, None for the default; ``value`` is that, or the
    default, as far as the flavor allows, in the API's unit; ``host_value`` the same in the host's.
    ``bound`` names the resource that allows less than was requested, None where the flavor does,
    and ``bound_by`` whose wish that is. ``missing`` says why it is not known whether a policy asks
    for something: then the host keeps what it has. ``balanced``: the host's balancer looks after
    it, so that nobody else writes it; ``value`` is what it gives, as far as it has said.
    """

    requested: int | None
    value: int
    host_value: int
    source: Source = DEFAULT
    bound: str | None = None
    bound_by: Source | None = None
    missing: str | None = None
    balanced: bool = False

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
    own settings alone count. Below what that comes to, the host's balancer decides.
    """
    resolved = _requested(table, server)
    if not server.balanced:
        return resolved
    return {**resolved, **{name: _balanced(table[name], resolved[name], value)
                           for name, value in server.balanced.items()}}


def _balanced(row: Resource, target: Target, value: int | None) -> Target:
    """A target as far as the balancer gives it. What a hook gave a new server is no bound."""
    if value is None:
        return replace(target, balanced=True)
    if value >= target.value and target.source != HOOK:
        return target
    return replace(target, value=value, host_value=row.unit.to_host(value), balanced=True)


def _requested(table: Rows, server: SavedServer) -> dict[str, Target]:
    alone, bounded = _of_policies(table, server)
    layers = _layers(server)
    named = {name: _resolved(table[name], server, layers)
             for name in {**server.hooked, **server.own} if name in table}
    if not named:
        return {**bounded}
    together = {**alone, **named}
    return {name: _bounded(table, row, together[name], together)
            if row.at_most is not None and (name in named or row.at_most in named)
            else named.get(name) or bounded[name] for name, row in table.items()}


def _of_policies(table: Rows, server: SavedServer) -> tuple[dict[str, Target], dict[str, Target]]:
    """The targets without anything of the server's own or of hooks, each for itself; and as far as
    they bound each other.

    Kept for all servers with the same policies and flavor, which is most of what to resolve a
    thousand servers takes.
    """
    kept, key = server.assigned.resolved, (id(table), server.flavor)
    found: tuple[dict[str, Target], dict[str, Target]] | None = kept.get(key)
    if found is None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        layers = server.assigned.layers
        alone = {name: _resolved(row, server, layers) for name, row in table.items()}
        bounded = {name: _bounded(table, table[name], each, alone) for name, each in alone.items()}
        found = kept[key] = alone, bounded
    return found


def _layers(server: SavedServer) -> tuple[Layer, ...]:
    hooked = Layer(HOOK, server.hooked)
    return (Layer(SERVER, server.own), *server.assigned.layers, hooked)


def _resolved(row: Resource, server: SavedServer, layers: Iterable[Layer]) -> Target:
    found = [each for each in layers if row.name in each.settings]
    missing = server.assigned.missing
    if not found or (missing and found[0].source.kind == "hook"):
        default = target(row, server.flavor, None)
        return replace(default, missing=missing) if missing else default
    value = found[0].settings[row.name]
    if len(found) == 1 and found[0].source.kind != "server" and row.value.is_reset(value):
        # there is nothing that it would overrule; of the server it is a setting like any other,
        # since a policy may name the resource tomorrow
        return target(row, server.flavor, None)
    return target(row, server.flavor, value, found[0].source)


def _bounded(
    table: Rows, row: Resource, target: Target, resolved: Mapping[str, Target]
) -> Target:
    """A target that is no more than the one that bounds it, where both were requested."""
    if row.at_most is None or "default" in (
            target.source.kind, resolved[row.at_most].source.kind):
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
                and settings[name] > settings[bound]
                and not table[bound].value.is_reset(settings[bound])):
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


@dataclass(frozen=True)
class Due:
    """What is to be done about a server.

    ``requested``: the targets that its host is to hold for good: those that some source asks for,
    what is held with them, and the defaults that the agent keeps. ``to_reset``: the defaults that
    the host is to be brought back to once, where it may still hold a value of ours that nobody asks
    for any more, with those of what is held with them. ``to_mark``: the resources that are to be
    reset when nobody asks for them any more, because a policy or the host's balancer does or the
    agent keeps their default, and of which the server does not yet say so; where a hook gave a
    value, that one is held then. What the balancer looks after is never among the targets.
    """

    requested: dict[str, Target]
    to_reset: dict[str, Target]
    to_mark: list[str]

    @property
    def targets(self) -> dict[str, Target]:
        """All that the host is to hold now."""
        return {**self.to_reset, **self.requested}


def due(table: Rows, server: SavedServer) -> Due:
    """What is to be done about a server."""
    resolved = resolve(table, server)
    kept = {name for name, each in resolved.items() if each.source == DEFAULT and not each.missing
            and keeps_default(table[name], server.flavor)}
    asked = [name for name, each in resolved.items() if each.source != DEFAULT or name in kept]
    left = {name for name, each in resolved.items() if each.missing or each.balanced}
    wanted = {name: resolved[name] for name in held_together(table, asked) if name not in left}
    marked = [name for name in resolved if name in server.marked and name not in wanted
              and name not in left]
    stale = {name: resolved[name] for name in held_together(table, marked) if name not in wanted}
    settled = {*server.marked, *server.hooked}
    to_mark = [name for name in asked if name not in settled and (
        name in kept or resolved[name].source.kind == "policy")]
    return Due(wanted, stale, [*to_mark, *(
        name for name, each in resolved.items() if each.balanced and name not in to_mark
        and server.balanced[name] is not None and name not in {*settled, *server.own})])


def requested(table: Rows, server: SavedServer) -> dict[str, Target]:
    """``Due.requested`` alone."""
    return due(table, server).requested


def to_reset(table: Rows, server: SavedServer) -> dict[str, Target]:
    """``Due.to_reset`` alone."""
    return due(table, server).to_reset


def to_mark(table: Rows, server: SavedServer) -> list[str]:
    """``Due.to_mark`` alone."""
    return due(table, server).to_mark
