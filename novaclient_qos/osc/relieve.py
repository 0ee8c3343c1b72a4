# SPDX-License-Identifier: Apache-2.0
"""``openstack server qos relieve``."""

import argparse
from collections.abc import Iterable, Iterator, Sequence

from osc_lib import exceptions
from osc_lib.command import command

from nova_qos.client_hosts import Placed
from nova_qos.client_relief import missing_words
from nova_qos.core.moves import SHARED, Move, Plan
from novaclient_qos import output, words
from novaclient_qos.osc.cells import Cell
from novaclient_qos.osc.cloud import FAILURES, Cloud, sentence
from novaclient_qos.osc.several import Progress
from novaclient_qos.relief import pausing
from novaclient_qos.relief.pausing import Paused
from novaclient_qos.relief.relief import Relief, Wanted
from novaclient_qos.relief.situation import Situation

_COLUMNS = ("Server", "From", "To", "MiB", "Result", "Details")
_MEMORY = SHARED.index("memory")
_NOT_ASKED = "Nothing was sent: nova was not asked yet, and may refuse a server on a host.\n"


class RelieveHost(command.Lister):
    """Move servers away from a compute host that is short, until what is left fits (admin only).

    Servers are chosen so that the fewest MiB (resident memory and local disk) are copied, and no
    other host becomes short at any time. Nova's own live migration moves them. What nova refuses
    is planned around; when a move fails on its way, no more are begun. The exit status is 1 where
    the host is still short in the end, or a move has failed.
    """

    _any_failed = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="<host>", help="Name of a compute host.")
        parser.add_argument(
            "--dry-run", action="store_true",
            help="Show the plan and send nothing. Nova is not asked whether it would take a server "
                 "on a host.")
        parser.add_argument(
            "--to", metavar="<host>", help="Move servers to this compute host alone.")
        parser.add_argument(
            "--parallel", metavar="<number>", type=_number, default=1,
            help="How many servers are moved at a time. Nova lets a host send no more than "
                 "[DEFAULT] max_concurrent_live_migrations, 1 by default. Default: 1.")
        parser.add_argument(
            "--cold", action="store_true",
            help="Stop the guests for the move, and start them on the other host.")
        parser.add_argument(
            "--timeout", metavar="<seconds>", type=words.seconds,
            help="Have nova end a live migration that takes longer, and begin no more.")
        parser.add_argument(
            "--pause", action="store_true",
            help="As the last resort, when moves are not enough: pause the servers of the lowest "
                 "memory priority, until those that are left fit. They keep their memory, but use "
                 "no more of it, and the kernel can swap it out.")
        parser.add_argument(
            "--undo", action="store_true",
            help="Move nothing; let servers run again that --pause has paused for this host.")
        return parser

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
        _require_sense(parsed_args)
        cloud = Cloud(self.app)
        try:
            if parsed_args.undo:
                undone = pausing.undo(cloud.moves, parsed_args.host)
                self._any_failed = any(each.has_failed for each in undone)
                return _COLUMNS, [_paused_row(each) for each in undone]
            situation = _situation(cloud, parsed_args)
            if parsed_args.dry_run:
                return _COLUMNS, list(self._dry_run(cloud, situation, parsed_args.pause))
            return _COLUMNS, list(self._relieve(cloud, situation, parsed_args))
        except FAILURES as error:
            raise exceptions.CommandError(sentence(error)) from error

    def _dry_run(
        self, cloud: Cloud, situation: Situation, may_pause: bool
    ) -> Iterator[Sequence[object]]:
        plan = situation.plan()
        for move in plan.moves:
            yield _move_row(situation, move)
        missing = plan.missing.get(situation.source, (0,) * len(SHARED))
        if may_pause:
            for each in _to_pause(cloud, situation, plan, missing[_MEMORY]):
                yield (each.name or each.id, situation.source, Cell(None), Cell(None),
                       "would be paused", f"memory priority {each.memory_priority}")
        self._say(_NOT_ASKED)
        self._tell_missing(situation.source, missing, "would still be")

    def _relieve(
        self, cloud: Cloud, situation: Situation, parsed_args: argparse.Namespace
    ) -> Iterator[Sequence[object]]:
        progress = Progress(self.app.stderr)
        relief = Relief(
            cloud.qos, cloud.moves, situation, Wanted(
                parsed_args.parallel, parsed_args.cold, parsed_args.timeout), progress.say)
        try:
            relief.run()
        except KeyboardInterrupt:
            progress.say("")
            self._say(_interrupted(relief))
            raise
        finally:
            progress.say("")
        for each in relief.ended:
            yield (each.name, each.move.source, each.move.target, each.move.server.cost_mib,
                   each.result, each.details)
        if relief.stopped is not None:
            self._any_failed = True
            self._say(f"No more moves were begun: {relief.stopped}\n")
            yield from (_move_row(situation, move, "left") for move in situation.plan().moves)
        elif parsed_args.pause and situation.missing[_MEMORY]:
            paused = pausing.pause(cloud.moves, situation.source, _to_pause(
                cloud, situation, Plan(), situation.missing[_MEMORY]))
            self._any_failed |= any(each.has_failed for each in paused)
            yield from map(_paused_row, paused)
        self._tell_missing(situation.source, situation.missing, "is still")

    def _tell_missing(self, host: str, missing: Sequence[int], how: str) -> None:
        if lacks := missing_words(tuple(missing)):
            self._any_failed = True
            self._say(f"{host} {how} short of {lacks}.\n")

    def _say(self, line: str) -> None:
        self.app.stderr.write(line)


def _require_sense(parsed_args: argparse.Namespace) -> None:
    if parsed_args.undo and (
            parsed_args.dry_run or parsed_args.to or parsed_args.cold or parsed_args.pause):
        raise exceptions.CommandError("Give --undo alone: it only ends pauses.")
    if parsed_args.cold and parsed_args.timeout is not None:
        raise exceptions.CommandError(
            "Give either --cold or --timeout: nova cannot end a cold migration.")
    if parsed_args.to == parsed_args.host:
        raise exceptions.CommandError("--to names the host that is to be relieved.")


def _situation(cloud: Cloud, parsed_args: argparse.Namespace) -> Situation:
    host, target = parsed_args.host, parsed_args.to
    names = [None] if target is None else [host, target]
    states = {state.name: state for name in names for state in cloud.qos.hosts(name, servers=True)}
    if host not in states:
        raise exceptions.CommandError(f"There is no compute host {host}.")
    source = states[host]
    if source.placed is None:
        raise exceptions.CommandError(
            f"The agent of {host} does not tell of its servers"
            f"{f': {source.reason}' if source.reason else ''}.")
    return Situation(host, states, cloud.moves.usable_hosts(), target)


def _to_pause(
    cloud: Cloud, situation: Situation, plan: Plan, missing_mib: int
) -> list[Placed]:
    """Of those that are left on the host."""
    if not missing_mib:
        return []
    paused = {each.id for each in cloud.moves.paused()}
    gone = {move.server.key for move in plan.moves} | situation.done.keys()
    return pausing.chosen((each for key, each in situation.placed(situation.source).items()
                           if key not in gone), missing_mib, paused)


def _move_row(situation: Situation, move: Move, result: str = "planned") -> Sequence[object]:
    placed = situation.placed(move.source).get(move.server.key)
    return ((placed.name if placed else "") or move.server.key, move.source, move.target,
            move.server.cost_mib, result, "")


def _paused_row(paused: Paused) -> Sequence[object]:
    return paused.name, paused.host, Cell(None), Cell(None), paused.result, paused.details


def _interrupted(relief: Relief) -> str:
    if not relief.running:
        return "Interrupted. No move is under way.\n"
    told = ", ".join(f"{each.name} to {each.move.target}" for each in relief.running)
    return f"Interrupted. Nova goes on with what is under way: {told}.\n"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)
