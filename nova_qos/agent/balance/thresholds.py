# SPDX-License-Identifier: Apache-2.0
"""The numbers of the balancing rule.

Those without another source were chosen on the simulator's made traces; the page *Balancing* for
contributors has the measurements.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Every number of the rule. Percentages of a host are of its memory, those of a guest of its
    flavor's memory."""

    # --- when the planner looks, and what it wants guests to report
    #: Seconds between looks at the guests while the host is calm.
    calm_look_s: float = 10.0
    #: The same while it is tense. A job allocates hundreds of MiB/s: with looks and reports each
    #: 10 s, the host swapped for 673 s where it does not swap at all with 2 s.
    tense_look_s: float = 2.0
    #: Seconds between the reports of a guest while the host is calm: nova's own
    #: ``[libvirt] mem_stats_period_seconds``.
    calm_report_s: int = 10
    #: The same while it is tense.
    tense_report_s: int = 2

    # --- states of the host
    #: Tense where less than this percentage of the host is available: 5 to 20 work alike.
    tense_below_percent: float = 15.0
    #: Tense from this memory pressure on (PSI, some avg10, percent of the time): a late sign.
    #: Never 0, which a host does not get back to.
    tense_pressure_percent: float = 1.0
    #: Calm again only where more than this percentage is available ...
    calm_above_percent: float = 25.0
    #: ... for so many seconds, with all balloons empty.
    calm_after_s: float = 300.0
    #: The host is watched each second; after a gap of so many seconds, nobody knows whether it was
    #: calm meanwhile.
    watch_gap_s: float = 10.0

    # --- the room
    #: Percentage of the host that targets leave free. Balloons take time to follow, and a host that
    #: has nothing left meanwhile swaps (VSwapper, ASPLOS 2014). With 2 %, servers that lack memory
    #: stall more (platinum 33.5 instead of 32.7 %); the made traces swap with neither.
    reserve_percent: float = 1.75
    #: Balloons are deflated only into memory that is available above this percentage; below, with
    #: no guest that has some to spare, the host is short.
    least_free_percent: float = 1.0

    # --- what a guest needs
    #: A guest always keeps this percentage, and at least so many MiB: its kernel's own memory.
    floor_percent: float = 4.0
    floor_mib: float = 128.0
    #: Bare need: what the guest uses and this percentage. Linux starts to reclaim below that.
    bare_percent: float = 3.0
    #: Its cushion: the largest of this percentage, ...
    cushion_percent: float = 6.0
    #: ... so many MiB, ...
    cushion_mib: float = 128.0
    #: ... and what it grows in so many seconds: a few looks and the time that its balloon needs.
    cushion_growth_s: float = 8.0
    #: The growth that was seen counts half after so many seconds.
    growth_half_life_s: float = 15.0

    # --- distress: a guest that uses its own swap
    #: MiB/s swapped in, or faulted in, that are distress; a healthy guest has almost none (Google
    #: keeps promotions below 0.2 % of the working set a minute).
    distress_mib_s: float = 0.5
    #: What a guest in distress gets more than it has, in percent; as much more with each report ...
    distress_step_percent: float = 5.0
    #: ... up to this.
    distress_most_percent: float = 40.0

    # --- guests that took memory back, and balloons that do not follow
    #: A guest that deflated its balloon by itself keeps that memory for so many seconds, and for
    #: twice as long each time that it does so again, ...
    hold_s: float = 60.0
    #: ... up to this; "Out of puff!" at 10 Hz for hours was cured elsewhere by the same means.
    hold_most_s: float = 1920.0
    #: A balloon that does not come closer to its target in so many looks is stuck.
    stuck_looks: int = 3
    #: Statistics are stale when so many periods and a second have passed since they were made.
    stale_periods: float = 3.0

    # --- probing guests that are full but content, such as ZFS with its ARC
    #: What is tried with a guest that shows no lack, while others lack memory, in percent a look.
    probe_percent: float = 2.0
    #: For so many seconds after a balloon was inflated, disk reads are compared with those before:
    probe_watch_s: float = 300.0
    #: a cache is missed where they are more than this factor of those before ...
    missed_factor: float = 1.3
    #: ... and so many MiB/s.
    missed_mib_s: float = 2.0

    # --- lending
    #: How much of the idle part of a guarantee is lent, in percent of (1 - guarantee / flavor):
    #: nothing of a guarantee of the whole flavor. With 25 % more, guarantees are broken in guests
    #: without swap.
    lend_percent: float = 100.0

    # --- speed of changes
    #: The most that a balloon is inflated a look, in percent: 8 GiB shrink by 160 MiB/s, which
    #: drivers reach from free memory and caches (512 MiB in less than 3 s were measured).
    shrink_percent: float = 4.0
    #: The most that it is deflated a look where the guest does not need that.
    unasked_percent: float = 2.0
    #: Changes below this percentage, or below so many MiB, are left alone unless a guest lacks
    #: memory or the host has less than ``least_free_percent`` available. Test it on the whole
    #: difference, never on the step of one look: with steps as small as the band, nothing moves.
    band_percent: float = 2.0
    band_mib: float = 64.0
    #: Balloons are exact to so many MiB: smaller differences count for none.
    exact_mib: float = 8.0

    # --- kernel samepage merging (KSM)
    #: Seconds over which its gain is measured.
    ksm_measure_s: float = 60.0
    #: It is stopped where it gained less than this percentage of the host in that time ...
    ksm_gain_percent: float = 0.05
    #: ... and tried again after so many seconds.
    ksm_retry_s: float = 600.0
    #: The most CPU time that the kernel's advisor (Linux 6.8) may let it use, percent of one CPU.
    ksm_cpu_percent: int = 20
    #: Without an advisor: pages to scan, then milliseconds to sleep. Close to the same CPU time.
    ksm_pages: int = 1300
    ksm_sleep_ms: int = 20
