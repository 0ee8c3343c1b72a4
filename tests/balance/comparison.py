# SPDX-License-Identifier: Apache-2.0
"""Judges the same play with balancing off and on."""

from tools.bed.balance.plays import Size
from tools.bed.balance.site import Site

#: What a host reads back from its swap at least that has too little memory for all.
_SCARCE_MIB = 10


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
