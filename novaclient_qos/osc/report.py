# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos report``."""

import argparse
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from cliff.formatters.base import SingleFormatter
from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client import Client
from novaclient_qos.osc.cloud import Cloud
from novaclient_qos.report import history, rows, whole_file
from novaclient_qos.report.figures import Figures, figures
from novaclient_qos.report.history import History, Span
from novaclient_qos.report.prometheus import Prometheus
from novaclient_qos.report.rows import Table

LOG = logging.getLogger(__name__)
#: Formats that hold more than one table.
_DOCUMENTS = ("json", "yaml")
_DEFAULT_SPAN = "1h"
_NO_PLOTS = "--html needs matplotlib, which cannot be imported ({}): pip install 'nova-qos[report]'"
_Page = Callable[[Figures, datetime], str]


class ReportHost(command.Lister):
    """Report whether a compute host keeps what its servers are promised (admin only).

    A table shows the state of the host, its guarantees against its capacity, and for each server
    and each resource that is set what is promised, requested and applied. Promised is the part of
    the host that the server gets while all are busy. With --prometheus also what each server
    received of the host's processors beside what it was promised, and that while it was hungry:
    while it waited for a processor (steal) in more than ten percent of its time with work; and how
    often guests took memory back and the agent put values right. A dash stands for what is not
    known. The formats json and yaml have everything; with --column, and in the other formats, there
    is the table of settings alone, with what was received in the rows of the CPU priority.
    """

    _report: Figures

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="<host>", help="Name of a compute host.")
        parser.add_argument(
            "--prometheus", metavar="<url>", type=_type(Prometheus),
            help="Address of a Prometheus that scrapes the agent of the host, such as "
                 "http://192.0.2.1:9090.")
        parser.add_argument(
            "--over", metavar="<time>", type=_type(Span.parse),
            help="Of which time up to now Prometheus is asked, such as 30m, 1h or 7d. Default: "
                 f"{_DEFAULT_SPAN}.")
        parser.add_argument(
            "--html", metavar="<file>", type=Path,
            help="Also write the report with plots to this file, as one HTML page that loads "
                 "nothing from elsewhere. Needs matplotlib.")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        if parsed_args.over and not parsed_args.prometheus:
            raise exceptions.CommandError("Give --over together with --prometheus.")
        page = _page() if parsed_args.html else None
        report = self._report = _asked(
            Cloud(self.app).qos, parsed_args.host, parsed_args.prometheus,
            parsed_args.over or Span.parse(_DEFAULT_SPAN), with_curves=page is not None)
        if page is not None:
            whole_file.write(parsed_args.html, page(report, datetime.now(UTC)))
        if report.history is not None and report.history.reason:
            LOG.warning("%s", next(rows.past(report.history)))
        table = rows.settings(report) if _is_for_people(parsed_args) else rows.all_columns(report)
        return table.titles, table.rows

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        report = self._report
        if parsed_args.formatter in _DOCUMENTS and not parsed_args.columns:
            document = report.document()
            cast(SingleFormatter, self.formatter).emit_one(
                tuple(document), tuple(document.values()), self.app.stdout, parsed_args)
            return 0
        if _is_for_people(parsed_args):
            self._print_head(report, parsed_args)
        return super().produce_output(parsed_args, column_names, data)

    def _print_head(self, report: Figures, parsed_args: argparse.Namespace) -> None:
        self._print(rows.head(report.state))
        self._emit(rows.capacity(report.state), parsed_args)
        if report.history is not None:
            if report.history.reason is None:
                self._print(rows.past(report.history))
            self._emit(rows.received(report), parsed_args)

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.app.stdout.write(f"{line}\n")

    def _emit(self, table: Table, parsed_args: argparse.Namespace) -> None:
        self.formatter.emit_list(table.titles, table.rows, self.app.stdout, parsed_args)


def _is_for_people(parsed_args: argparse.Namespace) -> bool:
    return parsed_args.formatter == "table" and not parsed_args.columns


def _asked(
    client: Client, host: str, prometheus: Prometheus | None, span: Span, with_curves: bool
) -> Figures:
    (state,) = client.hosts(host)
    found = client.host(host)
    past: History | None = None
    if prometheus is not None:
        past = history.ask(prometheus, [each["id"] for each in found.servers], span, with_curves)
    return figures(state, found, past)


def _type(make: Callable[[str], Any]) -> Callable[[str], Any]:
    """The type of an argument that tells what is wrong with it."""
    def read(text: str) -> Any:
        try:
            return make(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _page() -> _Page:
    """What makes the page; a client needs no matplotlib for anything else."""
    try:
        return cast(_Page, import_module("novaclient_qos.report.page").page)
    except ImportError as error:
        raise exceptions.CommandError(_NO_PLOTS.format(error)) from error
