# SPDX-License-Identifier: Apache-2.0
"""How long guests play, how fast, and how scarce memory is meanwhile."""

from dataclasses import dataclass

from tests.balance.parts import Pace, Part, four
from tests.balance.site import Site

#: What a host reads back from its swap at least that has too little memory for all.
_SCARCE_MIB = 10


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


def compared(site: Site, size: Size) -> None:
    """Play with balancing off and on, print the figures, and judge them."""
    for mode in ("off", "on"):
        pids = site.host.qemu_pids()
        site.play(mode, size.play_s, size.available_mib)
        assert site.host.qemu_pids() == pids, f"{mode}: the kernel has ended a guest"
    site.show()
    off, on = site.played["off"], site.played["on"]
    assert off.host_in_mib > _SCARCE_MIB, "memory was not scarce"
    assert on.host_in_mib < off.host_in_mib / 3
    assert sum(on.oom_kills.values()) <= sum(off.oom_kills.values())
    assert not site.crossings("on")
    # balloons moved, and only then
    assert len({sample.actual_mib for sample in on.samples}) > len(site.host.parts)
    assert {sample.actual_mib for sample in off.samples} == {
        part.memory_mib for part in site.host.parts}
