# SPDX-License-Identifier: Apache-2.0
"""The agent checks what comes over the bus, whoever sent it."""

from typing import Any

import pytest
from nova import context

from nova_qos import errors
from nova_qos.rpc import AgentClient
from tests.functional.cloud import Server


def _set(server: Server, settings: Any, force: bool = False) -> Any:
    return AgentClient().set(
        context.get_admin_context(), "compute", server.uuid, settings, force)


@pytest.mark.parametrize("settings", [
    {"luck": 7}, {"cpu_priority": 1}, {"cpu_priority": 262145}, {"cpu_priority": "many"},
    {"cpu_priority": 1.5}, {"cpu_priority": True}, {"cpu_priority": [2000]}, {"memory": 513},
    {"memory": 0}, {"io_priority": 5}, {"cpu_priority": 2000, "io_priority": 5},
], ids=str)
def test_refuses_what_the_api_would_refuse(server: Server, settings: Any) -> None:
    with pytest.raises(errors.InvalidSetting):
        _set(server, settings)
    assert (server.saved(), server.domain.writes) == ({}, [])


def test_force_is_nothing_but_true(server: Server) -> None:
    server.domain.used_kib = 400 * 1024
    with pytest.raises(errors.UnsafeMemory):
        _set(server, {"memory": 100}, force="false")  # type: ignore[arg-type]


def test_takes_what_the_api_would_take(server: Server) -> None:
    readings = _set(server, {"cpu_priority": 2000})
    assert readings["cpu_priority"].applied == 2000
