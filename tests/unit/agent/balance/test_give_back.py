# SPDX-License-Identifier: Apache-2.0
"""A host that has memory again gives back all of it, and is calm then."""

import pytest

from nova_qos.agent.balance.guests import GuestNow
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.plan import Planner
from nova_qos.agent.balance.thresholds import Thresholds

_LONG_S = 1200


def at(flavor_mib: float, actual_mib: float, second: int) -> GuestNow:
    """A guest that uses a third of its flavor's memory."""
    return GuestNow(
        actual_mib=actual_mib, target_mib=actual_mib, most_mib=flavor_mib, flavor_mib=flavor_mib,
        guarantee_mib=0, weight=100, resident_mib=actual_mib,
        usable_mib=actual_mib - 0.33 * flavor_mib, caches_mib=0.1 * flavor_mib,
        reported_actual_mib=actual_mib, swapped_in_mib=0, faulted_mib=0, read_mib=0,
        reported_s=second)


@pytest.mark.parametrize("flavor_mib", [256, 384, 512, 1024, 4096, 8192, 65536])
def test_whatever_is_left_of_a_balloon_goes_and_the_host_is_calm(flavor_mib: float) -> None:
    planner, actual_mib = Planner(Thresholds()), 0.61 * flavor_mib
    host = HostNow(4 * flavor_mib, 2.5 * flavor_mib, 0.0)
    for second in range(_LONG_S):
        if planner.watch(second, host):
            plan = planner.look(second, host, {"one": at(flavor_mib, actual_mib, second)})
            actual_mib = plan.targets_mib.get("one", actual_mib)
    assert actual_mib == pytest.approx(flavor_mib, abs=1)
    assert planner.state == "calm"
