# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos policy``: list, show, create, delete, add project and remove project."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client_policies import InUse, Policies, Policy, Seen, UsedBy
from nova_qos.core.errors import NotInstalled
from nova_qos.core.policy import Value
from nova_qos.resources import TABLE
from nova_qos.words import setting
from novaclient_qos import words
from novaclient_qos.osc.cells import Cell
from novaclient_qos.osc.cloud import FAILURES, Cloud, sentence

_LIST = ("Name", "ID", "Revision", "Default", "Settings", "Description")


def add_policy(parser: argparse.ArgumentParser, **several: Any) -> None:
    """The argument for one policy, or with ``nargs`` for several."""
    parser.add_argument("policy", metavar="<policy>", help="Name or ID of policy.", **several)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """An option for each resource, which also takes its relative values."""
    for row in TABLE.values():
        parser.add_argument(
            row.names.option, dest=row.name, metavar=f"<{row.names.argument}>",
            type=words.policy_value(row), help=words.policy_value_help(row))


def add_default(parser: argparse.ArgumentParser) -> None:
    """The options that make a policy the default, or say that it is not; None without them."""
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        "--default", action="store_true", default=None,
        help="Apply the policy to every server, wherever nothing else decides. Only one policy can "
             "be the default.")
    options.add_argument(
        "--no-default", dest="default", action="store_false",
        help="Apply the policy only where it is assigned.")


def settings_of(parsed_args: argparse.Namespace) -> dict[str, Value]:
    """What the options of resources say."""
    given = {name: getattr(parsed_args, name) for name in TABLE}
    return {name: value for name, value in given.items() if value is not None}


class ListPolicies(command.Lister):
    """List the named policies.

    Who is no administrator sees the policies that are the default or of the own project.
    """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        return _LIST, [
            (each["name"], each["id"], each["revision"], each["is_default"], _settings(each),
             each["description"]) for each in Cloud(self.app).policies.list()]


class ShowPolicy(command.ShowOne):
    """Show a named policy, and for administrators how many servers, flavors and projects use it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--used-by", action="store_true",
            help="Also show which servers, flavors and projects use it (admin only).")
        add_policy(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[object]]:
        policies = Cloud(self.app).policies
        found = policies.find(parsed_args.policy)
        return shown(policies.get(found["id"], used_by=parsed_args.used_by))


class CreatePolicy(command.ShowOne):
    """Create a named policy.

    It has no effect until a server, flavor or project gets it, unless it is the default policy.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_settings(parser)
        parser.add_argument("--description", metavar="<text>", default="",
                            help="What the policy is for.")
        add_default(parser)
        parser.add_argument("name", metavar="<name>", help="Name of the new policy.")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[object]]:
        made = Cloud(self.app).policies.create(
            parsed_args.name, settings_of(parsed_args), description=parsed_args.description,
            is_default=bool(parsed_args.default))
        return shown(Seen(made, None, None, None))


class DeletePolicy(command.Command):
    """Delete one or more named policies that nobody uses.

    The command tries every policy.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_policy(parser, nargs="+")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        policies, failed = Cloud(self.app).policies, []
        for name in parsed_args.policy:
            try:
                policies.delete(policies.find(name)["id"])
            except NotInstalled:
                raise
            except FAILURES as error:
                failed.append(f"{name}: {sentence(error)}")
        if failed:
            raise exceptions.CommandError(
                f"{len(failed)} of {len(parsed_args.policy)} policies not deleted. "
                f"{'; '.join(failed)}")


class _OfProject(command.Command):
    """What adding and removing have in common."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_policy(parser)
        parser.add_argument("project", metavar="<project>", help="Name or ID of project.")
        return parser

    def _found(self, parsed_args: argparse.Namespace) -> tuple[Policies, str, str]:
        """The client, the policy's id and the project's."""
        cloud = Cloud(self.app)
        policy_id = cloud.policies.find(parsed_args.policy)["id"]
        return cloud.policies, policy_id, cloud.find_project(parsed_args.project)


class AddProject(_OfProject):
    """Have the servers of a project, present and to come, get a policy.

    A project has one policy: another one that it had is replaced.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        policies, policy_id, project_id = self._found(parsed_args)
        policies.add_project(policy_id, project_id)


class RemoveProject(_OfProject):
    """Have the servers of a project get a policy no longer."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        policies, policy_id, project_id = self._found(parsed_args)
        policies.remove_project(policy_id, project_id)


def shown(seen: Seen) -> tuple[Sequence[str], Sequence[object]]:
    """Titles and values of one policy; without those that the API does not say."""
    policy = seen.policy
    cells: dict[str, object] = {
        "id": policy["id"], "name": policy["name"], "description": policy["description"],
        "settings": _settings(policy), "revision": policy["revision"],
        "is_default": policy["is_default"]}
    if "projects" in policy:
        cells["projects"] = Cell(policy["projects"], ", ".join(policy["projects"]))
    if seen.in_use is not None:
        cells["in_use"] = Cell(seen.in_use, _counts(seen.in_use))
    if seen.used_by is not None:
        cells["used_by"] = Cell(seen.used_by, _users(seen.used_by))
    return tuple(cells), tuple(cells.values())


def _settings(policy: Policy) -> Cell:
    return Cell(policy["settings"], ", ".join(
        setting(TABLE[name], value) if name in TABLE else f"{name} {value}"
        for name, value in policy["settings"].items()))


def _counts(in_use: InUse) -> str:
    told = ", ".join(f"{number} {kind if number != 1 else kind.removesuffix('s')}" for kind, number
                     in in_use.items() if kind != "incomplete")
    return f"{told}, and what is in a cell that does not answer" if in_use["incomplete"] else told


def _users(used_by: UsedBy) -> str:
    servers = [f"{each['id']} on {each['host'] or 'no host'}" for each in used_by["servers"]]
    lines = {"servers": servers, "flavors": used_by["flavors"], "projects": used_by["projects"]}
    return "\n".join(f"{kind}: {', '.join(names)}" for kind, names in lines.items() if names)
