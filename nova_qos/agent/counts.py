# SPDX-License-Identifier: Apache-2.0
"""What the agent counts of its own work."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from nova_qos.core import errors
from nova_qos.host import Figures
from nova_qos.resources import TABLE

Result = Literal["applied", "pending", "failed"]
RESULTS: tuple[Result, ...] = ("applied", "pending", "failed")


class Counts:
    """Since the agent's start; used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # from 0 on, so that the first one is seen to be one more
        self._corrections = Counter({name: 0 for name, row in TABLE.items() if row.knob})
        self._retaken = 0
        self._sets: Counter[tuple[str, Result]] = Counter(
            {(name, result): 0 for name in TABLE for result in RESULTS})

    def corrected(self, name: str) -> None:
        """A value of a resource that another program had changed was put right."""
        with self._lock:
            self._corrections[name] += 1

    def retaken(self) -> None:
        """A guest took back the memory that it had given."""
        with self._lock:
            self._retaken += 1

    def set(self, name: str, result: Result) -> None:
        """A setting was requested, and this has become of it."""
        with self._lock:
            self._sets[name, result] += 1

    def failed(self, names: Iterable[str], error: errors.QosError) -> None:
        """Settings have failed; those that a guest or a lock keeps waiting do not."""
        if not isinstance(error, errors.TooEarly | errors.Unreachable):
            for name in names:
                self.set(name, "failed")

    @contextmanager
    def counting(self, names: Iterable[str]) -> Iterator[None]:
        """Count settings that fail inside."""
        try:
            yield
        except errors.QosError as error:
            self.failed(names, error)
            raise

    def figures(self) -> Figures:
        """All of it, as metrics."""
        with self._lock:
            return {
                "corrections_total": {(name,): number
                                      for name, number in self._corrections.items()},
                "memory_retaken_total": {(): self._retaken},
                "sets_total": {(name, result): number
                               for (name, result), number in self._sets.items()}}
