# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos policy set`` and ``openstack server qos policy unset``."""

import abc
import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client_policies import Policy, Seen
from nova_qos.core.policy import Value
from nova_qos.dry_run import runs
from nova_qos.resources import TABLE
from novaclient_qos import words
from novaclient_qos.osc.change import TIMEOUT_SECONDS
from novaclient_qos.osc.cloud import FAILURES, Cloud, sentence
from novaclient_qos.osc.forecast import table
from novaclient_qos.osc.policy import add_default, add_policy, add_settings, settings_of
from novaclient_qos.osc.rollout import Rollout
from novaclient_qos.osc.several import Progress

_OPTIONS = ", ".join(row.names.option for row in TABLE.values())
Settings = Mapping[str, Value]


class _ChangePolicy(command.Lister):
    """What both have in common: one change of one revision, and waiting until it is in force. The
    list is that of a dry run."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        self.add_changes(parser)
        parser.add_argument(
            "--no-wait", action="store_true",
            help="Do not wait until the running servers that use the policy have it as it is now.")
        parser.add_argument(
            "--timeout", metavar="<seconds>", type=words.seconds, default=TIMEOUT_SECONDS,
            help="Wait no longer than this; servers that do not have it then get it later, but the "
                 f"exit status is 1. Default: {TIMEOUT_SECONDS}.")
        parser.add_argument(
            "--dry-run", action="store_true",
            help="Change nothing, and show what would change: the servers, the part of their host "
                 "that they and their neighbours get while all are busy, now and then, and what "
                 "the host would have guaranteed (admin only). The options of output formats are "
                 "for this.")
        add_policy(parser)
        return parser

    @abc.abstractmethod
    def add_changes(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that say what is changed."""

    @abc.abstractmethod
    def changes(self, parsed_args: argparse.Namespace, present: Settings) -> dict[str, Any]:
        """What to change; ``settings`` as a whole.

        :raises CommandError: the options say nothing, or contradict each other
        """

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        self.changes(parsed_args, {})
        cloud = Cloud(self.app)
        found = cloud.policies.find(parsed_args.policy)
        is_asked = parsed_args.dry_run or not parsed_args.no_wait
        seen = cloud.policies.get(found["id"], used_by=is_asked)
        changes = self.changes(parsed_args, seen.policy["settings"])
        if parsed_args.dry_run:
            return self._dry_run(cloud, seen, changes, parsed_args.formatter != "table")
        policy = cloud.policies.change(seen, **changes)
        if parsed_args.no_wait or changes.keys() <= {"description"}:
            self._say(policy, "")
        else:
            rollout = Rollout(cloud, Progress(self.app.stderr), seen, policy)
            self._wait(rollout, policy, parsed_args.timeout)
        return (), ()

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Any
    ) -> int:
        # nothing to list but in a dry run
        return super().produce_output(parsed_args, column_names, data) if column_names else 0

    def _dry_run(
        self, cloud: Cloud, seen: Seen, changes: Mapping[str, Any], whole: bool
    ) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
        run = runs.of_policy(cloud, Progress(self.app.stderr).say, seen, changes)
        for note in run.notes:
            self.app.stderr.write(f"{note}\n")
        return table(run.forecast, whole)

    def _wait(self, rollout: Rollout, policy: Policy, timeout_s: int) -> None:
        is_saved = f"Revision {policy['revision']} of policy {policy['name']} is saved"
        try:
            rollout.wait(timeout_s)
        except FAILURES as error:
            raise exceptions.CommandError(
                f"{is_saved}, but it is not known where it is in force: {sentence(error)}"
            ) from error
        except KeyboardInterrupt:
            self.app.stderr.write(f"Interrupted. {is_saved}; {rollout.summary}.\n")
            raise
        if rollout.missing:
            raise exceptions.CommandError(
                f"{is_saved}, but {rollout.summary}. {rollout.reasons}")
        self._say(policy, f", {rollout.summary}")

    def _say(self, policy: Policy, more: str) -> None:
        self.app.stdout.write(f"policy {policy['name']}: revision {policy['revision']}{more}\n")


class SetPolicy(_ChangePolicy):
    """Change a named policy, and wait until all running servers that use it have it as it is now.

    Settings that are not named stay as they are. The command fails if the policy has been changed
    meanwhile. It ends with exit status 1, and tells the reasons, where a server does not get a
    value. A new description alone changes no server, so nothing is waited for.
    """

    def add_changes(self, parser: argparse.ArgumentParser) -> None:
        add_settings(parser)
        parser.add_argument("--description", metavar="<text>", help="What the policy is for.")
        add_default(parser)

    def changes(self, parsed_args: argparse.Namespace, present: Settings) -> dict[str, Any]:
        settings = settings_of(parsed_args)
        changes: dict[str, Any] = {"settings": {**present, **settings}} if settings else {}
        if parsed_args.description is not None:
            changes["description"] = parsed_args.description
        if parsed_args.default is not None:
            changes["is_default"] = parsed_args.default
        if not changes:
            raise exceptions.CommandError(
                "Nothing to set: give one or more of --description, --default, --no-default, "
                f"{_OPTIONS}.")
        return changes


class UnsetPolicy(_ChangePolicy):
    """Remove settings from a named policy, and wait until its running servers have it as it is now.

    What decides in place of the policy is then applied: another policy, or the default.
    """

    def add_changes(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="Remove every setting.")
        for row in TABLE.values():
            parser.add_argument(row.names.option, dest=row.name, action="store_true",
                                help=f"Remove the {row.title}.")

    def changes(self, parsed_args: argparse.Namespace, present: Settings) -> dict[str, Any]:
        named = [name for name in TABLE if getattr(parsed_args, name)]
        if parsed_args.all and named:
            raise exceptions.CommandError("Give either --all or what to unset, not both.")
        if not (parsed_args.all or named):
            raise exceptions.CommandError(
                f"Nothing to unset: give --all or one or more of {_OPTIONS}.")
        return {"settings": {name: value for name, value in present.items()
                             if not parsed_args.all and name not in named}}
