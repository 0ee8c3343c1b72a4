# SPDX-License-Identifier: Apache-2.0
"""One move as nova carries it out, from the request to its end."""

import time
from dataclasses import dataclass, field
from typing import Literal

from nova_qos.client_moves import Migration, Moves, Reason, ServerNow
from nova_qos.core.errors import ApiRefused
from nova_qos.core.moves import Move

#: "refused": nova does not take this server on that host; "fixed": it does not move this server at
#: all now; "failed": something went wrong on the way.
Result = Literal["under way", "moved", "refused", "fixed", "failed"]
_ENDED_BADLY = ("error", "failed", "cancelled")
#: How long (s) nova may take to write what is known otherwise: the first record of a migration, the
#: server's host after the last.
_WRITES_S = 60.0
#: How long (s) nova may take to say why, after it has said that.
_REASONS_S = 10.0
#: By status, what it means that nova does not take a request.
_REFUSALS: dict[int, Result] = {400: "refused", 404: "fixed", 409: "fixed"}


@dataclass
class Carried:
    """A move of the server of that name. ``details`` says how it is going, or how it went.
    ``known`` and ``acted`` are the migrations and the requests that the server had before."""

    moves: Moves
    move: Move
    name: str
    cold: bool = False
    result: Result = "under way"
    details: str = "asked"
    began_s: float = field(default_factory=time.monotonic)
    known: frozenset[int] = frozenset()
    acted: frozenset[str] = frozenset()
    migration: Migration | None = None
    aborted: str | None = None
    is_ending: bool = False
    settled_s: float | None = None

    def begin(self) -> None:
        """Ask nova for it, if the server is where it is thought to be and can move.

        :raises ApiRefused: the caller may not do this
        """
        try:
            key = self.move.server.key
            why_not = _why_not(self.moves.server(key), self.move)
            if why_not is not None:
                self._end("fixed", why_not)
                return
            self.known = frozenset(each.id for each in self.moves.migrations(key))
            self.acted = self.moves.actions(key)
            self.moves.begin(key, self.move.target, self.cold)
        except ApiRefused as error:
            if error.status not in _REFUSALS:
                raise
            self._end(_REFUSALS[error.status], str(error))

    def look(self) -> None:
        """See how far it is."""
        server = self.moves.server(self.move.server.key)
        new = [each for each in self.moves.migrations(server.id) if each.id not in self.known]
        self.migration = new[0] if new else None
        status = self.migration.status if self.migration else None
        if status in _ENDED_BADLY or (
                status is None and server.task is None and self.has_lasted(_WRITES_S)):
            self._fail(server)
        elif self.cold and server.status == "VERIFY_RESIZE" and status == "finished":
            self.moves.confirm(server.id)
            self.details = "confirmed"
        elif status in ("completed", "confirmed"):
            self._arrive(server)
        else:
            self._tell(status)

    def abort(self, timeout_s: int) -> None:
        """Have nova end it, as soon as it can; given up where it cannot for a minute."""
        self.aborted = f"not done after {timeout_s} s"
        if self.is_ending:
            return
        key = self.move.server.key
        self.is_ending = self.migration is not None and self.moves.abort(key, self.migration)
        if not self.is_ending and self.has_lasted(timeout_s + _WRITES_S):
            self._end("failed", f"{self.aborted}, and nova cannot end it; it goes on")

    def has_lasted(self, seconds: float) -> bool:
        """Whether that many seconds have gone since it began."""
        return time.monotonic() - self.began_s >= seconds

    def _arrive(self, server: ServerNow) -> None:
        """nova writes that it has ended, and then where the server is."""
        if server.host == self.move.target and server.task is None:
            self._end("moved", "")
            return
        if not self._settles_for(_WRITES_S):
            self._end("failed", f"nova says that it has moved, and has it on {server.host}")

    def _settles_for(self, seconds: float) -> bool:
        """Whether it has ended for less than so long."""
        if self.settled_s is None:
            self.settled_s = time.monotonic()
        return time.monotonic() - self.settled_s < seconds

    def _fail(self, server: ServerNow) -> None:
        reason = self._reason()
        if reason is None and self._settles_for(_REASONS_S):
            return
        status = self.migration.status if self.migration else "unknown to nova"
        said = reason.message if reason else "nova does not say why"
        if self.aborted is not None:
            self._end("failed", f"{self.aborted}: {status}")
        elif reason is not None and reason.is_refusal:
            self._end("refused", said)
        else:
            self._end("failed", f"the migration is {status}: {said}")

    def _reason(self) -> Reason | None:
        # of the requests that have come since, the one that has failed
        found = (self.moves.reason(self.move.server.key, each)
                 for each in self.moves.actions(self.move.server.key) - self.acted)
        return next(filter(None, found), None)

    def _tell(self, status: str | None) -> None:
        self.details = status or "asked"
        if self.cold or self.migration is None:
            return
        far = self.moves.progress(self.move.server.key, self.migration)
        if far is not None and (whole := far.memory_mib + far.disk_mib):
            left = far.memory_left_mib + far.disk_left_mib
            self.details = f"{status}, {left} of {whole} MiB are left"

    def _end(self, result: Result, details: str) -> None:
        self.result, self.details = result, " ".join(details.split())


def _why_not(server: ServerNow, move: Move) -> str | None:
    if server.host != move.source:
        return f"it is on {server.host} by now"
    if server.locked:
        return "it is locked"
    if server.task is not None:
        return f"nova is at work on it ({server.task})"
    if server.status not in ("ACTIVE", "PAUSED"):
        return f"it is {server.status}"
    return None
