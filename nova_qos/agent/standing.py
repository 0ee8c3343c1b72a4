# SPDX-License-Identifier: Apache-2.0
"""What the agent remembers of each server's resources: since when they are as they are, and why."""

import threading
import time
from collections.abc import Container
from dataclasses import dataclass, replace

from nova_qos.model import Hindrance, Reading

_FIRST_PEACE_SECONDS, _CALM_SECONDS = 10.0, 3600.0


@dataclass
class _Standing:
    applied: int | None
    hindered: Hindrance | None
    since: float
    #: What was found to be applied since the server's start; None = nothing yet.
    settled: int | None = None
    #: What was asked for and is not there, with the reason.
    missing: int | None = None
    why: tuple[Hindrance, str] | None = None
    #: How often the guest has taken it back lately, and when it may be asked again (monotonic).
    retaken: int = 0
    ask_again_s: float = 0.0
    settled_s: float = 0.0
    #: What was asked for last and is not there, with what was applied then.
    asked: tuple[int, int] | None = None


class Standings:
    """By server and resource; forgotten with the agent. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, dict[str, _Standing]] = {}

    def settle(self, server_uuid: str, name: str, target: int) -> None:
        """The host holds the target."""
        with self._lock:
            standing = self._of(server_uuid, name)
            if standing.settled != target:
                standing.settled_s, standing.since = time.monotonic(), time.time()
            standing.settled, standing.missing, standing.why = target, None, None
            standing.asked = None

    def hinder(
        self, server_uuid: str, name: str, target: int, kind: Hindrance, reason: str
    ) -> None:
        """The target is not there, and why."""
        with self._lock:
            standing = self._of(server_uuid, name)
            standing.missing, standing.why = target, (kind, reason)

    def was_settled(self, server_uuid: str, name: str, target: int) -> bool:
        """Whether the target was there before, so that somebody else has changed it."""
        with self._lock:
            return self._of(server_uuid, name).settled == target

    def retaken(self, server_uuid: str, name: str, target: int) -> None:
        """The guest has taken back what it had given; each time in turn it is left in peace for
        twice as long, unless it had kept still for an hour."""
        with self._lock:
            standing, now_s = self._of(server_uuid, name), time.monotonic()
            times = 0 if now_s - standing.settled_s > _CALM_SECONDS else standing.retaken
            standing.retaken = times + 1
            standing.ask_again_s = now_s + min(_FIRST_PEACE_SECONDS * 2.0**times, _CALM_SECONDS)
            standing.settled, standing.missing = None, target
            standing.why = ("deflated", "the guest was short of memory and took it back")

    def stands_still(self, server_uuid: str, name: str, target: int, applied: int) -> bool:
        """Take note that the target is asked for, and say whether it was already and what is
        applied has not moved since."""
        with self._lock:
            standing = self._of(server_uuid, name)
            before, standing.asked = standing.asked, (target, applied)
            return before == standing.asked

    def must_wait(self, server_uuid: str, name: str) -> float:
        """The seconds for which the guest is left in peace."""
        with self._lock:
            return max(0.0, self._of(server_uuid, name).ask_again_s - time.monotonic())

    def restarted(self, server_uuid: str) -> None:
        """The server has started: what was there before is lost, and nobody's fault."""
        with self._lock:
            for standing in self._all.get(server_uuid, {}).values():
                standing.settled, standing.ask_again_s = None, 0.0

    def forget(self, server_uuid: str) -> None:
        """The server is not here any more."""
        with self._lock:
            self._all.pop(server_uuid, None)

    def retain(self, server_uuids: Container[str]) -> None:
        """Forget all other servers: they were deleted, or moved away."""
        with self._lock:
            for server_uuid in [each for each in self._all if each not in server_uuids]:
                del self._all[server_uuid]

    def explain(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """The reading with why what was asked for is not there, and since when all is so."""
        with self._lock:
            standing = self._of(server_uuid, name)
            is_there = standing.missing is not None and reading.holds(standing.missing)
            if standing.why and reading.hindered is None and not is_there:
                kind, reason = standing.why
                reading = replace(reading, hindered=kind, reason=reason)
            if (standing.applied, standing.hindered) != (reading.applied, reading.hindered):
                standing.applied, standing.hindered = reading.applied, reading.hindered
                standing.since = time.time()
            return replace(reading, since=standing.since)

    def _of(self, server_uuid: str, name: str) -> _Standing:
        mine = self._all.setdefault(server_uuid, {})
        return mine.setdefault(name, _Standing(None, None, time.time()))
