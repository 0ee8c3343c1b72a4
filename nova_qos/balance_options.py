# SPDX-License-Identifier: Apache-2.0
"""The options of balancing, in the section nova_qos_balance of nova.conf."""

from oslo_config import cfg

from nova_qos.agent.balance.thresholds import Thresholds

GROUP = cfg.OptGroup("nova_qos_balance", title="Balancing of servers' memory")
_MODES = [
    cfg.StrOpt(
        "mode",
        default="off",
        choices=[
            ("off", "servers have the memory that was requested, or their flavor's"),
            ("report", "plan, and tell the plan in metrics and in the report of the host; no "
                       "balloon is touched"),
            ("on", "while the host is short of memory, balloons take memory from guests that do "
                   "not use it, and give it to those that need it"),
        ],
        help="Whether the agent balances the memory of its host among the servers there. A "
        "server's own setting or policy of memory is the most that it gets, its memory_guarantee "
        "is kept, and its memory_priority is its weight. Turning it off gives servers back what "
        "was requested with the agent's next check: on a host that is short of memory, that makes "
        "the host swap.",
    ),
    cfg.StrOpt(
        "ksm",
        default="leave",
        choices=[
            ("leave", "do not touch it"),
            ("adaptive", "merge while the host is tense, for as long as that gains memory; hands "
                         "off while another program drives it"),
        ],
        help="What balancing does with kernel samepage merging (KSM), which keeps one copy of "
        "equal pages of all guests. It takes CPU time, and servers of different projects may learn "
        "from it what others have in memory. It needs the right to write /sys/kernel/mm/ksm; see "
        "nova-qos-agent-ksm.conf.",
    ),
    cfg.IntOpt(
        "memory_mib",
        default=0,
        min=0,
        help="MiB that all servers of the host may use together: balancing keeps them within that "
        "as if the host had no more. 0 = all of the host's memory. Smaller leaves more to the host "
        "and to other programs there.",
    ),
]

#: By threshold: the least, the most, and what it is and does.
_WORDS: dict[str, tuple[float, float, str]] = {
    "calm_look_s": (1, 300, "Seconds between two looks at the guests while the host is calm. "
                    "Larger costs less CPU time."),
    "tense_look_s": (1, 60, "Seconds between two looks at the guests while the host is tense. "
                     "Larger costs less CPU time, and lets guests and host swap that grow fast."),
    "tense_report_s": (1, 60, "Seconds between two reports of each guest's balloon driver while "
                       "the host is tense; while it is calm, they come as nova asks for them. "
                       "Larger makes the plan later than what guests do."),
    "tense_below_percent": (1, 90, "Percent of the host's memory: when less is available, the host "
                            "is tense, and balancing begins. Larger begins earlier."),
    "tense_pressure_percent": (0.1, 100, "Percent of the last ten seconds in which some task of "
                               "the host waited for memory (PSI), from which on the host is tense. "
                               "It is a late sign; smaller begins earlier."),
    "calm_above_percent": (1, 95, "Percent of the host's memory: a tense host is calm again when "
                           "more than this has been available for calm_after_s, and all servers "
                           "have what they may have. Must be larger than tense_below_percent; "
                           "larger stays tense for longer."),
    "calm_after_s": (1, 86400, "Seconds for which a tense host must have no sign of it before it "
                     "is calm. Larger stays tense for longer."),
    "watch_gap_s": (2, 600, "Seconds: after such a gap, in which the agent did not run, the host "
                    "does not count as having been calm meanwhile."),
    "reserve_percent": (0, 50, "Percent of the host's memory that plans leave free, since balloons "
                        "need time. Larger keeps the host from swapping when guests grow fast, and "
                        "gives servers less."),
    "least_free_percent": (0, 50, "Percent of the host's memory that must be available beyond what "
                           "a guest gets at once; with less, and nobody who can give any, the "
                           "host is short. Larger makes guests wait for memory."),
    "floor_percent": (0, 50, "Percent of its flavor's memory that a guest keeps whatever happens; "
                      "see floor_mib. Larger is safer for guests, smaller frees more."),
    "floor_mib": (16, 65536, "MiB that a guest keeps whatever happens, where that is more than "
                  "floor_percent. Larger is safer for guests, smaller frees more."),
    "bare_percent": (0, 50, "Percent of its flavor's memory that a guest needs beyond what it "
                     "uses: with less, its kernel swaps. Larger is safer for guests, smaller frees "
                     "more."),
    "cushion_percent": (0, 50, "Percent of its flavor's memory that a guest should have beyond "
                        "what it uses, to grow at once; the largest of this, cushion_mib and "
                        "cushion_growth_s counts. Larger lets guests grow undisturbed, smaller "
                        "frees more."),
    "cushion_mib": (0, 65536, "MiB that a guest should have beyond what it uses, at least; see "
                    "cushion_percent."),
    "cushion_growth_s": (0, 300, "Seconds of its own growth that a guest should have beyond what "
                         "it uses; see cushion_percent. Larger lets fast guests grow undisturbed."),
    "growth_half_life_s": (1, 3600, "Seconds after which a growth that was seen counts half. "
                           "Larger remembers fast guests for longer."),
    "distress_mib_s": (0.01, 1000, "MiB a second that a guest swaps in or faults in, from which on "
                       "it is in distress, and gets more. Smaller helps earlier, and more often "
                       "without need."),
    "distress_step_percent": (0, 50, "Percent of its flavor's memory that a guest in distress gets "
                              "beyond what it has, more with each report. Larger helps faster."),
    "distress_most_percent": (0, 100, "Percent of its flavor's memory: the most that distress "
                              "alone asks for at once."),
    "hold_s": (0, 3600, "Seconds for which a guest keeps what it took back from its balloon; each "
               "time that it does so again, twice as long. Larger disturbs such guests less."),
    "hold_most_s": (0, 86400, "Seconds: the longest time for which it keeps that."),
    "stuck_looks": (1, 100, "Looks in a row in which a balloon does not come nearer to its size, "
                    "until other guests have to give in its place."),
    "stale_periods": (1, 100, "Periods of its reports: a guest whose last report is older counts "
                      "by what the host sees of it alone. Larger believes old reports for longer."),
    "probe_percent": (0, 50, "Percent of its flavor's memory that is tried to take at each look "
                      "from a guest that is full and shows no lack, such as one with a cache of "
                      "its own (ZFS), while others lack memory. 0 never tries; larger is faster, "
                      "and harder on such guests."),
    "probe_watch_s": (1, 86400, "Seconds after it gave memory for which a guest's reads from disk "
                      "are compared with those before."),
    "missed_factor": (1, 100, "How many times as much as before a guest has to read from its "
                      "disks, and missed_mib_s more, to count as missing its cache. Smaller stops "
                      "sooner to take from it."),
    "missed_mib_s": (0, 100000, "MiB a second; see missed_factor."),
    "lend_percent": (0, 100, "Percent: how much of the part of a guarantee that its server does "
                     "not use is lent to others, times (1 - guarantee / flavor). Nothing is lent "
                     "of a guarantee of the whole flavor. 0 lends nothing; larger gives others "
                     "more, and an owner that wakes waits for longer."),
    "shrink_percent": (0.1, 100, "Percent of its flavor's memory that a guest gives at most at a "
                       "look. Larger frees faster, and makes guests swap whose report is old."),
    "unasked_percent": (0.1, 100, "Percent of its flavor's memory that a guest which does not need "
                        "more gets back at most at a look. Larger gives back faster, and has it to "
                        "take again."),
    "band_percent": (0, 50, "Percent of its flavor's memory: smaller changes are not made while "
                     "nobody lacks memory; see band_mib. Larger moves balloons less often."),
    "band_mib": (0, 65536, "MiB: smaller changes are not made while nobody lacks memory; the "
                 "larger of this and band_percent counts."),
    "exact_mib": (1, 1024, "MiB: differences up to this count for none."),
    "ksm_measure_s": (10, 86400, "Seconds over which it is measured what KSM gains. Larger lets it "
                      "run for longer before it is stopped."),
    "ksm_gain_percent": (0, 100, "Percent of the host's memory that KSM has to gain in "
                         "ksm_measure_s, or it is stopped; what is merged stays merged. Larger "
                         "stops it sooner."),
    "ksm_retry_s": (10, 864000, "Seconds after which KSM is tried again on a tense host. Smaller "
                    "costs more CPU time."),
    "ksm_cpu_percent": (1, 100, "Percent of one CPU that KSM may use at most, where the kernel "
                        "itself chooses its speed (Linux 6.8 and later). Larger merges faster."),
    "ksm_pages": (1, 1_000_000, "Pages that KSM scans between two pauses of ksm_sleep_ms, where "
                  "the kernel does not choose its speed itself. Larger merges faster, and costs "
                  "more CPU time."),
    "ksm_sleep_ms": (1, 60000, "Milliseconds between two scans of ksm_pages."),
}


def _option(name: str, default: float, least: float, most: float, words: str) -> cfg.Opt:
    if isinstance(default, int):
        return cfg.IntOpt(name, default=default, min=int(least), max=int(most), help=words)
    return cfg.FloatOpt(name, default=default, min=least, max=most, help=words)


_DEFAULTS = Thresholds()
OPTIONS = [*_MODES, *(_option(name, getattr(_DEFAULTS, name), *words)
                      for name, words in _WORDS.items())]


def thresholds_of(options: cfg.ConfigOpts, calm_report_s: int) -> Thresholds:
    """The thresholds as nova.conf has them.

    :param calm_report_s: how often nova has guests report; 0 = never
    """
    mine = options.nova_qos_balance
    return Thresholds(
        calm_report_s=max(1, calm_report_s), **{name: mine[name] for name in _WORDS})
