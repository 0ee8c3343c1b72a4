# SPDX-License-Identifier: Apache-2.0
"""What the planner reads of the host, and whether that makes the host tense."""

from dataclasses import dataclass

from nova_qos.agent.balance.thresholds import Thresholds


@dataclass(frozen=True)
class HostNow:
    """The host's memory, what of it is available without swapping (MemAvailable), and the memory
    pressure: the percent of the last ten seconds in which some task waited for memory (PSI)."""

    memory_mib: float
    available_mib: float
    pressure: float

    @property
    def available_percent(self) -> float:
        """What is available, in percent of the memory."""
        return 100 * self.available_mib / self.memory_mib if self.memory_mib > 0 else 0.0


class Tension:
    """Whether the host is tense, which it is from the first sign until a long time without any."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._numbers = thresholds
        self.is_tense = False
        self._easy_since_s: float | None = None
        self._noted_s = float("-inf")

    def note(self, now_s: float, host: HostNow) -> None:
        """Take note of the host."""
        numbers = self._numbers
        if not 0 <= now_s - self._noted_s <= numbers.watch_gap_s:
            # nobody knows how the host was meanwhile
            self._easy_since_s = None
        self._noted_s = now_s
        is_pressed = host.pressure >= numbers.tense_pressure_percent
        if is_pressed or host.available_percent < numbers.tense_below_percent:
            self.is_tense = True
        if is_pressed or not host.available_percent > numbers.calm_above_percent:
            self._easy_since_s = None
        elif self._easy_since_s is None:
            self._easy_since_s = now_s

    def easy_s(self) -> float:
        """For how many seconds the host has been without any sign."""
        return 0.0 if self._easy_since_s is None else self._noted_s - self._easy_since_s

    def release(self) -> None:
        """Make the host calm if it has been without any sign for long enough; for a look that found
        no balloon inflated."""
        if self.easy_s() > self._numbers.calm_after_s:
            self.is_tense = False

    def reasons(self, host: HostNow) -> list[str]:
        """Why the host is tense, or calm."""
        numbers, percent = self._numbers, host.available_percent
        found = []
        if percent < numbers.tense_below_percent:
            found.append(f"{percent:.1f} % of the host's memory is available, less than "
                         f"{numbers.tense_below_percent:g} %")
        if host.pressure >= numbers.tense_pressure_percent:
            found.append(f"memory pressure is {host.pressure:.1f} %, at least "
                         f"{numbers.tense_pressure_percent:g} %")
        if found:
            return found
        said = f"{percent:.1f} % of the host's memory is available"
        if not self.is_tense:
            return [said]
        return [f"{said}; calm again when balloons are empty and more than "
                f"{numbers.calm_above_percent:g} % was available for {numbers.calm_after_s:g} s "
                f"({self.easy_s():.0f} s so far)"]
