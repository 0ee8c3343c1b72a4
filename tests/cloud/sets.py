# SPDX-License-Identifier: Apache-2.0
"""Sets while something else happens to a server.

``NOVA_QOS_TEST_ROUNDS`` says how often, before a release 1000; ``NOVA_QOS_TEST_OPERATIONS`` how
often nova really performs an operation, then 30.
"""

import os
from collections.abc import Callable
from typing import Any

from tests.cloud.api import Person

ROUNDS = int(os.environ.get("NOVA_QOS_TEST_ROUNDS", "5"))
OPERATIONS_ROUNDS = int(os.environ.get("NOVA_QOS_TEST_OPERATIONS", "1"))
# what cgroup v2 has weights for
_LEAST, _SPAN = 2048, 2**16


def requested(admin: Person, server: str) -> dict[str, Any]:
    """What get-qos says is requested, by resource."""
    return {name: row["requested"] for name, row in admin.act(server, "get-qos")[1].items()}


def hammer(
    admin: Person, server: str, until: Callable[[], bool], step: int = 1
) -> tuple[int | None, set[int]]:
    """Set its CPU priority again and again until that holds, mostly a step more each time: the last
    value taken, and all that was answered."""
    taken, answered, times = None, set(), 0
    while not until():
        times += 1
        share = _LEAST + times * step % _SPAN
        status, _ = admin.act(server, "set-cpu-priority", {"share": share})
        answered.add(status)
        taken = share if status in (200, 202) else taken
    return taken, answered
