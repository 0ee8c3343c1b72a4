# SPDX-License-Identifier: Apache-2.0
"""Judges the load on the API, and the ways to make a change."""

import statistics
from collections.abc import Sequence

from tools.evaluation import split
from tools.evaluation.timings import Answered, Change, Way
from tools.evaluation.verdict import Grid, Verdict

#: Ours, and nova's own that it stands beside.
PAIRS = (("get-qos", "show"), ("set-cpu-priority", "lock and unlock"))
#: A change of several servers by one request, of one server, and nova's own beside them.
MANY, ONE, NOVAS = "POST /os-qos", "set-qos", "lock and unlock"
_SAVED = 202
#: [nova_qos] rpc_timeout of the demo's cloud: then nobody waits for the host any more.
_ANSWER_S = 15
#: In which an edit of a policy is in force on every running server.
_EDIT_S = 5


def judge_load(answered: Sequence[Answered]) -> tuple[list[Verdict], list[Grid]]:
    """Ratios to nova's own actions under the same load."""
    verdicts = [_errors(answered)]
    rows, ratios = [], []
    for clients in sorted({each.clients for each in answered}):
        speeds = {}
        for operation in [name for pair in PAIRS for name in pair]:
            own = [each for each in answered
                   if (each.clients, each.operation) == (clients, operation)]
            speeds[operation] = Speed.of(own)
            rows.append([f"{clients} clients", operation, *speeds[operation].cells()])
        for ours, theirs in PAIRS:
            ratios.append([f"{clients} clients", f"{ours} / {theirs}",
                           *speeds[ours].ratios(speeds[theirs])])
    return verdicts, [
        Grid("Ratios", ("load", "ours / nova's", "throughput", "p50", "p99"), ratios),
        Grid("Figures", ("load", "operation", "requests a second", "p50", "p99"), rows)]


def judge_many(
    answered: Sequence[Answered], servers: int
) -> tuple[list[Verdict], list[Grid]]:
    """Requests that each change so many servers beside those that change one of them."""
    speeds = {name: Speed.of([each for each in answered if each.operation == name])
              for name in (MANY, ONE, NOVAS)}
    # nova answers its own actions so, too
    late = sum(each.status == _SAVED for each in answered if each.operation != NOVAS)
    changed = {MANY: servers * speeds[MANY].per_s, ONE: speeds[ONE].per_s}
    verdicts = [
        _errors(answered),
        Verdict("answers that a change is saved, and not in force yet", late, "", "", 0),
        Verdict(f"time for each server that {MANY} changes, of that of {ONE}",
                100 * changed[ONE] / changed[MANY], "%", "", 100),
        Verdict(f"99 percent of the answers to {MANY} come within",
                speeds[MANY].p99_ms / 1000, "s", "", _ANSWER_S),
    ]
    rows = [[name, *speed.cells(), f"{changed.get(name, speed.per_s):.1f}"]
            for name, speed in speeds.items()]
    heads = ("operation", "requests a second", "p50", "p99", "servers a second")
    return verdicts, [Grid("Figures", heads, rows)]


def _errors(answered: Sequence[Answered]) -> Verdict:
    refused = [each for each in answered if each.is_error]
    kinds = sorted({f"{each.operation}: {each.status}" for each in refused})
    return Verdict(f"errors in {len(answered)} requests", len(refused), "", "", 0, kinds)


class Speed:
    """Of one operation under one load."""

    def __init__(self, per_s: float, p50_ms: float, p99_ms: float) -> None:
        self.per_s, self.p50_ms, self.p99_ms = per_s, p50_ms, p99_ms

    @classmethod
    def of(cls, answered: Sequence[Answered]) -> "Speed":
        """
        :raises ValueError: there are none
        """
        rounds = {each.round for each in answered}
        span = 0.0
        for number in rounds:
            own = [each for each in answered if each.round == number]
            span += (max(each.started_s + each.seconds for each in own)
                     - min(each.started_s for each in own))
        times = [each.seconds * 1000 for each in answered]
        return cls(len(answered) / span, split.percentile(times, 0.5),
                   split.percentile(times, 0.99))

    def cells(self) -> list[str]:
        return [f"{self.per_s:.1f}", f"{self.p50_ms:.0f} ms", f"{self.p99_ms:.0f} ms"]

    def ratios(self, other: "Speed") -> list[str]:
        return [f"{self.per_s / other.per_s:.2f}", f"{self.p50_ms / other.p50_ms:.2f}",
                f"{self.p99_ms / other.p99_ms:.2f}"]


def judge_peers(changes: Sequence[Change]) -> tuple[list[Verdict], list[Grid]]:
    """Medians of the time until the host holds a change, and ratios to the bare tool."""
    rows = []
    for resource in dict.fromkeys(each.resource for each in changes):
        medians = {way: held_s(changes, resource, way) for way in Way}
        floor = medians[Way.BARE]
        rows.append([resource, *(
            f"{median * 1000:.0f} ms" + ("" if way is Way.BARE else f" ({median / floor:.1f})")
            for way, median in medians.items())])
    heads = ("resource", *(way.named for way in Way))
    return [], [Grid("Until the host holds it: median, and ratio to the bare tool", heads, rows)]


def held_s(changes: Sequence[Change], resource: str, way: Way) -> float:
    """The median of the time until the host holds a change."""
    return statistics.median(
        each.held_s for each in changes if (each.resource, each.way) == (resource, way))


def judge_policy(changes: Sequence[Change]) -> tuple[list[Verdict], list[Grid]]:
    """How long edits took to be in force on the last of the servers."""
    verdicts, rows = [], []
    for way in dict.fromkeys(each.way for each in changes):
        took = last_held_s(changes, way)
        ended = [each.ended_s for each in changes if each.way is way]
        verdicts.append(Verdict(
            f"time until an edit by {way.named} is in force on all servers: the longest of "
            f"{len(took)}", max(took), "s", "", _EDIT_S))
        rows.append([way.named, str(len(took)), *(
            f"{value:.2f} s" for value in (min(took), statistics.median(took), max(took),
                                           statistics.median(ended)))])
    heads = ("edit by", "edits", "shortest", "median", "longest", "asking took (median)")
    return verdicts, [Grid("Until the last server holds it", heads, rows)]


def last_held_s(changes: Sequence[Change], way: Way) -> list[float]:
    """Of each edit by that way, when the last server held it."""
    rounds = sorted({each.round for each in changes if each.way is way})
    return [max(each.held_s for each in changes if (each.way, each.round) == (way, number))
            for number in rounds]
