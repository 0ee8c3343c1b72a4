# SPDX-License-Identifier: Apache-2.0
"""What the planner reads of a guest, and what it remembers of it."""

from dataclasses import dataclass

from nova_qos.agent.balance.thresholds import Thresholds

_NEVER_S = float("-inf")


@dataclass(frozen=True)
class GuestNow:
    """What the host knows of a guest, and what the guest's balloon driver last reported.

    ``actual_mib`` is the balloon's size, ``target_mib`` what the balancer last told it; where it
    has told nothing yet, and after a restart, ``actual_mib``. ``most_mib`` is what its user or its
    policy allows, at most the flavor's memory. ``guarantee_mib`` is 0 for none. ``resident_mib`` is
    what the host holds of its QEMU: the guest's memory, and what QEMU has for itself.

    ``usable_mib``, ``caches_mib`` and ``reported_actual_mib``, the balloon's size at that time, are
    of its report of ``reported_s``. Those, and the counters ``swapped_in_mib``, ``faulted_mib`` and
    ``read_mib`` since its start, come from the guest: they may be wrong, or begin again with 0.
    """

    actual_mib: float
    target_mib: float
    most_mib: float
    flavor_mib: float
    guarantee_mib: float
    weight: float
    resident_mib: float
    usable_mib: float
    caches_mib: float
    reported_actual_mib: float
    swapped_in_mib: float
    faulted_mib: float
    read_mib: float
    reported_s: float


class History:
    """What is remembered of one guest from look to look."""

    __slots__ = (
        "_actual_mib", "_excess_mib", "_faulted_mib", "_hold_length_s", "_looked_s", "_numbers",
        "_read_mib", "_reported_s", "_resident_mib", "_still_looks", "_still_since_s",
        "_swapped_in_mib", "_usual_read_mib_s", "_void_target_mib", "caches_mib",
        "distress_percent", "distressed_s", "growth_mib_s", "held_until_s", "is_stale", "missed_s",
        "qemu_mib", "resident_growth_mib_s", "shrunk_s", "usable_mib", "used_mib")

    def __init__(self, now_s: float, guest: GuestNow, thresholds: Thresholds) -> None:
        self._numbers = thresholds
        #: Of the guest's last report, made plausible.
        self.used_mib, self.usable_mib, self.caches_mib = _reported(guest)
        #: How fast what it uses grows, and what the host holds of it.
        self.growth_mib_s = self.resident_growth_mib_s = 0.0
        #: When it was last in distress, missed its cache, was made smaller; until when it keeps
        #: what it took back.
        self.distressed_s = self.missed_s = self.shrunk_s = self.held_until_s = _NEVER_S
        #: What it is to get more than it has.
        self.distress_percent = 0.0
        self.is_stale = False
        #: What its QEMU has been seen to have for itself, which no balloon can take: at least that.
        self.qemu_mib = self._excess_mib = 0.0
        self._hold_length_s, self._still_looks, self._still_since_s = 0.0, 0, now_s
        self._void_target_mib: float | None = None
        self._looked_s, self._reported_s = now_s, min(guest.reported_s, now_s)
        self._actual_mib, self._resident_mib = guest.actual_mib, guest.resident_mib
        self._swapped_in_mib, self._faulted_mib = guest.swapped_in_mib, guest.faulted_mib
        self._read_mib = guest.read_mib
        self._usual_read_mib_s: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether the balloon does not come closer to a smaller target."""
        return self._still_looks >= self._numbers.stuck_looks

    def note(self, now_s: float, guest: GuestNow, report_period_s: float) -> None:
        """Take note of what a look finds.

        :param report_period_s: how often guests are to report
        """
        reported_s = min(guest.reported_s, now_s)
        if reported_s != self._reported_s:
            self._note_report(now_s, reported_s, guest)
        self.is_stale = not (
            now_s - reported_s <= self._numbers.stale_periods * report_period_s + 1)
        self._note_host(now_s, guest)
        self._note_balloon(now_s, guest)

    def _note_report(self, now_s: float, reported_s: float, guest: GuestNow) -> None:
        numbers, used_before_mib = self._numbers, self.used_mib
        self.used_mib, self.usable_mib, self.caches_mib = _reported(guest)
        # guests report each second at most
        elapsed_s = max(1.0, reported_s - self._reported_s)
        self.growth_mib_s = max(
            0.0, (self.used_mib - used_before_mib) / elapsed_s,
            self.growth_mib_s * 0.5 ** (elapsed_s / numbers.growth_half_life_s))
        # a counter that began again shows less than nothing, which is no distress
        returned_mib = max(guest.swapped_in_mib - self._swapped_in_mib,
                           guest.faulted_mib - self._faulted_mib)
        more_percent = 0.0
        if returned_mib / elapsed_s > numbers.distress_mib_s:
            self.distressed_s = now_s
            # with memory to spare, only an old lack is being made good
            if self.usable_mib < numbers.bare_percent / 100 * guest.flavor_mib:
                more_percent = min(numbers.distress_most_percent,
                                   self.distress_percent + numbers.distress_step_percent)
        self.distress_percent, self._reported_s = more_percent, reported_s
        self._swapped_in_mib, self._faulted_mib = guest.swapped_in_mib, guest.faulted_mib

    def _note_host(self, now_s: float, guest: GuestNow) -> None:
        """Compare the guest's disk reads with those before its balloon was last inflated: more mean
        that it misses a cache. Follow what the host holds of it."""
        if now_s <= self._looked_s:
            # the first look, with nothing to compare with
            return
        numbers, usual_mib_s = self._numbers, self._usual_read_mib_s
        elapsed_s = max(1.0, now_s - self._looked_s)
        read_mib_s = (guest.read_mib - self._read_mib) / elapsed_s
        if usual_mib_s is None:
            self._usual_read_mib_s = max(0.0, read_mib_s)
        elif now_s - self.shrunk_s > numbers.probe_watch_s:
            self._usual_read_mib_s = max(0.0, usual_mib_s + (read_mib_s - usual_mib_s) / 10)
        elif read_mib_s > numbers.missed_factor * usual_mib_s + numbers.missed_mib_s:
            self.missed_s = now_s
        self._note_qemu(guest)
        self.resident_growth_mib_s = max(0.0, (guest.resident_mib - self._resident_mib) / elapsed_s)
        self._read_mib, self._resident_mib, self._looked_s = (
            guest.read_mib, guest.resident_mib, now_s)

    def _note_qemu(self, guest: GuestNow) -> None:
        """What the host holds beyond a balloon is QEMU's own. Not while the balloon moves, nor if
        it is seen but once: the balloon's size may be a second old."""
        excess_mib = (guest.resident_mib - guest.actual_mib
                      if guest.actual_mib == self._actual_mib else 0.0)
        self.qemu_mib = max(self.qemu_mib, min(excess_mib, self._excess_mib))
        self._excess_mib = excess_mib

    def _note_balloon(self, now_s: float, guest: GuestNow) -> None:
        numbers, before_mib, exact_mib = self._numbers, self._actual_mib, self._numbers.exact_mib
        self._actual_mib = guest.actual_mib
        if guest.actual_mib > before_mib + exact_mib and guest.target_mib <= before_mib:
            # it grew without being told to; the driver forgets its target then
            self._void_target_mib = guest.target_mib
            if now_s > self.held_until_s:
                self._hold_length_s = min(numbers.hold_most_s,
                                          2 * self._hold_length_s or numbers.hold_s)
            self.held_until_s = now_s + self._hold_length_s
        if (guest.actual_mib <= guest.target_mib + exact_mib
                or before_mib - guest.actual_mib >= exact_mib / 2
                or guest.target_mib == self._void_target_mib):
            self._still_since_s = now_s
            self._still_looks = 0
        elif now_s - self._still_since_s > numbers.hold_s:
            # to be tried again
            self._still_since_s, self._still_looks = now_s, 0
        else:
            self._still_looks += 1


def _reported(guest: GuestNow) -> tuple[float, float, float]:
    """What the guest says that it uses, could use more, and has in caches: never below 0, and
    together no more than it had. NaN counts as 0."""
    had_mib = min(max(guest.actual_mib, guest.flavor_mib), max(0.0, guest.reported_actual_mib))
    usable_mib = min(had_mib, max(0.0, guest.usable_mib))
    return had_mib - usable_mib, usable_mib, min(usable_mib, max(0.0, guest.caches_mib))
