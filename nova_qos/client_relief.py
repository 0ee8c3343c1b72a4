# SPDX-License-Identifier: Apache-2.0
"""Compute hosts as they tell of themselves, for the planner of moves; pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from nova_qos.client_hosts import HostState, Placed
from nova_qos.core.contention import TENSE_SHARE
from nova_qos.core.cover import Amounts
from nova_qos.core.moves import SHARED, Host, Plan, Server

#: The part of a target's memory that is to stay free of needs, as long as that leaves a plan:
#: guests use more tomorrow, and a target that is full is the next to be short.
CUSHION_SHARE = 0.05
_UNITS = {"memory": "MiB of memory", "cpu": "percent of one CPU", "net": "kbit/s outbound",
          "net_in": "kbit/s inbound"}


def tells(state: HostState) -> bool:
    """Whether the agent of a host tells of its servers now."""
    return state.agent == "up" and state.placed is not None and not state.age_s


def host(
    state: HostState, fixed: Mapping[str, str], is_open: bool = True, cushion: float = 0.0
) -> Host:
    """A host as the planner sees it.

    :param fixed: why servers cannot move, by id, beside what the agent says
    :param is_open: servers may come to it
    :param cushion: the part of its memory that nobody may take who comes
    """
    found = Host(state.name, _left(state), [
        _server(each, fixed) for each in state.placed or ()], is_open)
    if not is_open or found.left[0] < 0:
        return found
    kept = int(cushion * (state.memory.capacity or 0))
    return replace(found, left=(max(0, found.left[0] - kept), *found.left[1:]))


def with_cushion(plan: Callable[[float], Plan]) -> Plan:
    """A plan that leaves targets a cushion where that relieves all hosts, and else one that does
    not."""
    found = plan(CUSHION_SHARE)
    return found if found.is_whole else plan(0.0)


def missing_words(missing: Iterable[int]) -> str:
    """What a host is short of, by ``SHARED``, in words; nothing where it is short of nothing."""
    return ", ".join(f"{amount} {_UNITS[name]}"
                     for name, amount in zip(SHARED, missing, strict=True) if amount)


def _server(placed: Placed, fixed: Mapping[str, str]) -> Server:
    resident = _resident_mib(placed)
    return Server(
        placed.id, (placed.need, *(placed.guaranteed.get(name, 0) for name in SHARED[1:]),
                    resident), resident + placed.disk,
        fixed.get(placed.id) or placed.fixed or (None if placed.running else "it does not run"))


def _left(state: HostState) -> Amounts:
    """What the host has left of what it shares; where it can guarantee nothing, nothing is missing
    either. Of free memory, as much as it must lose to be tense."""
    memory = state.memory
    shared = [0 if use.capacity is None else use.capacity - (use.guaranteed or 0)
              for use in (state.uses[name] for name in SHARED[1:])]
    return ((memory.capacity or 0) - (memory.needs or 0), *shared,
            int((memory.available or 0) - TENSE_SHARE * (memory.total or 0)))


def _resident_mib(placed: Placed) -> int:
    if not placed.running:
        return 0
    if placed.resident is not None:
        return placed.resident
    return placed.flavor if placed.applied is None else int(placed.applied)
