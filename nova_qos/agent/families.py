# SPDX-License-Identifier: Apache-2.0
"""What one scrape is made of: samples by metric, and how each collector fared."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from oslo_log import log
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from nova_qos.core import errors
from nova_qos.core.metric import PREFIX, Metric
from nova_qos.host import Figures

LOG = log.getLogger(__name__)
Family = CounterMetricFamily | GaugeMetricFamily


@dataclass
class Families:
    """Samples by metric; of those metrics alone that are wanted."""

    wanted: Mapping[str, Metric]
    _all: dict[str, Family] = field(default_factory=dict)

    def add(self, name: str, labels: Iterable[str], number: float) -> None:
        """Add a sample; the name is without ``PREFIX``."""
        found = self.wanted.get(name)
        if found is None:
            return
        if name not in self._all:
            self._all[name] = _empty(found)
        self._all[name].add_metric(list(labels), number)

    def add_all(self, figures: Figures, *labels: str) -> None:
        """Add what a host counts, each with these labels before its own."""
        for name, numbers in figures.items():
            for further, number in numbers.items():
                self.add(name, (*labels, *further), number)

    def empty(self) -> Iterator[Family]:
        """Every family that is wanted, without samples."""
        return map(_empty, self.wanted.values())

    def __iter__(self) -> Iterator[Family]:
        return iter(self._all.values())


def _empty(metric: Metric) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(PREFIX + metric.name, metric.help, labels=metric.all_labels)


@dataclass
class Took:
    """How a collector fared: for how many seconds it worked, and why it could not read all, None
    where it could."""

    seconds: float = 0.0
    why_not: str | None = None

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time inside. An error of ours or of a file ends what is done there, and is a
        failure unless the server has ended meanwhile."""
        began_s = time.monotonic()
        try:
            yield
        except (errors.ServerNotRunning, errors.ServerGone):
            pass
        except (errors.QosError, OSError) as error:
            LOG.debug("A part of the metrics is missing: %s", error)
            self.why_not = self.why_not or str(error)
        finally:
            self.seconds += time.monotonic() - began_s
