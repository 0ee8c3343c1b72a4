# SPDX-License-Identifier: Apache-2.0
"""How long guests play, how fast, and how scarce memory is meanwhile."""

from dataclasses import dataclass

from tools.bed.balance.parts import Pace, Part, four


@dataclass(frozen=True)
class Size:
    """One size of the play: the time in which sets change, in seconds, how fast guests work, how
    long they play, and what they have beyond what they have at rest, in MiB. ``without``: parts
    that are left out."""

    unit_s: float
    pace: Pace
    play_s: float
    available_mib: float
    without: tuple[str, ...] = ()

    @property
    def parts(self) -> list[Part]:
        """What is played."""
        return [part for part in four(self.unit_s) if part.name not in self.without]


#: On this machine; less than all guests can fill, and more than their working sets need.
REDUCED = Size(8, Pace(12, 16, 1), 36, 720, ("sawtooth",))
FULL = Size(30, Pace(20, 8, 1), 150, 850)
#: In a virtual host, where a guest works by a tenth of that.
VIRTUAL_REDUCED = Size(60, Pace(240, 2, 4), 75, 250, ("sawtooth",))
VIRTUAL = Size(60, Pace(240, 2, 4), 420, 480)
