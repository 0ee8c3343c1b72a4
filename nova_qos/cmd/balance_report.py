# SPDX-License-Identifier: Apache-2.0
"""nova-qos-agent --balance-report: what balancing would do on this host now, a line a server."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from nova_qos.agent.balance.given import Given
from nova_qos.agent.balance.host import HostNow
from nova_qos.agent.balance.plan import Plan, Planner
from nova_qos.agent.balance.sight import Seen, Sight
from nova_qos.agent.balance.thresholds import Thresholds
from nova_qos.core.errors import QosError
from nova_qos.core.server import SavedServer
from nova_qos.host_memory import HostMemory

_COLUMNS = ("server", "has", "uses", "guarantee", "weight", "at most", "would get")
_WIDTHS = (36, 8, 8, 9, 6, 8, 9)


def run(
    memory: HostMemory, thresholds: Thresholds, servers: Callable[[], Mapping[str, SavedServer]]
) -> int:
    """Print the plan of one look; nothing is touched.

    :param servers: those of the host, with all that is to be known of them
    :returns: the exit status: 0, or 1 where the host could not be read
    """
    # what would be logged is printed
    logging.disable()
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines(memory, thresholds, servers()))
    except QosError as error:
        print(f"The host cannot be read: {error.message}")
        return 1
    finally:
        logging.disable(logging.NOTSET)
    return 0


def lines(
    memory: HostMemory, thresholds: Thresholds, servers: Mapping[str, SavedServer]
) -> Iterator[str]:
    """The report; memory is in MiB.

    :raises QosError: the host cannot be read
    """
    now, now_s = memory.now(), time.monotonic()
    host = HostNow(now.memory_mib, now.available_mib, now.pressure)
    seen = Sight().see(servers, memory.guests(), (), Given(is_on=False))
    plan = Planner(thresholds).look(now_s, host, seen.managed)
    yield f"The host is {plan.state}: {'; '.join(plan.reasons)}."
    if plan.state == "calm":
        yield "Nothing is touched. While it is tense, this would be the plan:"
        # any host is tense by that
        always = replace(thresholds, tense_below_percent=101.0)
        plan = Planner(always).look(now_s, host, seen.managed)
    yield f"Room for the servers that are balanced: {plan.room_mib:.0f} MiB."
    yield from _table(plan, seen)
    for server_uuid, why_not in sorted(seen.unmanaged.items()):
        yield f"{server_uuid} is not balanced: {why_not}"


def _table(plan: Plan, seen: Seen) -> Iterator[str]:
    yield _row(_COLUMNS)
    for server_uuid, guest in sorted(seen.managed.items()):
        planned = plan.standings[server_uuid]
        used_mib = max(0.0, guest.reported_actual_mib - guest.usable_mib)
        yield _row((server_uuid, *(f"{number:.0f}" for number in (
            guest.actual_mib, used_mib, guest.guarantee_mib, guest.weight, guest.most_mib,
            planned.wish_mib)))) + f"  {planned.why}"


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                    for place, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True)))
