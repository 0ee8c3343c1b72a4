# SPDX-License-Identifier: Apache-2.0
"""When kernel samepage merging (KSM) is worth its CPU time. Pure: says what to write."""

from collections.abc import Mapping
from dataclasses import dataclass

from nova_qos.agent.balance.thresholds import Thresholds

_STOPPED, _RUNNING = "0", "1"


@dataclass(frozen=True)
class KsmNow:
    """What ``/sys/kernel/mm/ksm`` holds, file by file, as text; ``gained_mib`` is the memory that
    merging saves now. ``is_driven`` says that another program, such as ksmtuned, sets it."""

    files: Mapping[str, str]
    gained_mib: float
    is_driven: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it merges pages."""
        return self.files.get("run") == _RUNNING

    @property
    def has_advisor(self) -> bool:
        """Whether the kernel itself chooses how much to scan (Linux 6.8)."""
        return "advisor_mode" in self.files


class Merging:
    """Starts KSM while the host is tense, and stops it where it gains too little."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._numbers = thresholds
        self._changed_s: float | None = None
        self._measured_s = 0.0
        self._gained_mib = 0.0
        self._is_ours = False
        self._before: Mapping[str, str] = {}

    def decide(
        self, now_s: float, is_tense: bool, memory_mib: float, now: KsmNow
    ) -> dict[str, str]:
        """What to write into which files, in this order; nothing where all is well.

        What another program, or the operator, has started is left to them.
        """
        if now.is_driven or (now.is_running and not self._is_ours):
            self._is_ours = False
            return {}
        if "run" not in now.files:
            return {}
        if not now.is_running:
            self._is_ours = False
            return self._start(now_s, now) if is_tense and self._is_due(now_s) else {}
        if 0 <= now_s - self._measured_s < self._numbers.ksm_measure_s:
            return {}
        gained_mib = now.gained_mib - self._gained_mib
        self._measured_s, self._gained_mib = now_s, now.gained_mib
        if gained_mib >= self._numbers.ksm_gain_percent / 100 * memory_mib:
            return {}
        return self._stop(now_s)

    def _is_due(self, now_s: float) -> bool:
        return (self._changed_s is None
                or not 0 <= now_s - self._changed_s < self._numbers.ksm_retry_s)

    def _start(self, now_s: float, now: KsmNow) -> dict[str, str]:
        numbers = self._numbers
        if now.has_advisor:
            speed = {"advisor_mode": "scan-time", "advisor_max_cpu": str(numbers.ksm_cpu_percent)}
        else:
            speed = {"pages_to_scan": str(numbers.ksm_pages),
                     "sleep_millisecs": str(numbers.ksm_sleep_ms)}
        self._before = {name: now.files[name] for name in speed if name in now.files}
        self._is_ours, self._changed_s = True, now_s
        self._measured_s, self._gained_mib = now_s, now.gained_mib
        return {**speed, "run": _RUNNING}

    def _stop(self, now_s: float) -> dict[str, str]:
        """Merged pages stay merged. What set the speed before does so again."""
        self._is_ours, self._changed_s = False, now_s
        return {"run": _STOPPED, **self._before}
