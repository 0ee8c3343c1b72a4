# SPDX-License-Identifier: Apache-2.0
"""The planner: when a host looks at its guests, and what their balloons are to be.

Pure: it reads and writes nothing, and its caller tells the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nova_qos.agent.balance.division import divided
from nova_qos.agent.balance.guests import GuestNow, History
from nova_qos.agent.balance.host import HostNow, Tension
from nova_qos.agent.balance.levels import levels_of, probed
from nova_qos.agent.balance.moves import Case, move
from nova_qos.agent.balance.standing import Standing, balanced, untouched
from nova_qos.agent.balance.thresholds import Thresholds

#: The caller's seconds are not exact: a look that is due within this time is due now.
_EARLY_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What a look came to.

    ``targets_mib`` are the balloons to set now, by server. ``reasons`` says why the state is what
    it is. Short is a host that cannot keep its guarantees, or has next to nothing available and no
    guest to take anything from.
    """

    state: Literal["calm", "tense", "short"]
    room_mib: float
    targets_mib: Mapping[str, float]
    standings: Mapping[str, Standing]
    reasons: Sequence[str]


class Planner:
    """Balances the memory of one host's guests; for one thread.

    A new planner adopts the balloons that it finds: with one of them inflated, it is tense.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._numbers = thresholds
        self._tension = Tension(thresholds)
        self._histories: dict[str, History] = {}
        self._looked_s: float | None = None

    @property
    def state(self) -> Literal["calm", "tense"]:
        """Calm: no balloon is set. Tense: guests are watched closely, and their balloons set."""
        return "tense" if self._tension.is_tense else "calm"

    @property
    def report_period_s(self) -> int:
        """How often guests are to report now."""
        numbers = self._numbers
        return numbers.tense_report_s if self._tension.is_tense else numbers.calm_report_s

    def watch(self, now_s: float, host: HostNow) -> bool:
        """Take note of the host, each second; says whether a look at the guests is due."""
        was_tense = self._tension.is_tense
        self._tension.note(now_s, host)
        if self._looked_s is None or was_tense != self._tension.is_tense:
            return True
        numbers = self._numbers
        pause_s = numbers.tense_look_s if self._tension.is_tense else numbers.calm_look_s
        return not 0 <= now_s - self._looked_s < pause_s - _EARLY_S

    def forget(self, server: str) -> None:
        """Drop what is remembered of a server. Those that a look is not told of are dropped, too.
        """
        self._histories.pop(server, None)

    def look(self, now_s: float, host: HostNow, guests: Mapping[str, GuestNow]) -> Plan:
        """Plan from what the guests are now.

        :param guests: the servers that may be balanced; others count as the host's own use
        """
        if self._looked_s is not None and now_s < self._looked_s:
            # the clock was set back: nobody knows how old is what is remembered
            self._histories = {}
        self._looked_s = now_s
        self._tension.note(now_s, host)
        guests = {name: guests[name] for name in sorted(guests)}
        self._remember(now_s, guests)
        if not any(map(self._is_inflated, guests.values())):
            self._tension.release()
        room_mib = (host.available_mib - self._numbers.reserve_percent / 100 * host.memory_mib
                    + sum(self._held_mib(name, guest) for name, guest in guests.items()))
        if self._tension.is_tense:
            return self._tense(now_s, host, guests, room_mib)
        return self._calm(now_s, host, guests, room_mib)

    def _held_mib(self, name: str, guest: GuestNow) -> float:
        """What the host holds of a guest's own memory."""
        held_mib = max(0.0, guest.resident_mib - self._histories[name].qemu_mib)
        return min(held_mib, guest.actual_mib)

    def _is_inflated(self, guest: GuestNow) -> bool:
        """Whether a balloon holds something back that its guest may have."""
        has_mib = max(guest.actual_mib, guest.target_mib)
        return has_mib < guest.most_mib - self._numbers.exact_mib

    def _remember(self, now_s: float, guests: Mapping[str, GuestNow]) -> None:
        before, self._histories = self._histories, {}
        for name, guest in guests.items():
            history = before.get(name)
            if history is None:
                history = History(now_s, guest, self._numbers)
                if self._is_inflated(guest):
                    # inflated before this planner began: its guest is to get that back
                    self._tension.is_tense = True
            self._histories[name] = history
        period_s = self.report_period_s
        for name, guest in guests.items():
            self._histories[name].note(now_s, guest, period_s)

    def _calm(
        self, now_s: float, host: HostNow, guests: Mapping[str, GuestNow], room_mib: float
    ) -> Plan:
        short = _overdrawn(guests, room_mib)
        standings = {name: untouched(now_s, guests[name], history, self._numbers)
                     for name, history in self._histories.items()}
        return Plan("short" if short else "calm", room_mib, {}, standings,
                    [*short, *self._tension.reasons(host)])

    def _tense(
        self, now_s: float, host: HostNow, guests: Mapping[str, GuestNow], room_mib: float
    ) -> Plan:
        numbers = self._numbers
        free_mib = host.available_mib - numbers.least_free_percent / 100 * host.memory_mib
        cases = self._cases(now_s, guests, room_mib)
        move(cases, room_mib, free_mib, now_s, numbers)
        short = _overdrawn(guests, room_mib)
        if free_mib < 0 and all(case.spare_mib <= numbers.exact_mib for case in cases):
            short.append(f"{host.available_percent:.1f} % of the host's memory is available, less "
                         f"than {numbers.least_free_percent:g} %, and no server has any to spare")
        return Plan(
            "short" if short else "tense", room_mib,
            {case.name: case.target_mib for case in cases if case.target_mib is not None},
            {case.name: balanced(now_s, case, numbers) for case in cases},
            [*short, *self._tension.reasons(host)])

    def _cases(
        self, now_s: float, guests: Mapping[str, GuestNow], room_mib: float
    ) -> list[Case]:
        numbers, found = self._numbers, [
            (name, guests[name], history) for name, history in self._histories.items()]
        all_levels = [levels_of(guest, history, now_s, numbers) for _, guest, history in found]
        if sum(levels.cushioned_mib for levels in all_levels) > room_mib:
            all_levels = [probed(guest, history, now_s, levels, numbers)
                          for (_, guest, history), levels in zip(found, all_levels, strict=True)]
        wishes_mib = divided(room_mib, all_levels, [guest.weight for _, guest, _ in found])
        return [Case(*each, levels, wish_mib)
                for each, levels, wish_mib in zip(found, all_levels, wishes_mib, strict=True)]


def _overdrawn(guests: Mapping[str, GuestNow], room_mib: float) -> list[str]:
    guarantees_mib = sum(min(guest.guarantee_mib, guest.most_mib) for guest in guests.values())
    if guarantees_mib <= room_mib:
        return []
    return [f"guarantees of {guarantees_mib:.0f} MiB exceed the {room_mib:.0f} MiB that the host "
            f"has beside its own use"]
