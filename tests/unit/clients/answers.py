# SPDX-License-Identifier: Apache-2.0
"""What nova-qos answers about a server, made up from the table."""

from typing import Any

from nova_qos.resources import TABLE
from tests.unit.rows import FLAVOR


def reports(**changed: dict[str, object]) -> dict[str, Any]:
    """What get-qos answers for a server that nobody touched but for what is given."""
    return {name: {
        "requested": None, "applied": row.value.shown(row.default.of(FLAVOR)),
        "unit": row.unit.name, "range": list(row.value.range_of(FLAVOR)),
        "default": row.value.shown(row.default.of(FLAVOR)), "state": "unset", "effective": True,
        "reason": None, "since": "2026-01-31T12:00:00+00:00",
        **changed.get(name, {})} for name, row in TABLE.items()}


def applied(value: int) -> dict[str, object]:
    """The part of a resource that was set and is there."""
    return {"requested": value, "applied": value, "state": "applied"}


def waiting(value: int | None, reason: str = "the server is not running") -> dict[str, object]:
    """The part of a resource that was set, or unset (None), while nobody could apply it."""
    return {"requested": value, "applied": None, "effective": False, "reason": reason,
            "state": "unset" if value is None else "pending"}


def listed(server_id: str, name: str, qos: dict[str, Any], vcpus: int = 1) -> dict[str, Any]:
    """A server of a list."""
    return {"id": server_id, "name": name, "host": "compute", "vcpus": vcpus,
            "memory_mib": FLAVOR.memory_mib, "qos": qos}
