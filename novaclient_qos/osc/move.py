# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos move``."""

import argparse
from collections.abc import Iterable, Sequence

from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client import Outcome
from nova_qos.core.resource import Resource
from nova_qos.resources import MEMORY, TABLE
from nova_qos.words import details
from novaclient_qos import words
from novaclient_qos.osc.cloud import FAILURES, Cloud, sentence

_ROWS = (MEMORY, TABLE["cpu_priority"], TABLE["io_priority"])


class MoveQos(command.Lister):
    """Take from one server what another one of its host gets.

    Both servers must run. Either both settings are changed, the first server's first, or none.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        amounts = parser.add_mutually_exclusive_group(required=True)
        for row in _ROWS:
            amounts.add_argument(
                row.names.option, dest=row.name, metavar=f"<{row.names.argument}>",
                type=words.quantity(row), help=f"How much {row.title} to move.")
        parser.add_argument("source", metavar="<from>", help="Name or ID of the server that gives.")
        parser.add_argument("target", metavar="<to>", help="Name or ID of the server that gets.")
        parser.add_argument(
            "--all-projects", action="store_true",
            help="Find servers of other projects by name too (admin only).")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        row, amount = next((row, amount) for row in _ROWS
                           if (amount := getattr(parsed_args, row.name)) is not None)
        cloud = Cloud(self.app, parsed_args.all_projects)
        names = {}
        try:
            for name in (parsed_args.source, parsed_args.target):
                names[cloud.find(name)] = name
            if len(names) < 2:
                raise exceptions.CommandError("Give two servers: both names are of the same one.")
            source, target = names
            results = cloud.qos.set_many({
                source: {row.name: _present(cloud, source, row) - amount},
                target: {row.name: _present(cloud, target, row) + amount}}, together=True)
        except FAILURES as error:
            raise exceptions.CommandError(sentence(error)) from error
        return ("Server", "Result", "Details"), [
            (names[server], result.result, details(result))
            for server, result in results.items() if isinstance(result, Outcome)]


def _present(cloud: Cloud, server_id: str, row: Resource) -> int:
    """What the server is to have now."""
    report = cloud.qos.get(server_id)[row.name]
    requested = report["requested"]
    return report["default"] if requested is None else requested
