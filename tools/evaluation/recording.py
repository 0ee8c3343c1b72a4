# SPDX-License-Identifier: Apache-2.0
"""Looking at something again and again while an experiment runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.bed.errors import TestbedError
from tools.evaluation import records
from tools.evaluation.asking import Asked
from tools.evaluation.records import Exchange, Phase, Record, Table

Look = Callable[[], Mapping[str, float]]


class _Sampler:
    """Keeps what a look sees, with the middle of the time that it took."""

    def __init__(self, look: Look, every_s: float) -> None:
        self.times: list[float] = []
        self.seen: list[Mapping[str, float]] = []
        self._look, self._every_s = look, every_s
        self._over = threading.Event()
        pool = ThreadPoolExecutor(1)
        self._looking = pool.submit(self._run)
        pool.shutdown(wait=False)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            began = time.monotonic()
            seen = self._look()
            self.times.append((began + time.monotonic()) / 2)
            self.seen.append(seen)
            # who is late does not make up for it
            due = max(due + self._every_s, time.monotonic())
            self._over.wait(due - time.monotonic())

    def stop(self) -> None:
        """
        :raises TestbedError: a look failed
        """
        self._over.set()
        failure = self._looking.exception()
        if failure:
            raise TestbedError(f"looking has failed: {failure}") from failure


class Recording:
    """An experiment that is under way; its time is 0 when this is made."""

    def __init__(self, directory: Path) -> None:
        self.record = Record()
        self._directory = directory
        self._began = time.monotonic()

    def now_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def sampling(self, name: str, look: Look, every_s: float) -> Iterator[None]:
        """Look every so many seconds, into the table of that name. Every look sees the same
        columns.

        :raises TestbedError: a look failed
        """
        sampler = _Sampler(look, every_s)
        try:
            yield
        finally:
            sampler.stop()
            columns = sampler.seen[0] if sampler.seen else {}
            self.record.tables[name] = Table(
                [moment - self._began for moment in sampler.times],
                {column: [seen[column] for seen in sampler.seen] for column in columns})

    def note(self, asked: Asked) -> Exchange:
        """Keep a command."""
        exchange = Exchange(asked.words, *(
            moment - self._began
            for moment in (asked.typed, asked.sent, asked.answered, asked.ended)))
        self.record.exchanges.append(exchange)
        return exchange

    def hold(
        self, name: str, seconds: float, due: Mapping[str, float],
        exchanges: Sequence[Exchange] = (),
    ) -> Phase:
        """Wait for so long, in which this is due after these commands, or from now on."""
        print(f"  {name}: {seconds:g} s", flush=True)
        began = self.now_s()
        typed = min((each.typed_s for each in exchanges), default=began)
        asked = max((each.sent_s for each in exchanges), default=began)
        time.sleep(seconds)
        phase = Phase(name, typed, asked, self.now_s(), dict(due))
        self.record.phases.append(phase)
        return phase

    def save(self) -> Record:
        """Write it all to its directory."""
        records.save(self.record, self._directory)
        return self.record
