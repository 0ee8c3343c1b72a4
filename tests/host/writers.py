# SPDX-License-Identifier: Apache-2.0
"""Two guests that compete for one slow disk."""

import time

from tests.host.bench import RealBench
from tests.knobs import write
from tools.bed.domain import Shape, TestGuest
from tools.bed.processes import wait_until
from tools.bed.slowdisk import SlowDisk
from tools.bed.together import together

_BEGUN_BYTES, _BEGIN_S, _END_S = 2**20, 90, 60


class Writers:
    """Two guests on one slow disk that always have requests waiting."""

    def __init__(self, bench: RealBench, disk: SlowDisk) -> None:
        """``disk`` has a part for each."""
        self.bench = bench
        self.guests = [
            TestGuest(
                bench.libvirt, bench.images, name, Shape(memory_mib=128, disk_device=part)
            )
            for name, part in zip(("writer", "rival"), disk.parts, strict=True)
        ]

    def start(self) -> None:
        """Boot them."""
        together(lambda guest: guest.start(), self.guests)

    def remove(self) -> None:
        for guest in self.guests:
            guest.remove()

    def burn(self, duration_s: int) -> None:
        """Let both write for so long, and wait for them."""
        together(
            lambda guest: guest.run(f"burn-io {duration_s}", duration_s + _END_S), self.guests)

    def set_weights(self, *weights: int) -> None:
        for guest, weight in zip(self.guests, weights, strict=True):
            write(self.bench.host.domain(guest.uuid), "io_priority", weight)

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
