# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos set`` and ``openstack server qos unset``."""

import abc
import argparse
from collections.abc import Iterable, Mapping, Sequence

from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client import PAGE, Setting
from nova_qos.core.policy import NONE_NAME
from nova_qos.core.server import POLICY
from nova_qos.dry_run import runs
from nova_qos.resources import TABLE
from novaclient_qos import output, words
from novaclient_qos.osc.cloud import FAILURES, Cloud, add_server, sentence
from novaclient_qos.osc.forecast import table
from novaclient_qos.osc.several import Progress, Several

#: The agent tries again what a host or guest refuses after five minutes at the latest.
TIMEOUT_SECONDS = 600
_OPTIONS = ", ".join([*(row.names.option for row in TABLE.values()), "--policy"])


class _Change(command.Lister):
    """What both have in common: a line for each server, exit status 1 if any failed, or was
    waited for in vain."""

    _any_failed = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        self.add_resources(parser)
        parser.add_argument(
            "--wait", action="store_true",
            help="Wait until pending settings have been applied. A server that does not run must "
                 "be started for that.")
        parser.add_argument(
            "--timeout", metavar="<seconds>", type=words.seconds,
            help="Wait no longer than this with --wait; what is pending then is applied later, but "
                 f"the exit status is 1. Default: {TIMEOUT_SECONDS}.")
        add_server(parser, nargs="+")
        return parser

    @abc.abstractmethod
    def add_resources(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that say what is changed."""

    @abc.abstractmethod
    def settings(self, parsed_args: argparse.Namespace) -> Mapping[str, Setting]:
        """What these options say, by resource and of the policy; None unsets."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        try:
            status = super().run(parsed_args) or int(self._any_failed)
            # now, because an error at Python's end would be beyond anyone's control
            self.app.stdout.flush()
        except BrokenPipeError:
            output.discard()
            return int(self._any_failed) or output.BROKEN_PIPE_STATUS
        return status

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        settings = self.settings(parsed_args)
        if parsed_args.timeout is not None and not parsed_args.wait:
            raise exceptions.CommandError("Give --timeout together with --wait.")
        cloud = Cloud(self.app, parsed_args.all_projects)
        together = getattr(parsed_args, "together", False)
        if together and len(parsed_args.server) > PAGE:
            raise exceptions.CommandError(f"At most {PAGE} servers can be changed together.")
        if POLICY in settings:
            _require_policies(cloud)
        several = Several(cloud, parsed_args.server, Progress(self.app.stderr), together)
        try:
            several.change(settings, getattr(parsed_args, "force", False))
            if parsed_args.wait:
                timeout_s = parsed_args.timeout
                several.wait(settings, TIMEOUT_SECONDS if timeout_s is None else timeout_s)
        except KeyboardInterrupt:
            self.app.stderr.write(f"{several.interrupted()}\n")
            raise
        self._any_failed = any(
            attempt.result == "failed" or attempt.is_late for attempt in several.attempts)
        return ("Server", "Result", "Details"), [
            (attempt.name, attempt.result, attempt.details) for attempt in several.attempts]


class SetQos(_Change):
    """Change settings of one or more servers.

    The command tries every server, unless --together asks for all or none. If a server does not
    run, or its host is away, its settings are saved and applied later; the result is then
    "pending". For each server, either all settings are saved or none. A setting holds until it is
    unset, whatever a policy says.
    """

    def add_resources(self, parser: argparse.ArgumentParser) -> None:
        for row in TABLE.values():
            parser.add_argument(
                row.names.option, dest=row.name, metavar=f"<{row.names.argument}>",
                type=words.quantity(row), help=words.value_help(row))
        parser.add_argument(
            "--policy", metavar="<policy>",
            help="Name or ID of a named policy, which decides what has no setting of the server's "
                 f'own; or "{NONE_NAME}": no policy is to reach the server, not even those of its '
                 "flavor and project and the default policy.")
        parser.add_argument("--force", action="store_true", help=words.FORCE_HELP)
        parser.add_argument(
            "--together", action="store_true",
            help="Change all of the servers or none of them. They must run, on one host; up to "
                 f"{PAGE}.")
        parser.add_argument(
            "--dry-run", action="store_true",
            help="Change nothing, and show what would change: the servers, the part of their host "
                 "that they and their neighbours get while all are busy, now and then, what the "
                 "host would have guaranteed, and what would be refused, as far as that can be "
                 "known without asking the guests (admin only).")

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        if not parsed_args.dry_run:
            return super().take_action(parsed_args)
        self.settings(parsed_args)
        cloud = Cloud(self.app, parsed_args.all_projects)
        try:
            by_host = _by_host(cloud, parsed_args.server)
            asked = self._resources(parsed_args)
            forecast = runs.of_set(
                cloud, by_host, {each: asked for ids in by_host.values() for each in ids},
                parsed_args.policy)
        except FAILURES as error:
            raise exceptions.CommandError(sentence(error)) from error
        for line in forecast.promises:
            self.app.stderr.write(f"{line}\n")
        self._any_failed = forecast.is_refused
        return table(forecast, whole=parsed_args.formatter != "table")

    def settings(self, parsed_args: argparse.Namespace) -> Mapping[str, Setting]:
        policy = {} if parsed_args.policy is None else {POLICY: parsed_args.policy}
        settings = {**self._resources(parsed_args), **policy}
        if not settings:
            raise exceptions.CommandError(f"Nothing to set: give one or more of {_OPTIONS}.")
        return settings

    def _resources(self, parsed_args: argparse.Namespace) -> dict[str, int]:
        given = {name: getattr(parsed_args, name) for name in TABLE}
        return {name: value for name, value in given.items() if value is not None}


class UnsetQos(_Change):
    """Unset settings of one or more servers, which then get what their policies say, or the
    defaults.

    The command tries every server, as "openstack server qos set" does.
    """

    def add_resources(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true",
                            help="Unset everything but the policy.")
        for row in TABLE.values():
            parser.add_argument(
                row.names.option, dest=row.name, action="store_true",
                help=f"Unset the {row.title}.")
        parser.add_argument(
            "--policy", action="store_true",
            help="Unset the policy of the server; those of its flavor and project and the default "
                 "policy then decide.")

    def settings(self, parsed_args: argparse.Namespace) -> Mapping[str, Setting]:
        named = [name for name in TABLE if getattr(parsed_args, name)]
        if parsed_args.all and named:
            raise exceptions.CommandError("Give either --all or what to unset, not both.")
        policy = [POLICY] if parsed_args.policy else []
        if not (parsed_args.all or named or policy):
            raise exceptions.CommandError(
                f"Nothing to unset: give --all or one or more of {_OPTIONS}.")
        return dict.fromkeys([*(TABLE if parsed_args.all else named), *policy])


def _by_host(cloud: Cloud, names: Sequence[str]) -> dict[str, set[str]]:
    """The ids of the servers of these names or ids, by host.

    :raises CommandError: a server is on no host that the caller may see
    """
    by_host: dict[str, set[str]] = {}
    for name in names:
        server_id, host = cloud.find_with_host(name)
        if host is None:
            raise exceptions.CommandError(
                f"{name} is on no host, or you may not see which: a dry run needs to list the "
                "servers of its host, which is for administrators.")
        by_host.setdefault(host, set()).add(server_id)
    return by_host


def _require_policies(cloud: Cloud) -> None:
    try:
        cloud.require_policies()
    except FAILURES as error:
        raise exceptions.CommandError(sentence(error)) from error
