# SPDX-License-Identifier: Apache-2.0
"""Two guests that compete for one slow disk."""

import time
from collections.abc import Callable
from concurrent import futures

from testbed.domain import TestGuest
from testbed.processes import wait_until
from testbed.slowdisk import SlowDisk
from tests.host.bench import RealBench

_BEGUN_BYTES, _BEGIN_S, _END_S = 2**20, 60, 60


class Writers:
    """Two guests on one slow disk that always have requests waiting."""

    def __init__(self, bench: RealBench, disk: SlowDisk, programs: int = 8) -> None:
        """``programs`` write in each guest at the same time."""
        self.bench = bench
        self._programs = programs
        self.guests = [
            TestGuest(
                bench.libvirt, bench.images, name, memory_mib=128, disk_directory=disk.mounted
            )
            for name in ("writer", "rival")
        ]

    def start(self, warm_s: int = 5) -> None:
        """Boot them, and write until all that they write to is allocated."""
        self._both(lambda guest: guest.start())
        self.burn(warm_s)

    def remove(self) -> None:
        for guest in self.guests:
            guest.remove()

    def burn(self, duration_s: int) -> None:
        self._both(lambda guest: guest.run(
            f"burn-io {duration_s} {self._programs}", duration_s + _END_S))

    def _both(self, act: Callable[[TestGuest], object]) -> None:
        with futures.ThreadPoolExecutor(len(self.guests)) as threads:
            list(threads.map(act, self.guests))

    def set_weights(self, *weights: int) -> None:
        for guest, weight in zip(self.guests, weights, strict=True):
            self.bench.host.domain(guest.uuid).write_io_weight(weight)

    def await_both(self) -> None:
        """Wait until each writes; some need long to begin."""
        before = self._bytes_written()

        def both_write() -> bool:
            return all(now - was > _BEGUN_BYTES
                       for now, was in zip(self._bytes_written(), before, strict=True))

        assert wait_until(both_write, _BEGIN_S), "one of them writes nothing"

    def ratio(self, duration_s: float) -> float:
        """How many times the second's bytes the first writes, as virsh counts them."""
        before = self._bytes_written()
        time.sleep(duration_s)
        after = self._bytes_written()
        return (after[0] - before[0]) / (after[1] - before[1])

    def _bytes_written(self) -> list[int]:
        counts = [
            self.bench.libvirt.virsh("domblkstat", guest.name, "vda").split()
            for guest in self.guests
        ]
        return [int(words[words.index("wr_bytes") + 1]) for words in counts]
