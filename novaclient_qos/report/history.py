# SPDX-License-Identifier: Apache-2.0
"""What a host's servers received in the past, asked of a Prometheus that scrapes the host's agent.

The questions use the agent's metrics alone, not our recording rules, which may not be loaded.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from novaclient_qos.report.prometheus import Curve, Sample, quoted

_UNITS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_WRITTEN = re.compile("".join(rf"(?:(\d{{1,8}}){unit})?" for unit in _UNITS), re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
#: A part of the time in which a server had work and waited for a processor, from which on it is
#: hungry, as in our alert.
HUNGRY = 0.1
#: The window of rates, as in our recording rules; over a shorter time a part of that, but not less
#: than a minute, in which there are two samples at least.
_WINDOW_S, _LEAST_S, _PARTS = 300, 60, 12
#: How many points a curve has at most.
_POINTS = 240


@dataclass(frozen=True)
class Span:
    """A time up to now: as it was written, and in seconds."""

    text: str
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """A time as Prometheus writes it: 30m, 1h, 7d, 1d12h.

        :raises ValueError: it is none, or more than a year
        """
        found = _WRITTEN.fullmatch(text.strip())
        seconds = sum(int(number or 0) * unit_s for number, unit_s in zip(
            found.groups(), _UNITS.values(), strict=True)) if found else 0
        if not 0 < seconds <= _UNITS["y"]:
            raise ValueError(f"{text!r} is no time of at most a year; write it like 30m, 1h or 7d")
        return cls(text.strip(), seconds)

    @property
    def window_s(self) -> int:
        """Over how many seconds a rate is computed at each moment."""
        return min(_WINDOW_S, max(_LEAST_S, self.seconds // _PARTS), self.seconds)

    @property
    def step_s(self) -> int:
        """How many seconds are between two points of a curve."""
        return max(self.window_s, -(-self.seconds // _POINTS))


@dataclass(frozen=True)
class Received:
    """The CPU time of one server over the time of the history; None where nobody can tell.

    ``promised_percent`` and ``received_percent`` are parts of the host's processors: what the
    server gets at least while all are busy, and what it used. ``ratio`` is received / promised;
    ``hungry_ratio`` is the same over the time in which the server was hungry, with steal above ten
    percent. ``steal_percent`` is the part of the time with work in which it waited for a processor,
    ``hungry_hours`` how long it was hungry.
    """

    promised_percent: float | None = None
    received_percent: float | None = None
    ratio: float | None = None
    hungry_ratio: float | None = None
    steal_percent: float | None = None
    hungry_hours: float | None = None


#: The percent at points of time, in seconds since 1970; None: nothing is known of that time.
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class History:
    """What a Prometheus knows of a host over a time.

    ``job`` and ``instance`` are the labels of the host there, None where it has no data of it;
    ``reason`` then says why. ``data_hours``: for how long it has data. ``memory_taken_back``: how
    often guests took memory back, ``corrections`` how often the agent put values right, by
    resource. ``received`` and ``steal``, the steal in percent over time, are by server.
    """

    prometheus: str
    over: Span
    job: str | None = None
    instance: str | None = None
    reason: str | None = None
    data_hours: float | None = None
    memory_taken_back: int | None = None
    corrections: Mapping[str, int] = field(default_factory=dict)
    received: Mapping[str, Received] = field(default_factory=dict)
    steal: Mapping[str, Points] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """All but what is told of single servers, for programs."""
        return {name: value for name, value in asdict(self).items()
                if name not in ("received", "steal")}


class Source(Protocol):
    """The part of a ``Prometheus`` that is used."""

    url: str

    def now(self, query: str) -> list[Sample]:
        """See ``Prometheus.now``."""

    def over(self, query: str, begin_s: float, end_s: float, step_s: float) -> list[Curve]:
        """See ``Prometheus.over``."""


def ask(
    source: Source, server_ids: Iterable[str], span: Span, with_curves: bool = False
) -> History:
    """The history of the host that these servers are on.

    The host is found by the ids of its servers, since Prometheus may know it by any name.

    :param with_curves: also ask for the steal over time
    :raises QosError: Prometheus does not answer
    """
    ids = sorted({each for each in server_ids if _UUID.fullmatch(each)})
    if not ids:
        return History(source.url, span, reason="the host has no servers to find it by")
    found = _instance(source, ids, span)
    if found is None:
        return History(source.url, span, reason=(
            f"Prometheus has no data of the last {span.text} about the servers of this host"))
    job, instance, now_s = found
    asked = _Questions(f"{{job={quoted(job)},instance={quoted(instance)}}}", span)
    hosts = source.now(asked.data)
    return History(
        source.url, span, job, instance,
        data_hours=_hours(hosts[0].value, span) if hosts else None,
        memory_taken_back=_count(source.now(asked.retaken)),
        corrections=_corrections(source.now(asked.corrections)),
        received=_received(source, asked, ids, span),
        steal=_steal(source, asked, ids, now_s) if with_curves else {})


class _Questions:
    """The queries about one host; ``host`` selects its series."""

    def __init__(self, host: str, span: Span) -> None:
        self._host, self.span = host, span
        window = f"{span.window_s}s"
        #: Turns what a query finds at a moment into its course.
        self._course = f"[{span.seconds}s:{window}]"
        self._whole = f"[{span.seconds}s]"
        self._cpus = f"max(nova_qos_host_cpus{host})"
        received = (f"{self._of('rate', 'vcpu_seconds_total', window)}"
                    f" / on () group_left () {self._cpus}")
        promised = self._promised()
        is_hungry = f"{self.steal(window)} > {HUNGRY}"
        self.data = f"count_over_time({self._cpus}{self._course})"
        self.retaken = f"sum(increase(nova_qos_memory_retaken_total{host}{self._whole}))"
        self.corrections = (
            f"sum by (resource) (increase(nova_qos_corrections_total{host}{self._whole}))")
        self.received = f"avg_over_time(({received}){self._course})"
        self.promised = f"avg_over_time(({promised}){self._course})"
        self.steal_whole = self.steal(f"{span.seconds}s")
        self.hungry = f"count_over_time(({is_hungry}){self._course})"
        self.hungry_ratio = (f"avg_over_time((({received}) / on (server_id) ({promised})"
                             f" and on (server_id) {is_hungry}){self._course})")

    def steal(self, window: str) -> str:
        """The part of the time with work in which servers waited for a processor. An idle one has
        no such time, and no series."""
        waited = self._of("increase", "vcpu_delay_seconds_total", window)
        worked = self._of("increase", "vcpu_seconds_total", window)
        return f"({waited} / ({waited} + {worked} > 0))"

    def _of(self, function: str, metric: str, window: str) -> str:
        return (f"sum by (server_id) ({function}(nova_qos_server_{metric}{self._host}"
                f"[{window}]))")

    def _promised(self) -> str:
        """The share, or the CPU limit where that is less."""
        share = self._host.replace("{", '{resource="cpu_priority",', 1)
        share = f"max by (server_id) (nova_qos_server_share_ratio{share})"
        limit = f"max by (server_id) (nova_qos_server_cpu_limit_applied_ratio{self._host})"
        return (f"(({limit} / on () group_left () {self._cpus}) < on (server_id) {share})"
                f" or on (server_id) {share}")


def _instance(source: Source, ids: Sequence[str], span: Span) -> tuple[str, str, float] | None:
    """Job and instance that most of the servers are at, and the time there; those of now go before
    those of the past, when servers may have been elsewhere."""
    chosen = f"nova_qos_server_info{{server_id=~{quoted('|'.join(ids))}}}"
    for series in (chosen, f"last_over_time({chosen}[{span.seconds}s])"):
        found = [each for each in source.now(f"count by (job, instance) ({series})")
                 if each.value and "instance" in each.labels]
        if found:
            best = min(found, key=lambda each: (
                -(each.value or 0), each.labels.get("job", ""), each.labels["instance"]))
            return best.labels.get("job", ""), best.labels["instance"], best.at_s
    return None


def _received(
    source: Source, asked: _Questions, ids: Sequence[str], span: Span
) -> dict[str, Received]:
    promised, received = (_by_server(source.now(query))
                          for query in (asked.promised, asked.received))
    steal, hungry, ratios = (_by_server(source.now(query)) for query in (
        asked.steal_whole, asked.hungry, asked.hungry_ratio))
    return {each: Received(
        _percent(promised.get(each)), _percent(received.get(each)),
        _ratio(received.get(each), promised.get(each)), _rounded(ratios.get(each)),
        _percent(steal.get(each)),
        _hours(hungry.get(each, 0.0), span) if each in received else None,
    ) for each in ids if each in received or each in promised}


def _steal(
    source: Source, asked: _Questions, ids: Sequence[str], now_s: float
) -> dict[str, Points]:
    span = asked.span
    curves = source.over(asked.steal(f"{span.step_s}s"), now_s - span.seconds, now_s, span.step_s)
    found = {each.labels.get("server_id"): each.points for each in curves}
    return {each: [(at_s, _percent(value)) for at_s, value in _with_gaps(found[each], span.step_s)]
            for each in ids if each in found}


def _with_gaps(points: Points, step_s: float) -> Iterator[tuple[float, float | None]]:
    """The points, with one without a value where Prometheus has left some out."""
    before_s: float | None = None
    for at_s, value in points:
        if before_s is not None and at_s - before_s > 1.5 * step_s:
            yield before_s + step_s, None
        yield at_s, value
        before_s = at_s


def _by_server(samples: Iterable[Sample]) -> dict[str, float | None]:
    return {each.labels.get("server_id", ""): each.value for each in samples}


def _corrections(samples: Iterable[Sample]) -> dict[str, int]:
    return {each.labels.get("resource", ""): count for each in samples
            if (count := _count([each]))}


def _count(samples: Sequence[Sample]) -> int | None:
    # between two samples Prometheus extrapolates
    values = [each.value for each in samples if each.value is not None]
    return round(sum(values)) if values else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else _rounded(part / whole)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _hours(windows: float | None, span: Span) -> float | None:
    """So many windows, in hours: no more than there are in the time."""
    return None if windows is None else round(
        min(windows * span.window_s, span.seconds) / 3600, 3)
