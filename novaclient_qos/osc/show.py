# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos show``."""

import argparse
from collections.abc import Iterable, Sequence

from osc_lib.command import command

from nova_qos.client import Report
from nova_qos.resources import BY_FAMILY, FIRST
from novaclient_qos.osc.cells import Cell, figure, source
from novaclient_qos.osc.cloud import Cloud, add_server

_COLUMNS = (
    "Resource", "Requested", "Applied", "Unit", "Range", "Default", "State", "Effective", "Source",
    "Policy Revision", "Since", "Reason")
_LONG = ("Range", "Default", "Policy Revision", "Since")


class ShowQos(command.Lister):
    """Show the resources of a server: requested, applied, and whether the applied value works.

    Effective is False where the host holds the value but it has no effect; the reason says why.
    Source says who asks for the value: the server's own setting, a named policy with its revision,
    a post-create hook, or none.
    A table lists by family - memory, CPU, disk, network out, network in - what is set or what the
    host holds without a setting; it always has memory, memory soft limit and the priorities of CPU,
    disk and network out. With --unset, and in formats for programs, all resources are there.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_server(parser)
        parser.add_argument(
            "--long", action="store_true",
            help="Also show the range, the default, the revision of the policy and the time of the "
                 "last change of state.")
        parser.add_argument(
            # --all would else be read as short for --all-projects
            "--unset", "--all", action="store_true", help="Also show everything that is not set.")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        cloud = Cloud(self.app, parsed_args.all_projects)
        report = cloud.qos.get(cloud.find(parsed_args.server))
        is_table = parsed_args.formatter == "table"
        shows_all = parsed_args.unset or not is_table
        names = [name for name, each in report.items() if shows_all or _is_told(name, each)]
        if is_table:
            names.sort(key=_place)
        rows = [_row(name, report[name]) for name in names]
        if parsed_args.long or parsed_args.columns:
            return _COLUMNS, rows
        shown = [place for place, title in enumerate(_COLUMNS) if title not in _LONG]
        return [_COLUMNS[place] for place in shown], [[row[p] for p in shown] for row in rows]


def _is_told(name: str, report: Report) -> bool:
    """Whether a table has it in any case: a limit that the host still holds is no less in force
    because nobody asks for it any more."""
    return (name in FIRST or report["requested"] is not None
            or report["applied"] not in (None, report["default"]))


def _place(name: str) -> int:
    """Where people find it; what a newer cloud has comes last."""
    return BY_FAMILY.index(name) if name in BY_FAMILY else len(BY_FAMILY)


def _row(name: str, report: Report) -> Sequence[object]:
    least, most = report["range"]
    return (
        name, figure(name, report["requested"]), figure(name, report["applied"]), report["unit"],
        Cell(report["range"], f"{least} to {most}"), figure(name, report["default"]),
        report["state"], report["effective"], source(report), Cell(report.get("policy_revision")),
        Cell(report["since"]), Cell(report["reason"]))
