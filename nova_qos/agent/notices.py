# SPDX-License-Identifier: Apache-2.0
"""Tells other programs when the state of the host changes: a notification of contention."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nova_qos.agent.contention import State

EVENT = "nova_qos.host.contention"
#: The least time (s) between two of them: a host at a threshold is no flood.
APART_S = 60.0
#: Sends an event of that type with a payload, as a warning or not; returns at once.
Emit = Callable[[str, dict[str, Any], bool], None]


class Notices:
    """Tells of each change of state, and what the state is at the agent's start.

    A state that follows another one too soon is told when its time has come, if it still lasts:
    whoever looks calls again, at each check and whenever somebody asks for the host.
    """

    def __init__(
        self, host: str, emit: Emit, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host, self._emit, self._clock = host, emit, clock
        self._lock = threading.Lock()
        self._told: str | None = None
        self._told_s = -APART_S

    def __call__(self, state: State) -> None:
        """Take note of the state of the host now; returns at once."""
        with self._lock:
            now_s, before = self._clock(), self._told
            if state.judgement.state == before or now_s - self._told_s < APART_S:
                return
            self._told, self._told_s = state.judgement.state, now_s
        self._emit(EVENT, payload(self._host, state, before), state.judgement.state == "short")


def payload(host: str, state: State, previous: str | None) -> dict[str, Any]:
    """What is told, in the envelope of nova's versioned notifications; memory in MiB."""
    judgement, memory = state.judgement, state.summary.uses["memory"]
    return {
        "nova_object.name": "HostContentionPayload",
        "nova_object.namespace": "nova_qos",
        "nova_object.version": "1.0",
        "nova_object.data": {
            "host": host, "state": judgement.state, "previous_state": previous,
            "since": _time(state.since[judgement.state]), "reasons": list(judgement.reasons),
            "short_promised": judgement.promised_mib, "short_now": judgement.now_mib,
            "memory_capacity": memory.capacity, "memory_needs": state.summary.needs_mib,
            "memory_guaranteed": memory.guaranteed, "memory_total": state.room.memory_mib,
            "memory_available": state.room.available_mib,
            "memory_pressure": state.room.memory_pressure}}


def _time(since_s: float) -> str:
    return datetime.fromtimestamp(int(since_s), UTC).isoformat()
