# SPDX-License-Identifier: Apache-2.0
"""What the agent remembers of each server's resources: last state seen, its start and cause."""

import threading
import time
from collections.abc import Container
from dataclasses import dataclass, replace

from nova_qos.agent.counts import Counts
from nova_qos.core.reading import Reading, Unmet

_FIRST_PEACE_S, _CALM_S = 10.0, 3600.0
DEFLATED = "the guest was short of memory and took it back"


@dataclass
class _Past:
    applied: int | None
    unmet: Unmet | None
    since: float
    #: The target that was last seen in force since the server's start; None = none yet.
    in_force: int | None = None
    in_force_s: float = 0.0
    #: The target that is not in force, why, and since when (monotonic) the guest follows it, None
    #: where it does not.
    missing: int | None = None
    why: tuple[Unmet, str] | None = None
    #: Whether that target was a policy's.
    by_policy: bool = False
    follows_s: float | None = None
    #: What was to be seen of a guest that the target waits for: size, and time of its last report.
    sign: tuple[object, ...] | None = None
    #: How often the guest has taken its memory back lately, and when to ask again (monotonic).
    retaken: int = 0
    ask_again_s: float = 0.0
    #: The last target that was written without effect, and what was applied then.
    written: tuple[int, int] | None = None


class History:
    """By server and resource, until the agent ends; used by many threads.

    Methods that only answer change nothing.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self._lock = threading.Lock()
        self._all: dict[str, dict[str, _Past]] = {}

    def in_force(self, server_uuid: str, name: str, target: int) -> None:
        """Record that the host holds the target."""
        with self._lock:
            _hold(self._of(server_uuid, name), target)

    def found(self, server_uuid: str, name: str, target: int) -> None:
        """Record that the host held the target at an earlier time: it is in force unless something
        else has been requested since."""
        with self._lock:
            past = self._of(server_uuid, name)
            known = past.missing if past.missing is not None else past.in_force
        if known in (None, target):
            self.in_force(server_uuid, name, target)

    def unmet(
        self, server_uuid: str, name: str, target: int, kind: Unmet, reason: str,
        by_policy: bool = False,
    ) -> None:
        """Record why the target, which may be a policy's, is not in force."""
        with self._lock:
            past = self._of(server_uuid, name)
            past.missing, past.why, past.follows_s = target, (kind, reason), None
            past.by_policy = by_policy

    def policies_changed(self) -> None:
        """Forget what was refused of policies: they may ask for something else now, and nobody is
        to take an answer to the earlier target for one to the later."""
        with self._lock:
            for past in (each for mine in self._all.values() for each in mine.values()):
                if past.by_policy and past.why is not None and past.why[0] == "refused":
                    past.why = None

    def follows(self, server_uuid: str, name: str, target: int) -> None:
        """Record that the guest is on its way to the target."""
        with self._lock:
            past = self._of(server_uuid, name)
            if past.missing != target or past.follows_s is None:
                past.follows_s = time.monotonic()
            past.missing, past.why = target, ("pending", "the guest has not reached the size yet")

    def waits(self, server_uuid: str, name: str, target: int, reading: Reading) -> bool:
        """Record a reading of a target that is not in force.

        :returns: whether it waits for the guest, and the guest has neither moved nor reported since
            the last call
        """
        with self._lock:
            past, sign = self._of(server_uuid, name), _sign(reading)
            is_same, past.sign = past.sign == sign, sign
            return (is_same and past.missing == target and past.why is not None
                    and past.why[0] == "pending")

    def wrote(self, server_uuid: str, name: str, target: int, applied: int) -> None:
        """Record that the target was written while this was applied."""
        with self._lock:
            self._of(server_uuid, name).written = (target, applied)

    def retaken(self, server_uuid: str, name: str, target: int) -> None:
        """Record that the guest took back what it had given.

        The pause before the guest is asked again doubles each time, up to an hour; after an hour
        without it, it starts from the first again.
        """
        with self._lock:
            past, now_s = self._of(server_uuid, name), time.monotonic()
            times = 0 if now_s - past.in_force_s > _CALM_S else past.retaken
            past.retaken = times + 1
            past.ask_again_s = now_s + min(_FIRST_PEACE_S * 2.0**times, _CALM_S)
            past.in_force, past.missing = None, target
            past.why, past.follows_s = ("deflated", DEFLATED), None
        self.counts.retaken()

    def restarted(self, server_uuid: str) -> None:
        """Record that the server has started. Its earlier values are lost, which is not drift, and
        the agent may ask its guest for memory again."""
        with self._lock:
            for past in self._all.get(server_uuid, {}).values():
                past.in_force, past.ask_again_s = None, 0.0

    def forget(self, server_uuid: str) -> None:
        """Drop a server that is not here any more."""
        with self._lock:
            self._all.pop(server_uuid, None)

    def retain(self, server_uuids: Container[str]) -> None:
        """Drop all other servers: they were deleted, or moved away."""
        with self._lock:
            for server_uuid in [each for each in self._all if each not in server_uuids]:
                del self._all[server_uuid]

    def observe(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """Record a reading; where it is the target that was missing, that is in force now.

        :returns: the reading with why the requested value is not in force, and since when
            its state is as it is
        """
        with self._lock:
            past = self._of(server_uuid, name)
            if past.missing is not None and reading.holds(past.missing):
                _hold(past, past.missing)
            if past.why and reading.unmet is None:
                kind, reason = past.why
                reading = replace(reading, unmet=kind, reason=reason)
            if (past.applied, past.unmet) != (reading.applied, reading.unmet):
                past.applied, past.unmet, past.since = reading.applied, reading.unmet, time.time()
            return replace(reading, since=past.since)

    def explained(self, server_uuid: str, name: str, reading: Reading) -> Reading:
        """A reading, which may be older than the last one, with why the requested value is not in
        force; changes nothing."""
        with self._lock:
            past = self._find(server_uuid, name)
            if past is None or past.why is None or reading.unmet is not None or (
                    past.missing is not None and reading.holds(past.missing)):
                return reading
            kind, reason = past.why
        return replace(reading, unmet=kind, reason=reason)

    def was_in_force(self, server_uuid: str, name: str, target: int) -> bool:
        """Whether the target was in force before, which makes the present value drift."""
        with self._lock:
            past = self._find(server_uuid, name)
            return past is not None and past.in_force == target

    def is_stuck(self, server_uuid: str, name: str, target: int, applied: int) -> bool:
        """Whether the target was written before, and what is applied has not moved since."""
        with self._lock:
            past = self._find(server_uuid, name)
            return past is not None and past.written == (target, applied)

    def wait_s(self, server_uuid: str, name: str) -> float:
        """The seconds for which a guest that took its memory back is left alone."""
        with self._lock:
            past = self._find(server_uuid, name)
            return max(0.0, past.ask_again_s - time.monotonic()) if past else 0.0

    def followed(self, server_uuid: str, name: str) -> tuple[int, float] | None:
        """The target that the guest is on its way to, and for how many seconds it has been."""
        with self._lock:
            past = self._find(server_uuid, name)
            if past is None or past.missing is None or past.follows_s is None:
                return None
            return past.missing, time.monotonic() - past.follows_s

    def _of(self, server_uuid: str, name: str) -> _Past:
        mine = self._all.setdefault(server_uuid, {})
        return mine.setdefault(name, _Past(None, None, time.time()))

    def _find(self, server_uuid: str, name: str) -> _Past | None:
        return self._all.get(server_uuid, {}).get(name)


def _hold(past: _Past, target: int) -> None:
    if past.in_force != target:
        past.in_force_s, past.since = time.monotonic(), time.time()
    past.in_force, past.missing, past.why = target, None, None
    past.written, past.follows_s = None, None


def _sign(reading: Reading) -> tuple[object, ...]:
    return reading.applied, reading.details.get("last_update")
