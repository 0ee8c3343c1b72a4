# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos list``."""

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from cliff.formatters.base import ListFormatter
from osc_lib.command import command

from nova_qos import words
from nova_qos.client import Client, HeldReport, Host, Listed, Saved, is_by_policy
from nova_qos.core.report import UNKNOWN
from nova_qos.resources import FIRST, MEMORY, TABLE
from novaclient_qos.osc.cells import Cell, figure, heading, source
from novaclient_qos.osc.cloud import Cloud
from novaclient_qos.report.figures import DIVISIONS, parts

LOG = logging.getLogger(__name__)
Row = dict[str, object]
_WHOSE = ("Name", "ID")
_SOURCE = "Source"


class ListQos(command.Lister):
    """List servers and their settings.

    Without --host: the servers of the project, with the requested values. With --host: all
    servers of that host, with the applied values; where the requested value differs, it stands
    there with its state in brackets. The columns with % show the part of the host that a server
    gets while all servers are busy. Memory is in MiB. A table has columns for memory, memory soft
    limit and the priorities, and for whatever else some server has a setting of; formats for
    programs have all columns. Source names who asks for the values of a server: itself, named
    policies with their revisions, a post-create hook; a table has it where some server has a
    policy. For programs it tells that by resource.
    """

    _total: Row | None = None

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--host", metavar="<host>",
            help="Name of a compute host: list all servers on it (admin only).")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        client: Client = Cloud(self.app).qos
        if parsed_args.host is None:
            titles: list[str] = [*_WHOSE, *map(heading, TABLE.values()), _SOURCE]
            servers = list(client.servers())
            rows = [_requested(server) for server in servers]
            _warn(sum(_is_unknown(server) for server in servers))
        else:
            host = client.host(parsed_args.host)
            titles, rows, servers = _titles(), _held(host), list(host.servers)
            self._total = _total(rows, host)
        if parsed_args.formatter == "table" and not (
                parsed_args.columns or parsed_args.sort_columns):
            hidden = _without_settings(servers)
            titles = [title for title in titles if title not in hidden]
        return titles, [[row[title] for title in titles] for row in rows]

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        if parsed_args.formatter == "table" and self._total is not None:
            self.formatter = _WithLastRow(self.formatter, self._total)
        return super().produce_output(parsed_args, column_names, data)


class _WithLastRow(ListFormatter):
    """A formatter that adds a row where all sorting is done."""

    def __init__(self, formatter: ListFormatter, row: Mapping[str, object]) -> None:
        self._formatter, self._row = formatter, row

    def add_argument_group(self, parser: argparse.ArgumentParser) -> None:
        """The one inside has added its own."""

    def emit_list(
        self, column_names: Sequence[str], data: Iterable[Sequence[Any]], stdout: TextIO,
        parsed_args: argparse.Namespace,
    ) -> None:
        last = [self._row.get(title, "") for title in column_names]
        self._formatter.emit_list(column_names, [*data, last], stdout, parsed_args)


def _titles() -> list[str]:
    titles = list(_WHOSE)
    for row in TABLE.values():
        titles += [heading(row), row.division.column] if row.division else [heading(row)]
    return [*titles, _SOURCE]


def _without_settings(servers: Sequence[Listed]) -> set[str]:
    """The columns of resources that no server has a setting of, but for the first ones; and that
    of the sources where no server has a policy."""
    unset = [row for name, row in TABLE.items() if name not in FIRST and not any(
        server["qos"].get(name, {}).get("requested") is not None for server in servers)]
    told = any(is_by_policy(each) or each.get("source") == UNKNOWN
               for server in servers for each in server["qos"].values())
    return {*map(heading, unset), *(row.division.column for row in unset if row.division),
            *(() if told else (_SOURCE,))}


def _whose(server: Listed) -> Row:
    return {"Name": server["name"], "ID": server["id"]}


def _is_unknown(server: Listed) -> bool:
    return server.get("status") == "UNKNOWN"


def _warn(unknown: int) -> None:
    if unknown:
        LOG.warning("The list is incomplete: %s in a cell that does not answer.",
                    "1 server is" if unknown == 1 else f"{unknown} servers are")


def _requested(server: Listed) -> Row:
    if _is_unknown(server):
        nothing: Row = {heading(row): Cell(None, "unknown") for row in TABLE.values()}
        return {"Name": Cell(None), "ID": server["id"], **nothing, _SOURCE: Cell(None, "unknown")}
    return _whose(server) | {_SOURCE: _sources(server)} | {
        heading(row): _asked(name, server["qos"][name]) for name, row in TABLE.items()}


def _asked(name: str, saved: Saved) -> Cell:
    if saved.get("source") == UNKNOWN:
        return Cell(None, "unknown")
    return figure(name, saved["requested"])


def _held(host: Host) -> list[Row]:
    rows = [_whose(server) | {_SOURCE: _sources(server)} for server in host.servers]
    for name, row in TABLE.items():
        for server, cells in zip(host.servers, rows, strict=True):
            cells[heading(row)] = _holding(name, server["qos"][name])
    for name, percents in parts(host).items():
        for percent, cells in zip(percents, rows, strict=True):
            cells[DIVISIONS[name].column] = _percent(percent)
    return rows


def _sources(server: Listed) -> Cell:
    """Who asks for what a server has, each once; for programs by resource."""
    found = {name: source(each) for name, each in server["qos"].items()}
    known = {name: each.machine_readable() for name, each in found.items()}
    said = dict.fromkeys(each.human_readable() for name, each in found.items()
                         if known[name] != "none")
    return Cell(known if any(known.values()) else None, ", ".join(said))


def _percent(value: float | None) -> Cell:
    return Cell(None) if value is None else Cell(value, f"{value:.1f}")


def _holding(name: str, report: HeldReport) -> Cell:
    if report["state"] in ("applied", "unset"):
        return figure(name, report["applied"])
    requested = report["requested"]
    state = f"({report['state']})"
    asked = "" if requested is None else f"{words.in_words(requested)} "
    return Cell(report["applied"], f"{asked}{state}")


def _total(rows: Sequence[Row], host: Host) -> Row:
    used_mib = _sum(rows, heading(MEMORY))
    total: Row = {"Name": "Total", heading(MEMORY): f"{round(used_mib)} of {host.memory_mib}"}
    for title in (division.column for division in DIVISIONS.values()):
        # nothing is divided where nobody takes part
        total[title] = f"{whole:.1f}" if (whole := _sum(rows, title)) else ""
    return total


def _sum(rows: Sequence[Row], title: str) -> float:
    cells = [row[title] for row in rows]
    return sum(cell.machine_readable() or 0 for cell in cells if isinstance(cell, Cell))
