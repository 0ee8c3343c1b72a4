# SPDX-License-Identifier: Apache-2.0
"""Runs a controller on the model of a host, on one of the made traces."""

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

# the two modules import each other by their bare names
sys.path.insert(0, str(Path(__file__).parent))
sim: Any = importlib.import_module("sim")
traces: Any = importlib.import_module("traces")

#: The names of the made traces.
TRACES: tuple[str, ...] = tuple(traces.ALL)


class Figures(NamedTuple):
    """What a run measured; the columns of the table."""

    #: Seconds with host swap I/O.
    hsec: float
    #: GB that guests swapped in or read again.
    gswap: float
    #: Server-seconds with more than 10 % stall.
    press: float
    #: Server-seconds below the guarantee while the server wanted more.
    viol: float
    #: GB that balloons moved.
    move: float
    #: Stall of the mean and of the worst server, percent of the time.
    mean: float
    wrst: float


class Nothing:
    """A controller that leaves all balloons empty."""

    stats_period = 10

    def start(self, host: Any) -> None:
        """Begin a run."""

    def due(self, t: int) -> bool:
        """Never."""
        return False


class Variant(NamedTuple):
    """The model with one assumption changed: factors on its numbers, or other guests and hosts."""

    name: str
    factors: Mapping[str, float] = {}
    change: Callable[[Any], None] = lambda host: None


def _without_reporting(host: Any) -> None:
    host.fpr = False


def _without_swap(host: Any) -> None:
    for guest in host.guests:
        guest.swap = 0.0


VARIANTS = (
    Variant("no free page reporting", change=_without_reporting),
    Variant("no swap in guests", change=_without_swap),
    Variant("host swap 4 x faster", {"HOST_IN": 4, "HOST_OUT": 4}),
    Variant("host swap 3 x slower", {"HOST_IN": 1 / 3, "HOST_OUT": 1 / 3}),
    Variant("guest swap 4 x faster", {"GUEST_IN": 4, "FILE_IN": 4}),
    Variant("balloons 3 x slower", dict.fromkeys(
        ("GROW", "SHRINK_FREE", "SHRINK_CACHE", "SHRINK_SWAP"), 1 / 3)),
    Variant("hot set touched each 10 s", {"TAU_HOT": 1 / 3}),
    Variant("LRU of guests errs in 35 %", {"LRU_MISS": 3.5}),
    Variant("no cache miss is a major fault", {"MMAP_SHARE": 0}),
)
AS_IT_IS = Variant("as it is")


def run(
    trace: str, controller: Any, variant: Variant = AS_IT_IS, seconds: int | None = None
) -> Figures:
    """Run a trace, or its first seconds; measuring starts after the first ``sim.WARM``."""
    host, length = traces.ALL[trace]()
    variant.change(host)
    numbers = {name: getattr(sim, name) for name in variant.factors}
    try:
        for name, factor in variant.factors.items():
            setattr(sim, name, numbers[name] * factor)
        found = sim.run(host, seconds or length, controller)
    finally:
        for name, number in numbers.items():
            setattr(sim, name, number)
    return Figures(found["hsec"], found["gswap"], found["press"], found["viol"], found["moved"],
                   found["stall"], found["worst"])
