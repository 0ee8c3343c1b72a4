# SPDX-License-Identifier: Apache-2.0
"""Where a changed policy is in force: looks at the servers that use it until all have it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nova_qos import words
from nova_qos.client import Outcome, Report
from nova_qos.client_policies import Policy, Seen
from nova_qos.dry_run import reach
from nova_qos.dry_run.cloud import Place
from novaclient_qos.osc.cloud import Cloud
from novaclient_qos.osc.several import Progress

_POLL_SECONDS = 2.0
#: An agent that has the policy looks at its servers within so many seconds; until then a list shows
#: what came of the former revision.
_LOOK_SECONDS = 6.0
#: More servers than these are counted, not named.
_NAMED = 10


@dataclass
class _User:
    """A running server, and what is still missing of the policy on it; ``is_settled``: nothing
    more is expected. ``refused_s`` is since when nothing is to come, but something refused."""

    place: Place
    missing: str = "its host was not asked yet"
    is_settled: bool = False
    refused_s: float | None = None

    def settle(self, outcome: Outcome) -> None:
        """Wait no longer, unless what the host refuses may be what was requested before."""
        now_s = time.monotonic()
        if self.refused_s is None:
            self.refused_s = now_s
        self.is_settled = (not outcome.failed or _is_for_good(outcome)
                           or now_s - self.refused_s >= _LOOK_SECONDS)


class Rollout:
    """A policy after a change, and the servers that are to get it."""

    def __init__(self, cloud: Cloud, progress: Progress, before: Seen, after: Policy) -> None:
        """:param before: with those who use it"""
        self._cloud, self._progress = cloud, progress
        self._before, self._after = before, after
        self._users: dict[str, _User] = {}
        self._stopped = 0

    def wait(self, timeout_s: int) -> None:
        """Look again and again until every running server has the policy, or is not going to, or
        the time is over.

        :raises QosError: it cannot be found out
        """
        try:
            self._progress.say(f"policy {self._after['name']}: looking for its servers")
            self._find()
            ends_s = time.monotonic() + timeout_s
            while waiting := self._look():
                left_s = ends_s - time.monotonic()
                if left_s <= 0:
                    return
                names = ", ".join(user.place.name for user in waiting)
                self._progress.say(f"waiting for {len(waiting)} of {len(self._users)}: {names}")
                time.sleep(min(_POLL_SECONDS, left_s))
        finally:
            self._progress.say("")

    @property
    def missing(self) -> list[_User]:
        """The servers that do not have the policy as it is now."""
        return [user for user in self._users.values() if user.missing]

    @property
    def summary(self) -> str:
        """Where it is in force, in numbers."""
        there = len(self._users) - len(self.missing)
        told = f"in force on {there} of {len(self._users)} running servers"
        in_use = self._before.in_use
        hidden = ", not counting a cell that does not answer"
        return told + (hidden if in_use is not None and in_use["incomplete"] else "")

    @property
    def reasons(self) -> str:
        """Why it is not in force elsewhere."""
        told = [f"{user.place.name} on {user.place.host}: {user.missing}."
                for user in self.missing[:_NAMED]]
        more = len(self.missing) - _NAMED
        return " ".join([*told, *([f"And {more} more."] if more > 0 else [])])

    def _find(self) -> None:
        for place in reach.places(self._cloud, self._before, self._after["is_default"]):
            if place.is_running and place.host is not None:
                self._users.setdefault(place.server_id, _User(place))

    def _look(self) -> list[_User]:
        """Look at each server that is waited for; those for which that goes on."""
        waiting = [user for user in self._users.values() if not user.is_settled]
        for host in sorted({user.place.host or "" for user in waiting}):
            reports = {each["id"]: each["qos"] for each in self._cloud.qos.servers(host)}
            for user in waiting:
                if user.place.host == host:
                    self._judge(user, reports.get(user.place.server_id))
        return [user for user in waiting if not user.is_settled
                and user.place.server_id in self._users]

    def _judge(self, user: _User, qos: Mapping[str, Report] | None) -> None:
        if qos is None:
            # it has left the host
            self._follow(user)
            return
        names = list(self._concerned(qos))
        outcome = Outcome(qos, tuple(names))
        old = [name for name in names if self._is_mine(qos[name])
               and (qos[name].get("policy_revision") or 0) < self._after["revision"]]
        if outcome.pending and all(qos[name]["applied"] is None for name in outcome.pending):
            self._follow(user)
        if outcome.pending or old:
            user.refused_s = None
        else:
            user.settle(outcome)
        user.missing = words.missing(outcome)
        if old and not user.missing:
            user.missing = f"{', '.join(old)} of an older revision"

    def _follow(self, user: _User) -> None:
        """A server that runs no longer is not waited for; one that has moved is, where it is."""
        place = self._cloud.place(user.place.server_id)
        if place is None or not place.is_running or place.host is None:
            del self._users[user.place.server_id]
        else:
            user.place = place

    def _concerned(self, qos: Mapping[str, Report]) -> Iterable[str]:
        """The resources that the policy decides, and those that it did decide before."""
        before, after = self._before.policy, self._after
        is_narrower = before["is_default"] and not after["is_default"]
        left = {name for name in before["settings"]
                if is_narrower or name not in after["settings"]}
        for name, report in qos.items():
            if self._is_mine(report) or (name in left and report.get("source") != "server"):
                yield name

    def _is_mine(self, report: Report) -> bool:
        name = self._after["name"]
        return report.get("source") in (f"policy {name}", f"default policy {name}")


def _is_for_good(outcome: Outcome) -> bool:
    """Whether all that fails is what the host does not have, whatever value is requested."""
    return all(outcome.report[name]["state"] == "unsupported" for name in outcome.failed)
