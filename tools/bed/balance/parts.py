# SPDX-License-Identifier: Apache-2.0
"""What guests play: working sets that move, and files that are read."""

from collections.abc import Sequence
from dataclasses import dataclass

#: Of each guest's flavor, and of the one with a guarantee, in MiB.
MEMORY_MIB, GUARANTEE_MIB = 384, 288
#: What all guests have alike of their working sets.
_COMMON_MIB = 8
#: Ends what a guest plays.
END = "kill $(cat /tmp/reader); killall -q work-memory dd"


@dataclass(frozen=True)
class Pace:
    """How fast guests work: in how many seconds once through the working set, how much of a file
    they read at a time, and how long they wait then."""

    each_s: float
    read_mib: int
    pause_s: float


@dataclass(frozen=True)
class Part:
    """What one guest plays: its memory, its guarantee (0 = none), and how large its working set is
    for how long, again and again; MiB and seconds."""

    name: str
    memory_mib: int
    steps: Sequence[tuple[int, float]]
    guarantee_mib: int = 0

    def command(self, pace: Pace) -> str:
        """Plays it in the guest: the working set, and files that are read again and again."""
        words = " ".join(f"{size} {for_s:g}" for size, for_s in self.steps)
        # the disk that it swaps to has as much as its memory
        reading = (f"at=0; while :; do dd if=/dev/vdb of=/dev/null bs=1M count={pace.read_mib} "
                   f"skip=$at; at=$(((at + {pace.read_mib}) % {self.memory_mib})); "
                   f"sleep {pace.pause_s:g}; done")
        return (f"{END}; rm -f /tmp/worked; "
                f"work-memory {pace.each_s:g} {_COMMON_MIB} {words} >/dev/null 2>&1 & "
                f"({reading}) >/dev/null 2>&1 & echo $! > /tmp/reader")

    def size_mib(self, at_s: float) -> int:
        """How large its working set is then."""
        at_s %= sum(for_s for _, for_s in self.steps)
        for size, for_s in self.steps:
            if at_s < for_s:
                return size
            at_s -= for_s
        return self.steps[-1][0]


def four(unit_s: float) -> list[Part]:
    """Those of the model's hosts, and one with a guarantee that it needs later than the others."""
    return [
        Part("burster", MEMORY_MIB, [(32, unit_s), (260, 4 * unit_s)]),
        Part("herd", MEMORY_MIB, [(180, 3 * unit_s), (220, unit_s)]),
        Part("sawtooth", MEMORY_MIB, [(size, unit_s) for size in (60, 120, 180, 240)]),
        Part("guaranteed", MEMORY_MIB, [(40, unit_s), (220, 4 * unit_s)], GUARANTEE_MIB),
    ]
