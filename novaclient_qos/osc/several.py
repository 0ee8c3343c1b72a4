# SPDX-License-Identifier: Apache-2.0
"""Changing several servers: each is tried, each has its result."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from osc_lib import exceptions

from nova_qos import words
from nova_qos.client import PAGE, Outcome, Result, Setting
from nova_qos.core.errors import NotInstalled
from novaclient_qos.osc.cloud import FAILURES, Cloud, sentence

_POLL_SECONDS = 1.0
#: What fits in one line of every terminal.
_COLUMNS = 79


class Progress:
    """One line on a terminal, written over and over; nothing anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._width = stream, 0
        self._is_wanted = stream.isatty()

    def say(self, line: str) -> None:
        """Replace what was said before; an empty line leaves nothing."""
        if self._is_wanted:
            line = line[:_COLUMNS]
            # overwritten with spaces, not erased: that works on any terminal
            self._stream.write(f"\r{' ' * self._width}\r{line}")
            self._stream.flush()
            self._width = len(line)


@dataclass
class Attempt:
    """A server that is to be changed, and how far that has come.

    ``is_late``: nobody waits any longer for what is pending.
    """

    name: str
    server_id: str = ""
    result: Result = "failed"
    details: str = ""
    outcome: Outcome | None = None
    is_late: bool = False

    def judge(self, outcome: Outcome) -> None:
        """Keep what became of it."""
        self.outcome = outcome
        self.result, self.details = outcome.result, words.details(outcome)

    def keep(self, result: Outcome | Exception) -> None:
        """Keep what became of it, or why it failed."""
        if isinstance(result, Outcome):
            self.judge(result)
        else:
            self.fail(result)

    def give_up(self, timeout_s: int) -> None:
        """Keep that it was waited for in vain, and how far it had come."""
        self.is_late = True
        if self.outcome is not None:
            self.details = words.late(self.outcome, timeout_s)

    def fail(self, error: Exception) -> None:
        """Keep why it failed."""
        self.result, self.details = "failed", sentence(error)


class Several:
    """Asks for the same settings on several servers: a hundred at a time, or one after the other
    where the API knows no better."""

    def __init__(
        self, cloud: Cloud, names: Sequence[str], progress: Progress, together: bool = False
    ) -> None:
        """:param together: all of them or none"""
        self._cloud, self._names, self._progress = cloud, names, progress
        self._together = together
        self.attempts: list[Attempt] = []

    def change(self, settings: Mapping[str, Setting], force: bool) -> None:
        """Try each server once.

        :raises NotInstalled: this cloud does not know any of it
        :raises CommandError: all are to be changed or none, and one cannot be found
        """
        try:
            for first in range(0, len(self._names), PAGE):
                page = [self._find(name, number) for number, name in
                        enumerate(self._names[first:first + PAGE], first + 1)]
                unknown = next((each for each in page if not each.server_id), None)
                if unknown is not None and self._together:
                    raise exceptions.CommandError(f"Nothing was changed: {unknown.details}")
                self._change(page, settings, force)
        finally:
            self._progress.say("")

    def _find(self, name: str, number: int) -> Attempt:
        self._progress.say(f"{number} of {len(self._names)}: {name}")
        attempt = Attempt(name)
        try:
            attempt.server_id = self._cloud.find(name)
        except FAILURES as error:
            attempt.fail(error)
        return attempt

    def _change(
        self, attempts: Sequence[Attempt], settings: Mapping[str, Setting], force: bool
    ) -> None:
        # two names may be of one server
        ids = dict.fromkeys(each.server_id for each in attempts if each.server_id)
        results: Mapping[str, Outcome | Exception] = {}
        if len(ids) > 1 or self._together:
            self._progress.say(f"changing {len(ids)} of {len(self._names)}")
            results = self._set_many(ids, settings, force)
        for attempt in attempts:
            if attempt.server_id:
                result = results.get(attempt.server_id)
                attempt.keep(result or self._set(attempt, settings, force))
            self.attempts.append(attempt)

    def _set_many(
        self, ids: Iterable[str], settings: Mapping[str, Setting], force: bool
    ) -> Mapping[str, Outcome | Exception]:
        """By server; none where this cloud's nova-qos is older than that request."""
        try:
            return self._cloud.qos.set_many(
                dict.fromkeys(ids, settings), force=force, together=self._together)
        except NotInstalled:
            if self._together:
                raise
            return {}
        except FAILURES as error:
            return dict.fromkeys(ids, error)

    def _set(
        self, attempt: Attempt, settings: Mapping[str, Setting], force: bool
    ) -> Outcome | Exception:
        self._progress.say(f"{len(self.attempts) + 1} of {len(self._names)}: {attempt.name}")
        try:
            return self._cloud.qos.set(attempt.server_id, force=force, **settings)
        except NotInstalled:
            raise
        except FAILURES as error:
            return error

    def wait(self, settings: Mapping[str, Setting], timeout_s: int) -> None:
        """Look every second until no requested setting is pending on any server, or the time is
        over."""
        ends_s = time.monotonic() + timeout_s
        while waiting := self._pending():
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                for attempt in waiting:
                    attempt.give_up(timeout_s)
                break
            names = ", ".join(attempt.name for attempt in waiting)
            self._progress.say(f"waiting for {len(waiting)} of {len(self._names)}: {names}")
            time.sleep(min(_POLL_SECONDS, left_s))
            for attempt in waiting:
                self._look(attempt, settings)
        self._progress.say("")

    def _look(self, attempt: Attempt, settings: Mapping[str, Setting]) -> None:
        try:
            attempt.judge(Outcome.of(self._cloud.qos.get(attempt.server_id), settings))
        except FAILURES as error:
            attempt.fail(error)

    def _pending(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.result == "pending"]

    def interrupted(self) -> str:
        """The progress in one line, for a user who interrupts the waiting."""
        self._progress.say("")
        parts = ["Interrupted."]
        if waiting := self._pending():
            told = ", ".join(f"{each.name} ({each.details})" for each in waiting)
            parts.append(f"The settings are saved; still waiting: {told}.")
        if untold := self._names[len(self.attempts):]:
            parts.append(f"No answer, or no request sent: {', '.join(untold)}.")
        return " ".join(parts)
