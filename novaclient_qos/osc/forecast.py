# SPDX-License-Identifier: Apache-2.0
"""What a set would change, computed from what is on the hosts now; nothing is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from osc_lib import exceptions

from nova_qos.client import Host, Listed
from nova_qos.core import desired, errors
from nova_qos.core.forecast import Standing, Weights, weights
from nova_qos.core.plan import require_left
from nova_qos.core.resource import Division
from nova_qos.core.sharing import Claim
from nova_qos.resources import TABLE
from novaclient_qos.osc.cells import Cell
from novaclient_qos.osc.cloud import Cloud

Settings = Mapping[str, int | None]
_DIVISIONS: Mapping[str, Division] = {
    name: row.division for name, row in TABLE.items() if row.division is not None}
#: What is weighed against the host, and what of it a list of the host tells.
_GUARANTEES = ("cpu_guarantee", "memory_guarantee")


@dataclass(frozen=True)
class Line:
    """A server that would be changed, or shares the host of one that would; ``parts`` are the
    percentages of each divided resource, now and then."""

    host: str
    server: str
    changes: str
    refusal: str
    parts: Mapping[str, tuple[float | None, float | None]]


class Forecast:
    """The same settings on servers of a cloud."""

    def __init__(self, cloud: Cloud, names: Sequence[str], settings: Settings) -> None:
        self._settings = {
            name: None if value is None or TABLE[name].value.is_reset(value) else value
            for name, value in settings.items()}
        by_host: dict[str, set[str]] = {}
        for name in names:
            server_id, host = cloud.find_with_host(name)
            if host is None:
                raise exceptions.CommandError(
                    f"{name} is on no host, or you may not see which: a dry run needs to list the "
                    "servers of its host, which is for administrators.")
            by_host.setdefault(host, set()).add(server_id)
        self.lines: list[Line] = []
        self.promises: list[str] = []
        for host, changed in by_host.items():
            self._add(cloud.qos.host(host), changed)

    @property
    def is_refused(self) -> bool:
        """Whether at least one server would not take its settings."""
        return any(line.refusal for line in self.lines)

    def table(self, whole: bool) -> tuple[list[str], list[list[object]]]:
        """Titles and rows.

        :param whole: with the columns of resources whose division stays as it is
        """
        shown = [name for name in _DIVISIONS if whole or any(
            line.parts[name][0] != line.parts[name][1] for line in self.lines)]
        titles = ["Host", "Server", "Changes"]
        for name in shown:
            titles += [_DIVISIONS[name].column, f"{_DIVISIONS[name].column} Then"]
        if whole or self.is_refused:
            titles.append("Refusal")
        return titles, [_row(line, shown, titles) for line in self.lines]

    def _add(self, host: Host, changed: set[str]) -> None:
        now = {server["id"]: _standing(server) for server in host.servers}
        then = {each: standing.changed(self._settings) if each in changed else standing
                for each, standing in now.items()}
        parts = dict(_parts(host, now, then))
        for server in host.servers:
            mine = server["id"]
            is_changed = mine in changed
            self.lines.append(Line(
                host.name, str(server["name"]),
                _changes(now[mine], self._settings) if is_changed else "",
                _refusal(host, server, then, self._settings) if is_changed else "",
                {name: parts[name][mine] for name in _DIVISIONS}))
        self.promises += _promises(host, then)


def _standing(server: Listed) -> Standing:
    qos = server["qos"]
    return Standing(
        {name: qos.get(name, {}).get("requested") for name in TABLE},
        {name: qos.get(name, {}).get("default", -1) for name in TABLE},
        {name: qos.get(name, {}).get("weight") for name in TABLE},
        frozenset(name for name in TABLE if name in qos and qos[name]["applied"] is not None
                  and qos[name]["state"] != "unsupported"))


def _parts(
    host: Host, now: Mapping[str, Standing], then: Mapping[str, Standing]
) -> Iterator[tuple[str, dict[str, tuple[float | None, float | None]]]]:
    later = weights(now, then, host.vcpus, host.memory_mib)
    vcpus = {server["id"]: server["vcpus"] or 0 for server in host.servers}
    for name, division in _DIVISIONS.items():
        before: Weights = {each: standing.weight[name] for each, standing in now.items()}
        percent = [
            division.rule([Claim(each[server], vcpus[server]) for server in now], host.vcpus)
            for each in (before, later[name])]
        yield name, dict(zip(now, zip(*percent, strict=True), strict=True))


def _changes(now: Standing, settings: Settings) -> str:
    words = []
    for name, value in settings.items():
        before = now.requested[name]
        words.append(f"{name} {_word(before)}, as it is" if before == value
                     else f"{name} {_word(before)} -> {_word(value)}")
    return ", ".join(words)


def _word(value: int | None) -> str:
    return "unset" if value is None else str(value)


def _refusal(
    host: Host, server: Listed, then: Mapping[str, Standing], settings: Settings
) -> str:
    """Why the server would not take the settings, as far as a list can tell."""
    mine = then[server["id"]]
    own = {name: value for name, value in mine.requested.items() if value is not None}
    try:
        for name, value in settings.items():
            _require_within(server, name, value)
        desired.require_order(TABLE, own)
        for name, most in zip(_GUARANTEES, _capacities(host), strict=True):
            if settings.get(name) is not None:
                others = [each.requested[name] or 0 for other, each in then.items()
                          if other != server["id"]]
                require_left(name, TABLE[name].unit.name, own[name], others, most)
    except errors.QosError as error:
        return error.message
    return ""


def _require_within(server: Listed, name: str, value: int | None) -> None:
    known = server["qos"].get(name)
    if value is None or known is None:
        return
    least, most = known["range"]
    if not least <= value <= most:
        raise errors.InvalidSetting(f"{name}: {value} is not within {least} to {most}")


def _capacities(host: Host) -> tuple[int, int]:
    return 100 * host.vcpus, host.memory_mib


def _promises(host: Host, then: Mapping[str, Standing]) -> list[str]:
    """What the host would have promised, a sentence for each guarantee that some server has."""
    found = []
    for name, most in zip(_GUARANTEES, _capacities(host), strict=True):
        whole = sum(each.requested[name] or 0 for each in then.values())
        if whole:
            found.append(f"{host.name}: {name} of all servers together: {whole} of {most} "
                         f"{TABLE[name].unit.name}.")
    return found


def _row(line: Line, shown: Sequence[str], titles: Sequence[str]) -> list[object]:
    cells: list[object] = [line.host, line.server, line.changes]
    for name in shown:
        cells += [Cell(None) if each is None else Cell(round(each, 3), f"{each:.1f}")
                  for each in line.parts[name]]
    return [*cells, line.refusal] if "Refusal" in titles else cells
