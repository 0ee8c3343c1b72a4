# SPDX-License-Identifier: Apache-2.0
"""What one look costs: CPU time, with no other process and no I/O."""

import random
import time
from collections.abc import Mapping

from nova_qos.agent.balance.guests import GuestNow
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.plan import Planner
from nova_qos.agent.balance.thresholds import Thresholds

_LOOKS = 20


def look_ms(count: int) -> float:
    """The least CPU time of a look at so many guests of a tense host, in milliseconds."""
    planner, took_ms = Planner(Thresholds()), []
    for look in range(_LOOKS):
        now_s = 2.0 * look
        guests = _guests(count, look)
        held_mib = sum(guest.resident_mib for guest in guests.values())
        host = HostNow(1.06 * held_mib, 0.03 * held_mib, 2.0)
        began = time.process_time()
        plan = planner.look(now_s, host, guests)
        took_ms.append(1000 * (time.process_time() - began))
        # every path is taken: balloons are inflated and deflated
        assert plan.state != "calm"
        assert plan.targets_mib
    return min(took_ms)


def _guests(count: int, look: int) -> Mapping[str, GuestNow]:
    """A guest in five lacks memory, a third use their swap, some have a guarantee."""
    choice, guests = random.Random(look), {}
    for number in range(count):
        flavor_mib = choice.choice((2048.0, 4096.0, 8192.0))
        actual_mib = flavor_mib * choice.uniform(0.5, 0.9)
        usable_mib = actual_mib * choice.uniform(0, 0.3)
        guests[f"{number:08d}-0000-4000-8000-000000000000"] = GuestNow(
            actual_mib=actual_mib, target_mib=actual_mib - choice.choice((0, 50)),
            most_mib=flavor_mib, flavor_mib=flavor_mib,
            guarantee_mib=flavor_mib * choice.choice((0, 0.3, 0.5)),
            weight=choice.choice((50, 100, 200)), resident_mib=0.9 * actual_mib,
            usable_mib=usable_mib, caches_mib=usable_mib / 2, reported_actual_mib=actual_mib,
            swapped_in_mib=look * choice.uniform(0, 3), faulted_mib=look * choice.uniform(0, 3),
            read_mib=100.0 * look, reported_s=2.0 * look)
    return guests
