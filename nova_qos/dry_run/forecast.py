# SPDX-License-Identifier: Apache-2.0
"""What servers and their neighbours would have after a change, computed from what is on the hosts
now; nothing is sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nova_qos.client import Host, Listed
from nova_qos.core import desired, errors
from nova_qos.core.forecast import Standing, Weights, weights
from nova_qos.core.plan import require_left
from nova_qos.core.resource import Division
from nova_qos.core.server import SavedServer
from nova_qos.core.sharing import Claim
from nova_qos.dry_run import foreseen
from nova_qos.dry_run.foreseen import Settings
from nova_qos.resources import TABLE

DIVISIONS: Mapping[str, Division] = {
    name: row.division for name, row in TABLE.items() if row.division is not None}
#: What is weighed against the host, and what of it a list of the host tells.
_GUARANTEES = ("cpu_guarantee", "memory_guarantee")


@dataclass(frozen=True)
class Line:
    """A server that would be changed, or shares the host of one that would; ``parts`` are the
    percentages of each divided resource, now and then."""

    host: str
    server_id: str
    server: str
    changes: str
    refusal: str
    parts: Mapping[str, tuple[float | None, float | None]]


class Forecast:
    """Some servers after a change, and all that are on their hosts: ``lines``. ``promises`` are
    sentences on what these hosts would have guaranteed."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.promises: list[str] = []

    @property
    def is_refused(self) -> bool:
        """Whether at least one server would not take its settings."""
        return any(line.refusal for line in self.lines)

    @property
    def moved(self) -> list[str]:
        """The resources that would be divided in other proportions than now."""
        return [name for name in DIVISIONS if any(
            line.parts[name][0] != line.parts[name][1] for line in self.lines)]

    def add(
        self, host: Host, changed: Mapping[str, SavedServer], asked: Mapping[str, Settings]
    ) -> None:
        """Add a host.

        :param changed: by id, the servers that would be changed, as they would be then
        :param asked: by id, what a set asks of the server itself
        """
        servers = {server["id"]: foreseen.listed(server) for server in host.servers}
        now = {server["id"]: _standing(server, servers[server["id"]]) for server in host.servers}
        then = {each: standing.changed(foreseen.wanted(desired.resolve(TABLE, changed[each])))
                if each in changed else standing for each, standing in now.items()}
        parts, refused = dict(_parts(host, now, then)), False
        for server in host.servers:
            mine, change, refusal = server["id"], "", ""
            if mine in changed:
                settings = asked.get(mine, {})
                change = foreseen.changes(servers[mine], changed[mine], settings)
                refusal = _refusal(host, server, changed[mine], then, settings)
            refused = refused or bool(refusal)
            self.lines.append(Line(
                host.name, mine, str(server["name"]), change, refusal,
                {name: parts[name][mine] for name in DIVISIONS}))
        self.promises += _promises(host, then, refused)


def _standing(server: Listed, saved: SavedServer) -> Standing:
    qos = server["qos"]
    return Standing(
        foreseen.wanted(desired.resolve(TABLE, saved)),
        {name: qos.get(name, {}).get("default", -1) for name in TABLE},
        {name: qos.get(name, {}).get("weight") for name in TABLE},
        frozenset(name for name in TABLE if name in qos and qos[name]["applied"] is not None
                  and qos[name]["state"] != "unsupported"))


def _parts(
    host: Host, now: Mapping[str, Standing], then: Mapping[str, Standing]
) -> Iterator[tuple[str, dict[str, tuple[float | None, float | None]]]]:
    later = weights(now, then, host.vcpus, host.memory_mib)
    vcpus = {server["id"]: server["vcpus"] or 0 for server in host.servers}
    for name, division in DIVISIONS.items():
        before: Weights = {each: standing.weight[name] for each, standing in now.items()}
        percent = [
            division.rule([Claim(each[server], vcpus[server]) for server in now], host.vcpus)
            for each in (before, later[name])]
        yield name, dict(zip(now, zip(*percent, strict=True), strict=True))


def _refusal(
    host: Host, server: Listed, saved: SavedServer, then: Mapping[str, Standing], asked: Settings
) -> str:
    """Why the server would not take what is asked of it, as far as a list can tell."""
    given = {name: value for name, value in asked.items()
             if value is not None and not TABLE[name].value.is_reset(value)}
    wanted = then[server["id"]].requested
    try:
        for name, value in given.items():
            _require_within(server, name, value)
        if asked:
            # what policies ask for beside it is reduced, not refused
            desired.require_order(TABLE, {**saved.hooked, **saved.own})
        for name, most in zip(_GUARANTEES, _capacities(host), strict=True):
            if name in given:
                others = [each.requested[name] or 0 for other, each in then.items()
                          if other != server["id"]]
                require_left(name, TABLE[name].unit.name, wanted[name] or 0, others, most)
    except errors.QosError as error:
        return error.message
    return ""


def _require_within(server: Listed, name: str, value: int) -> None:
    known = server["qos"].get(name)
    if known is None:
        return
    least, most = known["range"]
    if not least <= value <= most:
        raise errors.InvalidSetting(f"{name}: {value} is not within {least} to {most}")


def _capacities(host: Host) -> tuple[int, int]:
    return 100 * host.vcpus, host.memory_mib


def _promises(host: Host, then: Mapping[str, Standing], refused: bool) -> list[str]:
    """What the host would have promised, a sentence for each guarantee that some server has."""
    found = []
    for name, most in zip(_GUARANTEES, _capacities(host), strict=True):
        whole = sum(each.requested[name] or 0 for each in then.values())
        if whole:
            # a set is refused, an edit of a policy is not
            less = "; all of them are reduced in proportion" if whole > most and not refused else ""
            found.append(f"{host.name}: {name} of all servers together: {whole} of {most} "
                         f"{TABLE[name].unit.name}{less}.")
    return found
